"""An operator that says what a test tells it to, over real gRPC, and keeps what it is told."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc

from pointsman_api.v1 import control_pb2, control_pb2_grpc, quota_pb2_grpc

_PATIENCE = 5.0
_STOPS_WITHIN = 1.0
# Sidecars look every 20 s whether the operator is still there, and gRPC cuts off who does so more than every 5 minutes.
_OPTIONS = (("grpc.so_reuseport", 0), ("grpc.http2.min_ping_interval_without_data_ms", 5_000))


class Connection:
    """One sidecar's stream, from the operator's side."""

    def __init__(self, hello: control_pb2.Hello) -> None:
        self.hello = hello
        self.received: asyncio.Queue[control_pb2.ConnectRequest] = asyncio.Queue()
        self.to_send: asyncio.Queue[control_pb2.ConnectResponse | None] = asyncio.Queue()

    def send(self, **message: object) -> None:
        """Send an update: `snapshot=`, `no_policy=` or `access=`."""
        self.to_send.put_nowait(control_pb2.ConnectResponse(**message))  # type: ignore[arg-type]

    def send_raw(self, message: control_pb2.ConnectResponse) -> None:
        """Send a message as it is."""
        self.to_send.put_nowait(message)

    def close(self) -> None:
        """End the stream."""
        self.to_send.put_nowait(None)

    async def answer(self) -> control_pb2.ConnectRequest:
        """The next ACK or NACK."""
        async with asyncio.timeout(_PATIENCE):
            return await self.received.get()


class FakeOperator(control_pb2_grpc.ControlServicer):
    """The servicer. Get one, and its address, from `running_operator()`."""

    def __init__(
        self, *, refuse: grpc.StatusCode | None = None, quotas: quota_pb2_grpc.QuotasServicer | None = None
    ) -> None:
        self.refuse = refuse
        self._quotas = quotas
        self.address = ""
        self.opened: asyncio.Queue[Connection] = asyncio.Queue()
        self._server = grpc.aio.server(options=_OPTIONS)

    async def start(self, *, port: int) -> None:
        """Serve; port 0 takes a free one."""
        control_pb2_grpc.add_ControlServicer_to_server(self, self._server)
        if self._quotas is not None:
            quota_pb2_grpc.add_QuotasServicer_to_server(self._quotas, self._server)
        self.address = f"127.0.0.1:{self._server.add_insecure_port(f'127.0.0.1:{port}')}"
        await self._server.start()

    async def stop(self) -> None:
        """Be away: all streams break."""
        # gRPC waits for good where somebody connects in the moment that it stops listening.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.stop(0), _STOPS_WITHIN)

    async def connection(self) -> Connection:
        """The next stream that a sidecar opens."""
        async with asyncio.timeout(_PATIENCE):
            return await self.opened.get()

    async def Connect(  # noqa: N802 - gRPC's name
        self,
        requests: AsyncIterator[control_pb2.ConnectRequest],
        context: "grpc.aio.ServicerContext[control_pb2.ConnectRequest, control_pb2.ConnectResponse]",
    ) -> AsyncIterator[control_pb2.ConnectResponse]:
        """Follow the test."""
        connection = Connection((await anext(requests)).hello)
        self.opened.put_nowait(connection)
        if self.refuse is not None:
            await context.abort(self.refuse, "not now")
        reading = asyncio.create_task(self._read(requests, connection), name="operator reads")
        try:
            while (message := await connection.to_send.get()) is not None:
                yield message
        finally:
            reading.cancel()

    async def _read(self, requests: AsyncIterator[control_pb2.ConnectRequest], connection: Connection) -> None:
        async for request in requests:
            connection.received.put_nowait(request)


@asynccontextmanager
async def running_operator(
    *,
    port: int = 0,
    refuse: grpc.StatusCode | None = None,
    quotas: quota_pb2_grpc.QuotasServicer | None = None,
) -> AsyncIterator[FakeOperator]:
    """Serve until the block ends, at which all streams break. Port 0 takes a free one.

    Without `quotas`, it is an operator of a version that knows no budgets.
    """
    operator = FakeOperator(refuse=refuse, quotas=quotas)
    await operator.start(port=port)
    try:
        yield operator
    finally:
        await operator.stop()
