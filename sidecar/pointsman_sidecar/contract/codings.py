"""Bodies that come compressed, undone no further than they may go."""

import zlib

# By which of zlib's framings: gzip's own, zlib's own where deflate is said, and the bare stream that some send instead.
_GZIP, _ZLIB, _BARE = 31, 15, -15
_ZLIB_BEGINS = 0x78
CODINGS = ("gzip", "deflate")


class CodingError(ValueError):
    """The bytes are not coded as they say."""


def decoded(raw: bytes, coding: str, *, most: int) -> bytes:
    """What was compressed; where that is more than `most` bytes, one byte more than those and no further.

    Raises:
        CodingError: the bytes are not of this coding, or break off.
    """
    framing = _GZIP if coding == "gzip" else _ZLIB if raw[:1] == bytes([_ZLIB_BEGINS]) else _BARE
    inflating = zlib.decompressobj(framing)
    try:
        body = inflating.decompress(raw, most + 1)
    except zlib.error as error:
        raise CodingError(f"the body is no {coding}, which its Content-Encoding says") from error
    if len(body) <= most and (not inflating.eof or inflating.unused_data):
        raise CodingError(f"the body breaks off, or has more after its end, as {coding}")
    return body
