"""Normal completions, all the while, through both doors: how long each takes."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import aiohttp
import grpc

from pointsman_api.v1 import completions_pb2, completions_pb2_grpc, types_pb2

_BETWEEN = 0.02
_PATIENCE = 30.0
_QUESTION = "What is 2 + 2?"


@dataclass(kw_only=True)
class Watched:
    """How long the completions of one sidecar took: when each began, and for how long it went on, by door."""

    took: dict[str, list[tuple[float, float]]] = field(default_factory=lambda: {"HTTP": [], "gRPC": []})
    errors: list[str] = field(default_factory=list)

    def seconds(self, door: str, *, since: float, until: float) -> list[float]:
        """Those of a door that began between two times, in order of size."""
        return sorted(took for begun, took in self.took[door] if since <= begun < until)


@asynccontextmanager
async def watching(*, http_url: str, address: str) -> AsyncIterator[Watched]:
    """Watch a sidecar while the block runs."""
    watched = Watched()
    async with aiohttp.ClientSession() as session, grpc.aio.insecure_channel(address) as channel:
        app = completions_pb2_grpc.CompletionsStub(channel)
        part = completions_pb2.ContentPart(text=_QUESTION)
        request = completions_pb2.CompleteRequest(
            messages=[completions_pb2.Message(role=completions_pb2.ROLE_USER, content=[part])]
        )
        request.hints.severity = types_pb2.SEVERITY_HIGH

        async def over_http() -> None:
            async with session.post(
                f"{http_url}/chat/completions",
                json={"model": "auto", "messages": [{"role": "user", "content": _QUESTION}]},
                headers={"x-pointsman-severity": "high"},
            ) as response:
                if response.status != 200:
                    watched.errors.append(f"HTTP {response.status}: {(await response.text())[:300]}")
                await response.read()

        async def over_grpc() -> None:
            try:
                await app.Complete(request, timeout=_PATIENCE)
            except grpc.aio.AioRpcError as error:
                watched.errors.append(f"gRPC {error.code().name}: {error.details()}")

        async def watch(door: str) -> None:
            ask = over_http if door == "HTTP" else over_grpc
            while True:
                begun = time.monotonic()
                await ask()
                watched.took[door].append((begun, time.monotonic() - begun))
                await asyncio.sleep(_BETWEEN)

        tasks = [asyncio.create_task(watch(door), name=f"watches {door}") for door in watched.took]
        try:
            yield watched
        finally:
            for task in tasks:
                task.cancel()
            for result in await asyncio.gather(*tasks, return_exceptions=True):
                if isinstance(result, Exception):
                    watched.errors.append(f"{type(result).__name__}: {result}")
