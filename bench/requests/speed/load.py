"""Sends requests, so many in flight, for so many seconds, and says how long each took.

Run as a program: a line of JSON in (`Load`), a line of JSON out (`Taken`), until the input ends. Being one process for
all systems, it costs each of them the same.
"""

import asyncio
import json
import sys
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Protocol, cast
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

_PATIENCE = 30.0


class RefusedError(Exception):
    """A request was not answered as it must be. The text says how."""


@dataclass(frozen=True, kw_only=True)
class Load:
    """What to send. `chunks` of 0 asks for a whole answer. `url` is `grpc://host:port` or an HTTP URL."""

    url: str
    model: str
    in_flight: int
    seconds: float
    prompt_bytes: int = 40
    chunks: int = 0
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(kw_only=True)
class Taken:
    """How it went. Times are in milliseconds; `first` are those to the first token of streams."""

    total: list[float] = field(default_factory=list)
    first: list[float] = field(default_factory=list)
    chunks: int = 0
    seconds: float = 0.0
    error: str = ""


class _Client(Protocol):
    async def ask(self) -> tuple[float, int]:
        """Ask once: the time on the clock at the first token, and how many chunks there were."""

    async def close(self) -> None:
        """End the connection."""


def _prompt(load: Load) -> str:
    # Plain words: what a gateway may do to a prompt, it does to these.
    said = f"chunks={load.chunks} " if load.chunks else ""
    words = said + "What is the capital of France? "
    return (words + "It is said that the river runs through it. " * (load.prompt_bytes // 42 + 1))[
        : max(load.prompt_bytes, len(words))
    ]


class _Http(asyncio.Protocol):
    """One connection, kept."""

    def __init__(self, load: Load) -> None:
        url = urlsplit(load.url)
        body = json.dumps(
            {
                "model": load.model,
                "messages": [{"role": "user", "content": _prompt(load)}],
                **({"stream": True} if load.chunks else {}),
            }
        ).encode()
        headers = {
            "host": url.netloc,
            "content-type": "application/json",
            "authorization": "Bearer sk-of-this-bench",
            "content-length": str(len(body)),
            **load.headers,
        }
        head = "".join(f"{name}: {value}\r\n" for name, value in headers.items())
        self._request = f"POST {url.path} HTTP/1.1\r\n{head}\r\n".encode() + body
        self._chunks = load.chunks
        self._received = bytearray()
        self._head, self._length, self._first = -1, -1, 0.0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._head < 0:
            self._head = self._received.find(b"\r\n\r\n")
            if self._head < 0:
                return
            if not self._received.startswith(b"HTTP/1.1 200"):
                self._end(RefusedError(bytes(self._received[:600]).decode(errors="replace")))
                return
            head = bytes(self._received[: self._head]).lower()
            place = head.find(b"content-length:")
            self._length = -1
            if place >= 0:
                self._length = self._head + 4 + int(head[place + 15 :].split(b"\r\n", 1)[0])
        if not self._first and (not self._chunks or b" capital" in self._received):
            self._first = time.perf_counter()
        if len(self._received) == self._length if self._length >= 0 else self._received.endswith(b"\r\n0\r\n\r\n"):
            self._end(None)

    def connection_lost(self, error: Exception | None) -> None:
        self._end(RefusedError(f"the connection was closed ({error})"))

    def _end(self, error: Exception | None) -> None:
        if not self._answered.done():
            if error is None:
                self._answered.set_result(None)
            else:
                self._answered.set_exception(error)

    async def ask(self) -> tuple[float, int]:
        self._received = bytearray()
        self._head, self._length, self._first = -1, -1, 0.0
        self._answered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._transport.write(self._request)
        await self._answered
        chunks = self._received.count(b'" capital')
        if chunks != self._chunks:
            raise RefusedError(f"{chunks} chunks came instead of {self._chunks}: {bytes(self._received[:600])!r}")
        return self._first, chunks

    async def close(self) -> None:
        self._answered = asyncio.get_running_loop().create_future()
        self._transport.close()
        await asyncio.wait([self._answered])
        self._answered.exception()


async def _http(load: Load) -> _Client:
    url = urlsplit(load.url)
    _, client = await asyncio.get_running_loop().create_connection(
        lambda: _Http(load), url.hostname or "", url.port or 0
    )
    return client


async def _grpc(load: Load) -> _Client:
    # gRPC is imported where it is used, so that a run without it is as lean as it can be.
    from speed.grpc_load import GrpcClient  # noqa: PLC0415

    return GrpcClient(load, prompt=_prompt(load))


async def _run(load: Load) -> Taken:
    taken = Taken()
    connect: Callable[[Load], Awaitable[_Client]] = _grpc if load.url.startswith("grpc:") else _http
    clients = [await connect(load) for _ in range(load.in_flight)]
    begun = time.perf_counter()
    until = begun + load.seconds

    async def follow(client: _Client) -> None:
        # Once at least.
        sent = time.perf_counter()
        while True:
            first, chunks = await client.ask()
            taken.total.append((time.perf_counter() - sent) * 1000)
            if load.chunks:
                taken.first.append((first - sent) * 1000)
            taken.chunks += chunks
            if (sent := time.perf_counter()) >= until:
                return

    try:
        async with asyncio.timeout(load.seconds + _PATIENCE), asyncio.TaskGroup() as tasks:
            for client in clients:
                tasks.create_task(follow(client))
    except (BaseExceptionGroup, TimeoutError) as error:
        causes = error.exceptions if isinstance(error, BaseExceptionGroup) else (error,)
        taken.error = f"{type(causes[0]).__name__}: {causes[0]}"
    taken.seconds = time.perf_counter() - begun
    for client in clients:
        await client.close()
    return taken


async def _main() -> None:
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        try:
            taken = await _run(Load(**json.loads(line)))
        except OSError as error:
            taken = Taken(error=f"{type(error).__name__}: {error}")
        print(json.dumps(asdict(taken)), flush=True)  # noqa: T201 - for who started it


if __name__ == "__main__":
    asyncio.run(_main())
