"""A sidecar as tests play it: one stream, read and answered step by step."""

import asyncio
import contextlib
from collections.abc import Mapping, Sequence
from typing import Self

import grpc

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import control_pb2_grpc
from pointsman_api.v1 import snapshot_pb2 as snapshot

SECONDS = 10


class Stream:
    """Opened by `connect`; each wait has a deadline."""

    def __init__(self, channel: grpc.aio.Channel) -> None:
        self._call = control_pb2_grpc.ControlStub(channel).Connect()

    @classmethod
    async def connect(
        cls,
        channel: grpc.aio.Channel,
        *,
        namespace: str = "shop",
        pod: str = "app-1",
        labels: Mapping[str, str] | None = None,
        version: int = 1,
        holds: str = "",
        known: Sequence[snapshot.ObjectVersion] = (),
        token: str = "",
    ) -> Self:
        """Open a stream and say hello."""
        stream = cls(channel)
        identity = control.ClaimedIdentity(namespace=namespace, pod=pod, labels=labels or {})
        hello = control.Hello(
            contract_version=version, claimed_identity=identity, snapshot_version=holds, known=known, token=token
        )
        await stream.send(control.ConnectRequest(hello=hello))
        return stream

    async def send(self, request: control.ConnectRequest) -> None:
        """Send one message."""
        await asyncio.wait_for(self._call.write(request), SECONDS)

    async def receive(self) -> control.ConnectResponse:
        """The next update; an AioRpcError if the stream ends instead."""
        update = await asyncio.wait_for(self._call.read(), SECONDS)
        assert isinstance(update, control.ConnectResponse), "the stream ended without an error"
        return update

    async def snapshot(self) -> control.SnapshotUpdate:
        """The next snapshot, past what is not answered and comes before it."""
        while not (update := await self.receive()).HasField("snapshot"):
            assert update.HasField("access") or update.HasField("trust"), update
        return update.snapshot

    async def no_policy(self) -> control.NoPolicy:
        """The next news that there is no policy, past what is not answered and comes before it."""
        while not (update := await self.receive()).HasField("no_policy"):
            assert update.HasField("access") or update.HasField("trust"), update
        return update.no_policy

    async def access(self) -> dict[str, str]:
        """The next access."""
        update = await self.receive()
        assert update.HasField("access"), update
        return {each.provider: each.api_key for each in update.access.providers}

    async def ack(self, nonce: str) -> None:
        """Say that an update is in force."""
        await self.send(control.ConnectRequest(ack=control.Ack(nonce=nonce)))

    async def nack(self, nonce: str, reason: str) -> None:
        """Say that an update is not in force, and why."""
        await self.send(control.ConnectRequest(nack=control.Nack(nonce=nonce, reason=reason)))

    async def trust(self) -> bytes:
        """The next authorities to trust, past any access that comes before them."""
        while not (update := await self.receive()).HasField("trust"):
            assert update.HasField("access"), update
        return update.trust.ca_bundle

    async def renew(self, token: str) -> None:
        """Send a fresh token."""
        await self.send(control.ConnectRequest(token=control.Token(token=token)))

    async def end(self) -> tuple[grpc.StatusCode, str]:
        """Wait for the server to end the stream; how it did."""
        with contextlib.suppress(grpc.aio.AioRpcError):
            async with asyncio.timeout(SECONDS):
                while await self._call.read() is not grpc.aio.EOF:
                    pass
        return await self._call.code(), await self._call.details() or ""

    def cancel(self) -> None:
        """Go away."""
        self._call.cancel()
