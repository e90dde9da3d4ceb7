"""The body of a request, as far as it is worth reading."""

from aiohttp import web

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
    declared = request.content_length
    if declared is not None and declared > most:
        return Unread(size=declared)
    received = bytearray()
    try:
        async for piece in request.content.iter_any():
            received += piece
            if len(received) > most:
                return Unread(size=len(received), is_cut=True)
    except web.RequestPayloadError as error:
        raise web.HTTPBadRequest(
            text="the body cannot be read: it is not coded as its Content-Encoding or Transfer-Encoding says"
        ) from error
    return bytes(received)
