"""What is no HTTP is refused in the words of the HTTP door, and quoted in no log."""

from http import HTTPStatus
from typing import Any

from aiohttp import web

from pointsman_sidecar.contract import json
from pointsman_sidecar.doors.openai_errors import Status, refusal

_SENTENCE = "this is no HTTP request that can be read"


class _Protocol(web.RequestHandler):
    """One connection."""

    __slots__ = ()

    def log_exception(self, *_: Any, exc_info: BaseException | None = None, **__: Any) -> None:
        """Log what aiohttp meets by itself: what kind it is, for its words quote what was sent."""
        self.logger.info("a connection was ended by %s", type(exc_info).__name__)

    def handle_error(
        self,
        request: web.BaseRequest,
        status: int = 500,
        exc: BaseException | None = None,
        message: str | None = None,
    ) -> web.StreamResponse:
        """Answer what the parser refuses. aiohttp would log it with a traceback, and what was sent within that."""
        if request.writer.output_size > 0:
            raise ConnectionError("there is no answer to an answer that was begun")
        if status >= HTTPStatus.INTERNAL_SERVER_ERROR:
            return super().handle_error(request, status, exc, message)
        # The parser's own words quote what it read on lines of their own, from the second on.
        why = (message or "").partition("\n")[0].rstrip(": ")
        body = refusal(f"{_SENTENCE}: {why}" if why else _SENTENCE, Status(status, "invalid_request_error", "bad_http"))
        answer = web.Response(status=status, body=json.encode(body), content_type="application/json")
        answer.force_close()
        return answer


class _Server(web.Server):
    """Connections of the kind above."""

    def __call__(self) -> web.RequestHandler:
        return _Protocol(self, loop=self._loop, **self._kwargs)


class HttpRunner(web.AppRunner):
    """Runs an application on such connections."""

    __slots__ = ()

    async def _make_server(self) -> web.Server:
        made = await super()._make_server()
        options: dict[str, Any] = made._kwargs  # noqa: SLF001 - aiohttp has no other way to another connection
        return _Server(
            made.request_handler,
            request_factory=made.request_factory,
            handler_cancellation=made.handler_cancellation,
            **options,
        )
