"""A server that answers each connection as a test says, byte for byte: what no well-behaved HTTP server would send."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

Behaviour = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]]


@dataclass(kw_only=True)
class OddProvider:
    """The server, and what it was asked."""

    base_url: str = ""
    heads: list[str] = field(default_factory=list)


@asynccontextmanager
async def odd_provider(behaviour: Behaviour) -> AsyncIterator[OddProvider]:
    """Serve until the block ends; `behaviour` follows each request, and the connection is then closed."""
    provider = OddProvider()
    tasks: set[asyncio.Task[None]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode()
            provider.heads.append(head)
            length = next(
                int(line.partition(":")[2]) for line in head.splitlines() if line.lower().startswith("content-length:")
            )
            await reader.readexactly(length)
            await behaviour(reader, writer)
            await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
            # The client or the test went away, as they do here.
            pass
        finally:
            writer.close()
            tasks.discard(task)

    server = await asyncio.start_server(connected, host="127.0.0.1", port=0)
    port = server.sockets[0].getsockname()[1]
    provider.base_url = f"http://127.0.0.1:{port}/v1"
    try:
        yield provider
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def document(body: bytes, *, status: str = "200 OK", content_type: str = "application/json") -> Behaviour:
    """Answers with a whole document."""

    async def answer(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(
            f"HTTP/1.1 {status}\r\ncontent-type: {content_type}\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n".encode()
            + body
        )

    return answer


def raw(answer: bytes) -> Behaviour:
    """Answers with these bytes, HTTP or not."""

    async def write(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(answer)

    return write


def events(*payloads: bytes, then_hang: bool = False) -> Behaviour:
    """Answers with a stream of events; where it hangs, the connection stays open after them."""

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for payload in payloads:
            writer.write(b"data: " + payload + b"\n\n")
        await writer.drain()
        if then_hang:
            await reader.read()

    return answer
