"""Server-sent events, out of a body that comes in any pieces."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.providers.events import EventSplitter


def split(*pieces: bytes) -> list[bytes]:
    """All events of a body."""
    splitter = EventSplitter()
    return [data for piece in pieces for data in splitter.feed(piece)]


@pytest.mark.parametrize(
    ("body", "events"),
    [
        pytest.param(b"data: a\n\ndata: b\n\n", [b"a", b"b"], id="two"),
        pytest.param(b"data:a\n\n", [b"a"], id="no space"),
        pytest.param(b"data:  a\n\n", [b" a"], id="one space belongs to the field, the next to the data"),
        pytest.param(b"data: a\ndata: b\n\n", [b"a\nb"], id="lines of one event"),
        pytest.param(b": ping\n\ndata: a\n\n", [b"a"], id="a comment"),
        pytest.param(b"event: x\nid: 7\nretry: 5\ndata: a\n\n", [b"a"], id="other fields"),
        pytest.param(b"\n\n\ndata: a\n\n\n\n", [b"a"], id="empty lines"),
        pytest.param(b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"], id="both line ends"),
        pytest.param(b"data: a\r\rdata: b\r\r\n", [b"a", b"b"], id="the old line end"),
        pytest.param(b"data: a\n\ndata: b", [b"a"], id="one that breaks off"),
        pytest.param(b"data: {\xff}\n\n", [b"{\xff}"], id="no UTF-8"),
    ],
)
def test_events_are_told_apart(body: bytes, events: list[bytes]) -> None:
    assert split(body) == events


@pytest.mark.parametrize(
    ("pieces", "events"),
    [
        pytest.param((b"data: a\n\n", b"data: b\n\n"), [b"a", b"b"], id="one event each"),
        pytest.param((b"data: a\n", b"data: b\n\n"), [b"a\nb"], id="the second ends what the first began"),
        pytest.param((b"data: a", b"data: b\n\n"), [b"adata: b"], id="a line that goes on"),
    ],
)
def test_a_piece_that_could_stand_alone_belongs_to_what_came_before(
    pieces: tuple[bytes, ...], events: list[bytes]
) -> None:
    assert split(*pieces) == events


@given(
    events=st.lists(st.text(alphabet='{}": aé\\', min_size=1), max_size=5),
    end=st.sampled_from(["\n", "\r\n", "\r"]),
    cuts=st.lists(st.integers(min_value=0, max_value=200), max_size=6),
)
def test_the_pieces_in_which_a_body_comes_make_no_difference(events: list[str], end: str, cuts: list[int]) -> None:
    # A line end after the last one, so that a carriage return is not taken for half of a pair.
    body = "".join(f"data: {each}{end}{end}" for each in events).encode() + b"\n"
    places = sorted({0, len(body), *(cut for cut in cuts if cut < len(body))})

    assert split(*(body[start:stop] for start, stop in pairwise(places))) == [each.encode() for each in events]
