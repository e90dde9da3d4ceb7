"""Compressed bodies are undone no further than they may go."""

import gzip
import zlib

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.contract.codings import CodingError, decoded

WRITERS = {
    "gzip": gzip.compress,
    "zlib": zlib.compress,
    "bare": lambda raw: zlib.compress(raw, wbits=-15),
}


def coding(writer: str) -> str:
    """What a client calls it."""
    return "gzip" if writer == "gzip" else "deflate"


@given(writer=st.sampled_from(sorted(WRITERS)), raw=st.binary(max_size=300))
def test_what_was_compressed_comes_back(writer: str, raw: bytes) -> None:
    assert decoded(WRITERS[writer](raw), coding(writer), most=300) == raw


@pytest.mark.parametrize("writer", sorted(WRITERS))
def test_a_bomb_is_undone_until_it_is_too_large(writer: str) -> None:
    assert decoded(WRITERS[writer](b" " * 10_000_000), coding(writer), most=1000) == b" " * 1001


@pytest.mark.parametrize("writer", sorted(WRITERS))
def test_what_breaks_off_or_goes_on_is_refused(writer: str) -> None:
    raw = WRITERS[writer](b"some text, and some more of it")

    for wrong in (raw[:-1], raw + b"x", b""):
        with pytest.raises(CodingError):
            decoded(wrong, coding(writer), most=1000)


@given(raw=st.binary(max_size=50), name=st.sampled_from(["gzip", "deflate"]))
def test_bytes_of_any_kind_are_undone_or_refused(raw: bytes, name: str) -> None:
    try:
        body = decoded(raw, name, most=100)
    except CodingError:
        return
    assert len(body) <= 101
