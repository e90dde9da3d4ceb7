"""Completions over HTTP: each request in its form, through the one path, and back in OpenAI's words."""

from collections.abc import Callable, Mapping
from typing import Any, TypeVar

import structlog
from aiohttp import web

from pointsman_sidecar.completing.completions import Caller, Completions
from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.chat_form import ChatForm
from pointsman_sidecar.contract.decision_json import decision_json
from pointsman_sidecar.contract.embeddings_form import EmbeddingsForm
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.forms import Form
from pointsman_sidecar.contract.hints import own_headers, wants_body
from pointsman_sidecar.contract.json_form import Unread
from pointsman_sidecar.contract.responses_form import ResponsesForm
from pointsman_sidecar.doors.bodies import read_body
from pointsman_sidecar.doors.decision_headers import decision_headers
from pointsman_sidecar.doors.event_sinks import ChatSink, EventStream, HttpSink, ResponseSink
from pointsman_sidecar.doors.known_errors import known_errors
from pointsman_sidecar.doors.openai_errors import error_body, error_headers, status_of
from pointsman_sidecar.doors.reading import Reading
from pointsman_sidecar.telemetry import conventions
from pointsman_sidecar.telemetry.arrivals import Arrival

_JSON = "application/json"
_OK = 200
_Form = TypeVar("_Form")
# Of the headers that an app sends, these alone are read: its key among the others ends here.
_TRACE = ("traceparent", "tracestate")


class HttpCompletions:
    """The handlers."""

    def __init__(self, completions: Completions, *, reading: Reading, log: structlog.stdlib.BoundLogger) -> None:
        self._completions = completions
        self._reading = reading
        self._log = log

    async def chat(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/chat/completions."""
        headers = own_headers(request.headers)
        form = await self._form(request, lambda body: ChatForm(body, headers))
        if not form.streams:
            return await self._whole(request, form)
        stream = EventStream(request)
        sink = ChatSink(stream, include_usage=form.include_usage, with_decision=wants_body(headers))
        return await self._streamed(request, form, stream=stream, sink=sink)

    async def responses(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/responses."""
        headers = own_headers(request.headers)
        form = await self._form(request, lambda body: ResponsesForm(body, headers))
        if not form.streams:
            return await self._whole(request, form)
        stream = EventStream(request)
        sink = ResponseSink(stream, repeated=form.repeated, with_decision=wants_body(headers))
        return await self._streamed(request, form, stream=stream, sink=sink)

    async def embeddings(self, request: web.Request) -> web.StreamResponse:
        """POST /v1/embeddings."""
        headers = own_headers(request.headers)
        form = await self._form(request, lambda body: EmbeddingsForm(body, headers))
        return await self._whole(request, form)

    async def _form(self, request: web.Request, read: Callable[[bytes | Unread], _Form]) -> _Form:
        body = await read_body(request, most=self._completions.most_request_bytes)
        if isinstance(body, Unread):
            return read(body)
        return await self._reading.read(lambda: read(body), size=len(body))

    async def _whole(self, request: web.Request, form: Form[bytes, Any]) -> web.Response:
        caller = Caller(arrival=_arrival(request, begun=lambda: False))
        try:
            with known_errors(self._log):
                answered = await self._completions.complete(form, caller=caller)
        except CompletionError as error:
            return _refusal(request, error)
        body = answered.content
        if wants_body(own_headers(request.headers)):
            body = json.extended(body, "pointsman", decision_json(answered.decision))
        return web.Response(body=body, content_type=_JSON, headers=decision_headers(answered.decision))

    async def _streamed(
        self, request: web.Request, form: Form[Any, Any], *, stream: EventStream, sink: HttpSink[Any]
    ) -> web.StreamResponse:
        caller = Caller(arrival=_arrival(request, begun=lambda: stream.response is not None))
        try:
            with known_errors(self._log):
                await self._completions.stream(form, caller=caller, sink=sink)
        except CompletionError as error:
            if stream.response is None:
                return _refusal(request, error)
            await sink.failed(error)
        return stream.sent


def _refusal(request: web.Request, error: CompletionError) -> web.Response:
    headers = error_headers(error)
    if error.decision is not None:
        headers |= decision_headers(error.decision)
    return web.Response(
        status=status_of(error.kind, error.reason).status,
        body=json.encode(error_body(error, with_decision=wants_body(own_headers(request.headers)))),
        content_type=_JSON,
        headers=headers,
    )


def _arrival(request: web.Request, *, begun: Callable[[], bool]) -> Arrival:
    route = request.path

    def ended(code: str, reason: str) -> Mapping[str, str | int]:
        # A stream's status is sent with its first token. Who went away before it got none.
        if code in Kind.__members__ and not begun():
            return {conventions.HTTP_RESPONSE_STATUS_CODE: status_of(Kind[code], reason).status}
        return {} if code == "CANCELLED" and not begun() else {conventions.HTTP_RESPONSE_STATUS_CODE: _OK}

    return Arrival(
        name=f"{request.method} {route}",
        headers={name: request.headers[name] for name in _TRACE if name in request.headers},
        attributes={
            conventions.HTTP_REQUEST_METHOD: request.method,
            conventions.HTTP_ROUTE: route,
            conventions.URL_PATH: route,
            conventions.URL_SCHEME: "http",
        },
        ended=ended,
    )
