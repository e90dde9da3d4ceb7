"""The HTTP server: reads requests, waits, writes. What it writes is decided by the pure modules."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

from aiohttp import hdrs, web

from pointsman_stub.completions import complete
from pointsman_stub.control import Control
from pointsman_stub.deliveries import Delivery, Ending, at_once, deliver
from pointsman_stub.durations import Delay
from pointsman_stub.embeddings import embed
from pointsman_stub.errors import ApiError
from pointsman_stub.faults import HEADER, Fault, FaultBook, FaultError, parse_header
from pointsman_stub.fields import read_json
from pointsman_stub.models import Model, find
from pointsman_stub.records import KeySeen, RequestLog, RequestRecord, fingerprint
from pointsman_stub.replies import Reply, document, refusal, reply
from pointsman_stub.requests import model_name, parse_request

# Pictures and clips travel inside the JSON.
_MAX_BODY = 64 * 2**20

_Handler = Callable[[web.Request, str], Awaitable[web.StreamResponse]]


@dataclass(frozen=True, kw_only=True)
class Behaviour:
    """How the server is set up; fixed while it runs."""

    models: Mapping[str, Model]
    api_keys: frozenset[str]
    latency: Delay
    chunk_delay: Delay


class Server:
    """The OpenAI endpoints. Every request to them is recorded, and every refusal has OpenAI's shape."""

    def __init__(
        self,
        *,
        behaviour: Behaviour,
        book: FaultBook,
        log: RequestLog,
        new_id: Callable[[], str],
        now: Callable[[], float],
    ) -> None:
        self._behaviour = behaviour
        self._book = book
        self._log = log
        self._new_id = new_id
        self._now = now
        self._stopping = False

    def application(self) -> web.Application:
        """The aiohttp application; it must run with handler cancellation, else a lost client is not seen."""
        app = web.Application(client_max_size=_MAX_BODY)
        app.router.add_post("/v1/chat/completions", partial(self._observed, self._chat))
        app.router.add_post("/v1/embeddings", partial(self._observed, self._embed))
        app.router.add_get("/v1/models", partial(self._observed, self._list_models))
        app.router.add_get("/v1/models/{name:.+}", partial(self._observed, self._show_model))
        Control(book=self._book, log=self._log).add_routes(app.router)
        app.router.add_route(hdrs.METH_ANY, "/{path:.*}", partial(self._observed, self._unknown))
        app.on_shutdown.append(self._note_shutdown)
        return app

    async def _observed(self, handler: _Handler, request: web.Request) -> web.StreamResponse:
        request_id = f"req_{self._new_id()}"
        self._log.add(self._record(request, request_id))
        try:
            return await self._refusing(handler, request, request_id)
        except asyncio.CancelledError:
            self._log.update(request_id, open=False, disconnected=not self._stopping)
            raise
        finally:
            self._log.update(request_id, open=False)

    async def _refusing(self, handler: _Handler, request: web.Request, request_id: str) -> web.StreamResponse:
        try:
            return await handler(request, request_id)
        except ApiError as error:
            refused = refusal(error)
        except web.HTTPException as error:
            refused = refusal(ApiError(f"{error.reason}.", status=error.status))
        return await self._send(request, request_id, at_once(refused))

    async def _note_shutdown(self, _: web.Application) -> None:
        self._stopping = True

    async def _list_models(self, request: web.Request, request_id: str) -> web.StreamResponse:
        self._check_key(request)
        listed = [model.body() for model in self._behaviour.models.values()]
        return await self._send(request, request_id, at_once(document({"object": "list", "data": listed})))

    async def _show_model(self, request: web.Request, request_id: str) -> web.StreamResponse:
        self._check_key(request)
        model = find(self._behaviour.models, request.match_info["name"])
        return await self._send(request, request_id, at_once(document(model.body())))

    async def _unknown(self, request: web.Request, _: str) -> web.StreamResponse:
        raise ApiError(f"Invalid URL ({request.method} {request.path}).", status=404, code="unknown_url")

    async def _chat(self, request: web.Request, request_id: str) -> web.StreamResponse:
        body = read_json(await request.read())
        said = _said(body)
        self._log.update(request_id, body=body, model=said.model, stream=said.stream)
        delivery = deliver(
            self._reply(request, body),
            fault=self._fault(request, said.model),
            latency=self._behaviour.latency.of(said.model),
            chunk_delay=self._behaviour.chunk_delay.of(said.model),
        )
        return await self._send(request, request_id, delivery)

    async def _embed(self, request: web.Request, request_id: str) -> web.StreamResponse:
        body = read_json(await request.read())
        said = _said(body)
        self._log.update(request_id, body=body, model=said.model)
        delivery = deliver(
            self._embeddings(request, body),
            fault=self._fault(request, said.model),
            latency=self._behaviour.latency.of(said.model),
            chunk_delay=0.0,
        )
        return await self._send(request, request_id, delivery)

    def _embeddings(self, request: web.Request, body: Any) -> Reply:
        try:
            self._check_key(request)
            model = find(self._behaviour.models, model_name(body))
            return document(embed(body, model))
        except ApiError as error:
            return refusal(error)

    def _reply(self, request: web.Request, body: Any) -> Reply:
        try:
            self._check_key(request)
            model = find(self._behaviour.models, model_name(body))
            completion = complete(parse_request(body), model)
        except ApiError as error:
            return refusal(error)
        self._log.count(input_tokens=completion.usage.prompt, output_tokens=completion.usage.completion)
        return reply(completion, completion_id=f"chatcmpl-{self._new_id()}", created=int(self._now()))

    def _fault(self, request: web.Request, model: str | None) -> Fault | None:
        if (text := request.headers.get(HEADER)) is not None:
            try:
                fault = parse_header(text)
            except FaultError as error:
                raise ApiError(f"{HEADER}: {error}.", param=HEADER, code="invalid_fault") from error
            if fault.model in (None, model):
                return fault
        return self._book.take(model)

    async def _send(self, request: web.Request, request_id: str, delivery: Delivery) -> web.StreamResponse:
        reply = delivery.reply
        response = web.StreamResponse(status=reply.status, headers={**reply.headers, "x-request-id": request_id})
        response.content_type = reply.content_type
        if not reply.streams:
            response.content_length = sum(map(len, reply.parts))
        await asyncio.sleep(delivery.latency)
        try:
            if not delivery.silent:
                self._log.update(request_id, status=reply.status)
                await response.prepare(request)
            for index, part in enumerate(reply.parts[: delivery.sent]):
                if index:
                    await asyncio.sleep(delivery.chunk_delay)
                if delivery.ending is Ending.COMPLETE and index == delivery.sent - 1:
                    # Before the client can see the end, so that it finds the request closed when it looks.
                    self._log.update(request_id, open=False)
                await response.write(part)
            await self._end(request, request_id, delivery.ending)
        except ConnectionError:
            self._log.update(request_id, open=False, disconnected=True)
        return response

    async def _end(self, request: web.Request, request_id: str, ending: Ending) -> None:
        if ending is Ending.COMPLETE:
            return
        if ending is Ending.CUT and request.transport is not None:
            self._log.update(request_id, open=False)
            request.transport.close()
        # The lost connection, by our doing or the client's, or the end of the server cancels this.
        await asyncio.Event().wait()

    def _check_key(self, request: web.Request) -> None:
        key = self._key(request)
        if key.fits:
            return
        if not key.given:
            raise ApiError(
                "No API key was given; send one as 'Authorization: Bearer KEY'.",
                status=401,
            )
        raise ApiError("The API key is not one of this provider's.", status=401, code="invalid_api_key")

    def _key(self, request: web.Request) -> KeySeen:
        scheme, _, key = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
        given = scheme.lower() == "bearer" and bool(key)
        return KeySeen(
            given=given,
            fits=not self._behaviour.api_keys or (given and key in self._behaviour.api_keys),
            fingerprint=fingerprint(key) if given else None,
        )

    def _record(self, request: web.Request, request_id: str) -> RequestRecord:
        names = sorted({name.lower() for name in request.headers} - {"authorization"})
        return RequestRecord(
            id=request_id,
            received_at=self._now(),
            method=request.method,
            path=request.path,
            headers={name: ", ".join(request.headers.getall(name)) for name in names},
            key=self._key(request),
        )


@dataclass(frozen=True, kw_only=True)
class _Said:
    """What a body says of itself, however wrong the rest of it is."""

    model: str | None
    stream: bool


def _said(body: Any) -> _Said:
    fields = body if isinstance(body, dict) else {}
    model = fields.get("model")
    return _Said(model=model if isinstance(model, str) else None, stream=fields.get("stream") is True)
