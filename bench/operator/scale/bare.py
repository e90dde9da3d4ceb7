"""A program that serves streams over grpc.aio and TLS and does nothing else: the floor that the operator stands on.

Pushes the next revision of a snapshot to every stream on each line of its standard input, and says when on its output.
"""

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator
from pathlib import Path

import grpc

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import control_pb2_grpc
from pointsman_api.v1 import snapshot_pb2 as snapshot


class Bare(control_pb2_grpc.ControlServicer):
    """Sends what there is; takes every answer without looking."""

    def __init__(self, *, padding: int) -> None:
        self._revision = 0
        self._padding = "x" * padding
        self._news = asyncio.Condition()

    async def push(self) -> None:
        """Make another revision."""
        self._revision += 1
        async with self._news:
            self._news.notify_all()

    async def Connect(  # type: ignore[override]  # noqa: N802 - a coroutine that writes to its context; gRPC's name
        self,
        request_iterator: AsyncIterator[control.ConnectRequest],
        context: "grpc.aio.ServicerContext[control.ConnectRequest, control.ConnectResponse]",
    ) -> None:
        """Serve one stream."""
        reading = asyncio.create_task(_drain(request_iterator))
        sent = -1
        try:
            while True:
                async with self._news:
                    await self._news.wait_for(lambda: self._revision != sent)  # noqa: B023 - called before sent changes
                sent = self._revision
                routes = [snapshot.Route(name=self._padding), snapshot.Route(name=f"revision-{sent}")]
                update = control.SnapshotUpdate(
                    contract_version=1, nonce=str(sent), snapshot=snapshot.Snapshot(routes=routes)
                )
                await context.write(control.ConnectResponse(snapshot=update))
        finally:
            reading.cancel()


async def _drain(requests: AsyncIterator[control.ConnectRequest]) -> None:
    async for _ in requests:
        pass


async def main() -> None:
    """Serve until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--certificate", type=Path, required=True)
    parser.add_argument("--key", type=Path, required=True)
    parser.add_argument("--padding", type=int, required=True)
    given = parser.parse_args()
    bare = Bare(padding=given.padding)
    server = grpc.aio.server(options=(("grpc.so_reuseport", 0),))
    control_pb2_grpc.add_ControlServicer_to_server(bare, server)
    pair = (given.key.read_bytes(), given.certificate.read_bytes())
    port = server.add_secure_port("127.0.0.1:0", grpc.ssl_server_credentials([pair]))
    await server.start()
    sys.stdout.write(f"127.0.0.1:{port}\n")
    sys.stdout.flush()
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while await reader.readline():
        sys.stdout.write(f"{time.monotonic()}\n")
        sys.stdout.flush()
        await bare.push()
    await server.stop(0)


if __name__ == "__main__":
    asyncio.run(main())
