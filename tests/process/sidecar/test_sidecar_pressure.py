"""Long streams: an app that reads slowly holds the provider back, and no answer is gathered on the way."""

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import urlsplit

import grpc
import pytest

from pointsman_api.v1 import completions_pb2_grpc, control_pb2
from support.completions import ask
from support.odd_providers import odd_provider
from support.operators import running_operator
from support.sidecar_processes import SidecarProcess, running_process
from support.sidecars import Sidecar, running_sidecar
from support.snapshots import snapshot, update

KEY = "sk-of-these-tests"
TOKENS = 16_384
HEAD = b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n"
BIG = "x" * 16_000
# Far above what sockets and streams on the way can hold, and far below what is sent where nobody holds back.
ENDLESS = 8_000
END = b'data: {"id": "c", "choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'
Read = Callable[[], Awaitable[None]]


def event(text: str) -> bytes:
    """A chunk of an answer."""
    said = {"id": "c", "choices": [{"index": 0, "delta": {"content": text}}]}
    return b"data: " + json.dumps(said).encode() + b"\n\n"


@asynccontextmanager
async def over_grpc(sidecar: Sidecar) -> AsyncIterator[Read]:
    """An app that reads an event of a stream when it is told to."""
    call = sidecar.app.CompleteStream(ask())

    async def read() -> None:
        await call.read()

    yield read
    call.cancel()


@asynccontextmanager
async def over_http(sidecar: Sidecar) -> AsyncIterator[Read]:
    """The same over HTTP, with a small buffer of its own."""
    url = urlsplit(sidecar.http_url)
    raw = socket.socket()
    raw.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    raw.setblocking(False)
    await asyncio.get_running_loop().sock_connect(raw, (url.hostname, url.port))
    reader, writer = await asyncio.open_connection(sock=raw, limit=2**15)
    body = b'{"model": "auto", "stream": true, "messages": [{"role": "user", "content": "Hello"}]}'
    writer.write(
        b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
        b"content-length: %d\r\n\r\n%s" % (len(body), body)
    )

    async def read() -> None:
        assert await reader.read(2**15)

    yield read
    writer.close()


@pytest.mark.parametrize("app", [over_grpc, over_http])
async def test_an_app_that_reads_no_further_holds_the_provider_back(app: Callable[..., object]) -> None:
    sent = 0
    full = asyncio.Event()
    moved = asyncio.Event()

    async def endless(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(HEAD)
        writer.transport.set_write_buffer_limits(0)
        for _number in range(ENDLESS):
            writer.write(event(BIG))
            # The write that waits is the one that finds every buffer up to the app full. That it does wait can only be
            # seen by nothing being sent: the app's next read sets it free, and that is what is waited for below.
            draining = asyncio.ensure_future(writer.drain())
            done, _pending = await asyncio.wait({draining}, timeout=None if full.is_set() else 1.0)
            if not done:
                full.set()
                await draining
                moved.set()
            sent += 1

    async with (
        odd_provider(endless) as provider,
        running_sidecar(
            content=snapshot(base_url=provider.base_url, first_token=30, attempt=30, total=60),
            access={"openai": KEY},
            channel_options=(("grpc.http2.lookahead_bytes", 16_384), ("grpc.http2.bdp_probe", 0)),
        ) as sidecar,
        app(sidecar) as read,  # type: ignore[attr-defined]
    ):
        await read()
        await asyncio.wait_for(full.wait(), 30)
        held = sent
        while not moved.is_set():
            await read()

    assert held < ENDLESS // 2
    assert moved.is_set()


@asynccontextmanager
async def long_answers() -> AsyncIterator[SidecarProcess]:
    """A sidecar's process whose provider gives answers of 16,384 tokens, each with log-probabilities' worth of JSON."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(HEAD)
        for number in range(TOKENS):
            writer.write(event(f"token {number} " + "y" * 400))
            if number % 64 == 0:
                await writer.drain()
        writer.write(END)

    async with (
        odd_provider(answer) as provider,
        running_operator() as operator,
        running_process(operator=operator.address) as process,
    ):
        connection = await operator.connection()
        connection.send(
            access=control_pb2.AccessUpdate(providers=[control_pb2.ProviderAccess(provider="openai", api_key=KEY)])
        )
        connection.send(snapshot=update(snapshot(base_url=provider.base_url, attempt=50, total=60)))
        await connection.answer()
        yield process


async def test_memory_stays_flat_over_a_long_answer() -> None:
    async with long_answers() as process, grpc.aio.insecure_channel(process.address) as channel:
        app = completions_pb2_grpc.CompletionsStub(channel)

        async def one() -> int:
            return sum([len(event.chunk.choices) async for event in app.CompleteStream(ask())])

        # What is imported or allocated once is there after the first.
        assert await one() == TOKENS + 1
        before = _high_water(process.process.pid)
        assert await one() == TOKENS + 1
        after = _high_water(process.process.pid)

    # The answer is 8 MB of JSON; gathered as objects it would be a multiple of that.
    assert after - before < 4 * 1024


def _high_water(pid: int) -> int:
    """The most memory that a process has had, in KiB."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM"))
