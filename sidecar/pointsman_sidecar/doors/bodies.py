"""The body of a request, as far as it is worth reading."""

import asyncio

from aiohttp import HttpVersion11, hdrs, web

from pointsman_sidecar.contract.codings import CODINGS, CodingError, decoded
from pointsman_sidecar.contract.json_form import Unread

_JSON = "application/json"


async def read_body(request: web.Request, *, most: int) -> bytes | Unread:
    """The body, unless it has more than `most` bytes: then no more of it is read than shows that.

    Raises:
        web.HTTPException: it is no JSON by its own word, or cannot be read.
    """
    if request.content_type != _JSON:
        # A page in a browser may send other types to any address without asking first.
        raise web.HTTPUnsupportedMediaType(
            text=f"the body's Content-Type is {request.content_type[:100]}: send {_JSON}"
        )
    coding = request.headers.get(hdrs.CONTENT_ENCODING, "identity").strip().lower()
    if coding not in {"identity", *CODINGS}:
        raise web.HTTPUnsupportedMediaType(
            text=f"the body's Content-Encoding is {coding[:100]}: send {', '.join(CODINGS)} or none"
        )
    declared = request.content_length
    if declared is not None and declared > most:
        return Unread(size=declared)
    if request.version >= HttpVersion11 and request.headers.get(hdrs.EXPECT, "").lower() == "100-continue":
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")
        # The answer has not begun by that.
        request.writer.output_size = 0
    received = bytearray()
    try:
        async for piece in request.content.iter_any():
            received += piece
            if len(received) > most:
                return Unread(size=len(received), is_cut=True)
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest(
            text="the body cannot be read: it breaks off, or is not framed as its Transfer-Encoding says"
        ) from error
    if coding == "identity":
        return bytes(received)
    return await _decoded(bytes(received), coding, most=most)


async def when_read(_: web.Request) -> None:
    """Expect nothing yet: a body that is refused by its size is not asked for, and `read_body` asks for all others."""


async def _decoded(raw: bytes, coding: str, *, most: int) -> bytes | Unread:
    # Beside the event loop, where the size of what comes of it holds up nobody.
    try:
        body = await asyncio.to_thread(decoded, raw, coding, most=most)
    except CodingError as error:
        raise web.HTTPBadRequest(text=str(error)) from error
    return body if len(body) <= most else Unread(size=len(body), is_cut=True)
