"""Where a stream goes over HTTP: server-sent events to one caller."""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Protocol, TypeVar

import msgspec
from aiohttp import web

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.completing.completions import Sink
from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.chat_answers import ChatChunk
from pointsman_sidecar.contract.decision_json import decision_json
from pointsman_sidecar.contract.errors import CompletionError
from pointsman_sidecar.contract.responses_events import Event, ResponseEvents
from pointsman_sidecar.doors.decision_headers import decision_headers
from pointsman_sidecar.doors.openai_errors import error_body

_Chunk_contra = TypeVar("_Chunk_contra", contravariant=True)

_HEADERS = {"Content-Type": "text/event-stream", "Cache-Control": "no-cache", "X-Accel-Buffering": "no"}


class EventStream:
    """One answer as server-sent events. Nothing is sent before `open`, so that an error before it has a status."""

    def __init__(self, request: web.Request) -> None:
        self._request = request
        self.response: web.StreamResponse | None = None

    @property
    def sent(self) -> web.StreamResponse:
        """What was sent, once something was."""
        if self.response is None:
            raise RuntimeError("a stream is asked for what it sent before it is open")
        return self.response

    async def open(self, headers: Mapping[str, str]) -> None:
        """Send the status and the headers."""
        self.response = web.StreamResponse(headers={**_HEADERS, **headers})
        try:
            await self.response.prepare(self._request)
        except ConnectionError as error:
            raise asyncio.CancelledError from error

    async def write(self, data: bytes, *, event: bytes = b"") -> None:
        """Send one event; waits while the caller reads no further."""
        if b"\n" in data:
            data = data.replace(b"\n", b"\ndata: ")
        text = b"event: %b\ndata: %b\n\n" % (event, data) if event else b"data: %b\n\n" % data
        try:
            await self.sent.write(text)
        except ConnectionError as error:
            # The caller went away, and this write knew before the server's own notice came.
            raise asyncio.CancelledError from error

    async def close(self) -> None:
        """End the answer."""
        try:
            await self.sent.write_eof()
        except ConnectionError as error:
            raise asyncio.CancelledError from error


class HttpSink(Sink[_Chunk_contra], Protocol[_Chunk_contra]):
    """A sink that can also say that no more will come."""

    async def failed(self, error: CompletionError) -> None:
        """The answer breaks off."""


class ChatSink:
    """Sends a chat completion's chunks as they came.

    The chunk that says what the answer cost comes last, to those who asked for it or for the decision, which it holds.
    """

    def __init__(self, stream: EventStream, *, include_usage: bool, with_decision: bool) -> None:
        self._stream = stream
        self._include_usage = include_usage
        self._with_decision = with_decision
        self._usage: bytes | None = None

    async def started(self, decision: decision_pb2.Decision) -> None:
        """See `Sink`."""
        await self._stream.open(decision_headers(decision))

    async def chunk(self, chunk: ChatChunk) -> None:
        """See `Sink`."""
        if chunk.is_usage:
            self._usage = chunk.raw
        else:
            await self._stream.write(chunk.raw)

    async def finished(self, decision: decision_pb2.Decision) -> None:
        """See `Sink`."""
        if self._with_decision:
            # A provider that counts no tokens sends no such chunk, and the decision is asked for all the same.
            last = self._usage or b'{"id":"","object":"chat.completion.chunk","created":0,"model":"","choices":[]}'
            await self._stream.write(json.extended(last, "pointsman", decision_json(decision)))
        elif self._usage is not None and self._include_usage:
            await self._stream.write(self._usage)
        await self._stream.write(b"[DONE]")
        await self._stream.close()

    async def failed(self, error: CompletionError) -> None:
        """See `HttpSink`. OpenAI's clients raise what an event says under `error`."""
        await self._stream.write(json.encode(error_body(error, with_decision=self._with_decision)))
        await self._stream.close()


class ResponseSink:
    """Sends a response's events. The decision, if asked for, stands in the final response."""

    def __init__(self, stream: EventStream, *, repeated: Mapping[str, msgspec.Raw], with_decision: bool) -> None:
        self._stream = stream
        self._events = ResponseEvents(repeated)
        self._with_decision = with_decision

    async def started(self, decision: decision_pb2.Decision) -> None:
        """See `Sink`."""
        await self._stream.open(decision_headers(decision))

    async def chunk(self, chunk: Mapping[str, Any]) -> None:
        """See `Sink`."""
        await self._write(self._events.feed(chunk))

    async def finished(self, decision: decision_pb2.Decision) -> None:
        """See `Sink`."""
        await self._write(self._events.finish({"pointsman": decision_json(decision)} if self._with_decision else {}))
        await self._stream.close()

    async def failed(self, error: CompletionError) -> None:
        """See `HttpSink`."""
        await self._write(self._events.fail("server_error", str(error)))
        await self._stream.close()

    async def _write(self, events: Iterable[Event]) -> None:
        for event in events:
            await self._stream.write(json.encode(event), event=event["type"].encode())
