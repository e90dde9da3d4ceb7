"""How many parts a request may have is counted before anything is made of them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.contract import bounds
from pointsman_sidecar.contract.bounds import MOST_PARTS, MOST_VALUES, TooManyPartsError, check_json, check_message
from pointsman_sidecar.contract.protobuf_form import ProtobufForm
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.routing.features import Features
from support.completions import ask, said

CHAT = completions_pb2.CompleteRequest.DESCRIPTOR
TEXTS = st.text(alphabet=st.characters(exclude_categories=["Cs"]) | st.sampled_from('"\\,:{}[]'))
DOCUMENTS = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner, max_size=6) | st.dictionaries(TEXTS, inner, max_size=6),
    max_leaves=40,
)


def parts(document: Any) -> int:
    """Members, objects and lists of a document."""
    match document:
        case dict():
            return 1 + len(document) + sum(map(parts, document.values()))
        case list():
            return 1 + sum(map(parts, document))
        case _:
            return 0


@given(document=DOCUMENTS, ascii_=st.booleans(), window=st.integers(min_value=1, max_value=40))
def test_parts_are_counted_wherever_texts_look_like_them(document: Any, ascii_: bool, window: int) -> None:  # noqa: FBT001
    raw = json.dumps(document, ensure_ascii=ascii_).encode()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(bounds, "_WINDOW", window)
        patch.setattr(bounds, "MOST_PARTS", parts(document))
        check_json(raw)
        patch.setattr(bounds, "MOST_PARTS", parts(document) - 1)
        with pytest.raises(TooManyPartsError):
            check_json(raw)


@pytest.mark.parametrize(
    ("raw", "what"),
    [
        (b"[" + b"{}," * MOST_PARTS + b"{}]", "50,000 members, objects and lists"),
        (b"[" * (MOST_PARTS + 1), "50,000 members, objects and lists"),
        (b"[" + b"0," * (MOST_VALUES + 1) + b"0]", "500,000 values"),
    ],
)
def test_more_than_is_read_is_refused(raw: bytes, what: str) -> None:
    with pytest.raises(TooManyPartsError, match=f"has more than {what}, which is more than is read: send less at once"):
        check_json(raw)


def test_a_text_of_any_length_is_one_value() -> None:
    check_json(json.dumps({"text": 'a,{["\\' * MOST_VALUES}).encode())


def test_as_many_fields_as_are_read_are_read() -> None:
    message = said("a").SerializeToString()
    field = b"\x0a" + bytes([len(message)]) + message
    # The message, its role, its part and the part's text: four fields each.
    raw = field * (MOST_PARTS // 4)
    assert completions_pb2.CompleteRequest.FromString(raw).messages[0] == said("a")

    check_message(raw, CHAT)
    with pytest.raises(TooManyPartsError, match="has more than 50,000 fields"):
        check_message(raw + b"\x0a\x00", CHAT)


@given(raw=st.binary(max_size=200))
def test_bytes_of_any_kind_are_counted_to_their_end(raw: bytes) -> None:
    check_message(raw, CHAT)
    check_json(raw)


@given(
    cut=st.integers(min_value=1, max_value=200), flipped=st.integers(min_value=0, max_value=200), bit=st.integers(0, 7)
)
def test_a_damaged_message_is_read_or_refused(cut: int, flipped: int, bit: int) -> None:
    raw = bytearray(ask("Where is the café?", model="mini", max_tokens=7).SerializeToString())
    raw[flipped % len(raw)] ^= 1 << bit
    form = ProtobufForm.read(bytes(raw[: cut % len(raw) + 1]), most_bytes=1000)

    assert isinstance(form.measured, Features | InvalidRequestError)


def test_a_message_that_is_none_is_told_in_the_doors_words() -> None:
    with pytest.raises(InvalidRequestError, match="is no CompleteRequest: its bytes break off, or a text in"):
        ProtobufForm.read(b"\x0a\xff", most_bytes=1000).measure()


def test_a_message_larger_than_the_policy_allows_is_weighed_and_not_read() -> None:
    assert ProtobufForm.read(b"\xff" * 11, most_bytes=10).measure().request_bytes == 11
