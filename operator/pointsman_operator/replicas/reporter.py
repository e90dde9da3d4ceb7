"""Tells the holder of the Lease of this replica's sidecars, for as long as another replica holds it."""

import asyncio
import contextlib
from collections.abc import Callable
from pathlib import Path

import grpc
import structlog

from pointsman_api.v1 import replicas_pb2 as pb
from pointsman_api.v1 import replicas_pb2_grpc
from pointsman_operator.push import Hub, News, facts_of
from pointsman_operator.replicas.fleet import Totals
from pointsman_operator.replicas.link import HolderLink, TokenUnreadableError, until_it_ends
from pointsman_operator.replicas.reports import CountsOutbox, Outbox, read_published

log = structlog.get_logger(__name__)

# Answers of sidecars come in bursts.
SETTLE_SECONDS = 0.1
# How often it is looked what sidecars have counted.
COUNTS_SECONDS = 2.0
_Call = grpc.aio.StreamStreamCall[pb.ReportRequest, pb.ReportResponse]


class Reporter:
    """`run` is the whole life of it."""

    def __init__(self, hub: Hub, *, link: HolderLink) -> None:
        self._hub = hub
        self._link = link
        self._namespaces: set[str] = set()
        self._wake = asyncio.Event()
        self.totals: Totals | None = None
        """What the holder last said; None while it is not reported to."""
        hub.subscribe(self._hear)

    async def run(self) -> None:
        """Report until cancelled."""
        await self._link.run(self._report)

    async def _report(self, channel: grpc.aio.Channel, hello: pb.ReplicaHello) -> None:
        call = replicas_pb2_grpc.ReplicasStub(channel).Report()
        try:
            await until_it_ends(
                call, asyncio.create_task(self._say(call, hello)), asyncio.create_task(self._hear_back(call))
            )
        finally:
            self.totals = None

    async def _say(self, call: _Call, hello: pb.ReplicaHello) -> None:
        outbox = Outbox()
        await call.write(pb.ReportRequest(hello=hello))
        self._namespaces = {session.peer.namespace for session in self._hub.sidecars()}
        await self._say_changes(call, outbox)
        await call.write(pb.ReportRequest(synced=True))
        counts = CountsOutbox()
        while True:
            for message in counts.changes(session.counted for session in self._hub.sidecars()):
                await call.write(message)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(COUNTS_SECONDS):
                    await self._wake.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            await self._say_changes(call, outbox)

    async def _say_changes(self, call: _Call, outbox: Outbox) -> None:
        self._wake.clear()
        namespaces, self._namespaces = self._namespaces, set()
        for namespace in namespaces:
            for message in outbox.changes(namespace, map(facts_of, self._hub.sidecars_in(namespace))):
                await call.write(message)

    async def _hear_back(self, call: _Call) -> None:
        async for response in call:
            if self.totals is None:
                log.info("reporting to the holder of the Lease")
            self.totals = Totals(replicas=response.replicas, sidecars=response.sidecars)
            self._hub.tunings.publish(map(read_published, response.tunings))

    def _hear(self, news: News) -> None:
        self._namespaces |= news.namespaces
        self._wake.set()


def token_in(file: Path) -> Callable[[], str]:
    """Reads the token in a file, anew each time."""

    def read() -> str:
        try:
            return file.read_text().strip()
        except OSError as error:
            raise TokenUnreadableError(f"the token in {file} cannot be read: {error.strerror}") from error

    return read
