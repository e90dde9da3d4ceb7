"""The HTTP door: OpenAI's API on loopback, for apps that know nothing of Pointsman."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager

import structlog
from aiohttp import hdrs, web
from aiohttp.typedefs import Middleware

from pointsman_sidecar.completing.completions import Completions
from pointsman_sidecar.contract import json
from pointsman_sidecar.doors.bodies import when_read
from pointsman_sidecar.doors.http_completions import HttpCompletions
from pointsman_sidecar.doors.http_feedback import HttpFeedback
from pointsman_sidecar.doors.http_models import HttpModels
from pointsman_sidecar.doors.http_protocol import HttpRunner
from pointsman_sidecar.doors.http_usage import HttpUsage
from pointsman_sidecar.doors.known_errors import AddressInUseError, internal
from pointsman_sidecar.doors.openai_errors import Status, error_body, refusal
from pointsman_sidecar.doors.reading import Reading

_NOT_FOUND, _NOT_ALLOWED = 404, 405
_CODES = {_NOT_FOUND: "unknown_url", _NOT_ALLOWED: "method_not_allowed"}
# How long what is left of a refused body is read, so that its sender comes to read the answer.
_LINGERING = 2.0
_Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


@asynccontextmanager
async def http_door(
    completions: Completions, *, host: str, port: int, reading: Reading, log: structlog.stdlib.BoundLogger, grace: float
) -> AsyncIterator[int]:
    """Serve on an address (port 0 takes a free one) and give the port; leaving drains for `grace` seconds.

    Raises:
        AddressInUseError: it cannot be bound.
    """
    app = web.Application(middlewares=[_in_openais_shape(log)])
    serve, models = HttpCompletions(completions, reading=reading, log=log), HttpModels(completions)
    app.add_routes(
        [
            web.post("/v1/chat/completions", serve.chat, expect_handler=when_read),
            web.post("/v1/responses", serve.responses, expect_handler=when_read),
            web.post("/v1/embeddings", serve.embeddings, expect_handler=when_read),
            web.get("/v1/models", models.listed),
            web.get("/v1/models/{id:.+}", models.shown),
            web.get("/v1/pointsman/usage", HttpUsage(completions).shown),
            web.post("/v1/pointsman/feedback", HttpFeedback(completions, log=log).given, expect_handler=when_read),
        ]
    )
    # Cancelled with the caller's connection, so that the call to the provider ends too.
    runner = HttpRunner(
        app,
        access_log=None,
        handler_cancellation=True,
        shutdown_timeout=grace,
        lingering_time=_LINGERING,
        # A few bytes can hold hundreds of megabytes: they are undone where that is bounded, and beside the event loop.
        auto_decompress=False,
    )
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        try:
            await site.start()
        except OSError as error:
            raise AddressInUseError(f"cannot listen on {host}:{port}: {error.strerror}") from error
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()


def _in_openais_shape(log: structlog.stdlib.BoundLogger) -> Middleware:
    """Refuse what is no request to this API in the words that its clients read, and let no error of ours out."""

    @web.middleware
    async def shaped(request: web.Request, handler: _Handler) -> web.StreamResponse:
        try:
            if hdrs.ORIGIN in request.headers:
                # Any page that a browser shows could spend tokens here, and no app of a pod is one.
                return _refused(403, "browser_not_allowed", "this door is for the apps of its pod, not for browsers")
            return await handler(request)
        except web.HTTPException as error:
            code = _CODES.get(error.status, "invalid_request")
            return _refused(error.status, code, _sentence(request, error), error.headers)
        except ConnectionError as error:
            # The caller went away while its request was still coming.
            raise asyncio.CancelledError from error
        except Exception as error:  # noqa: BLE001 - the server would log its message, which may quote a prompt
            told = internal(error, log)
            return web.Response(status=500, body=json.encode(error_body(told)), content_type="application/json")

    return shaped


def _sentence(request: web.Request, error: web.HTTPException) -> str:
    match error.status:
        case 404:
            served = (
                "POST /v1/chat/completions, /v1/responses, /v1/embeddings and /v1/pointsman/feedback, "
                "GET /v1/models and /v1/pointsman/usage"
            )
            hint = "" if request.path.startswith("/v1/") else "; the base URL ends with /v1"
            return f"{request.method} {request.path[:200]} is nothing that this door serves: there are {served}{hint}"
        case 405:
            return f"{request.method} is not how {request.path} is called: {error.headers.get(hdrs.ALLOW, '')} is"
        case _:
            return error.text or error.reason


def _refused(status: int, code: str, message: str, headers: Mapping[str, str] | None = None) -> web.Response:
    kept = {hdrs.ALLOW: headers[hdrs.ALLOW]} if headers and hdrs.ALLOW in headers else None
    body = refusal(message, Status(status, "invalid_request_error", code))
    return web.Response(status=status, body=json.encode(body), content_type="application/json", headers=kept)
