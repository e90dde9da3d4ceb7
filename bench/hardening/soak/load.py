"""Completions of four kinds: whole and streamed, through both doors."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import grpc

from pointsman_api.v1 import completions_pb2, completions_pb2_grpc

_QUESTION = "What is 2 + 2?"
_OK = 200
# More than the policy gives a completion.
_PATIENCE = 60.0


class AskError(Exception):
    """A completion failed, or its answer is none."""


@dataclass(kw_only=True)
class Asked:
    """What came of one kind."""

    took: list[float] = field(default_factory=list)
    errors: dict[str, int] = field(default_factory=dict)


class Load:
    """Asks, and keeps what came of it."""

    def __init__(
        self, session: aiohttp.ClientSession, app: "completions_pb2_grpc.CompletionsAsyncStub", url: str
    ) -> None:
        self._session = session
        self._app = app
        self._url = f"{url}/chat/completions"
        self._kinds: dict[str, Callable[[], Awaitable[None]]] = {
            "HTTP, whole": self._http_whole,
            "HTTP, streamed": self._http_streamed,
            "gRPC, whole": self._grpc_whole,
            "gRPC, streamed": self._grpc_streamed,
        }
        self.asked = {kind: Asked() for kind in self._kinds}
        self.waiting = 0

    async def ask(self, number: int) -> None:
        """One completion; its kind goes by its number."""
        kind = list(self._kinds)[number % len(self._kinds)]
        asked = self.asked[kind]
        begun = time.monotonic()
        self.waiting += 1
        try:
            async with asyncio.timeout(_PATIENCE):
                await self._kinds[kind]()
        except AskError as error:
            asked.errors[str(error)] = asked.errors.get(str(error), 0) + 1
        except (aiohttp.ClientError, TimeoutError) as error:
            asked.errors[type(error).__name__] = asked.errors.get(type(error).__name__, 0) + 1
        else:
            asked.took.append(time.monotonic() - begun)
        finally:
            self.waiting -= 1

    async def _http_whole(self) -> None:
        async with self._session.post(self._url, json=_body(stream=False)) as response:
            document = await response.json()
            if response.status != _OK:
                raise AskError(f"{response.status} {document['error']['code']}: {document['error']['message'][:200]}")
            if not document["choices"][0]["message"]["content"]:
                raise AskError("an empty answer")

    async def _http_streamed(self) -> None:
        async with self._session.post(self._url, json=_body(stream=True)) as response:
            said = await response.read()
            if response.status != _OK:
                raise AskError(f"{response.status}: {said[:200]!r}")
            if not said.endswith(b"data: [DONE]\n\n"):
                raise AskError(f"a stream that breaks off: {said[-200:]!r}")

    async def _grpc_whole(self) -> None:
        try:
            answer = await self._app.Complete(_request())
        except grpc.aio.AioRpcError as error:
            raise AskError(f"{error.code().name}: {(error.details() or '')[:200]}") from error
        if not answer.choices[0].message.content[0].text:
            raise AskError("an empty answer")

    async def _grpc_streamed(self) -> None:
        last = None
        try:
            async for event in self._app.CompleteStream(_request()):
                last = event.WhichOneof("event")
        except grpc.aio.AioRpcError as error:
            raise AskError(f"{error.code().name}: {(error.details() or '')[:200]}") from error
        if last != "finished":
            raise AskError("a stream that breaks off")


def _body(*, stream: bool) -> dict[str, object]:
    return {"model": "auto", "messages": [{"role": "user", "content": _QUESTION}], "stream": stream}


def _request() -> completions_pb2.CompleteRequest:
    part = completions_pb2.ContentPart(text=_QUESTION)
    message = completions_pb2.Message(role=completions_pb2.ROLE_USER, content=[part])
    return completions_pb2.CompleteRequest(messages=[message])


@asynccontextmanager
async def loading(*, http_url: str, address: str) -> AsyncIterator[Load]:
    """A load for a sidecar."""
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector) as session, grpc.aio.insecure_channel(address) as channel:
        yield Load(session, completions_pb2_grpc.CompletionsStub(channel), http_url)
