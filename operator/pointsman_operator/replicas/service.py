"""The `Replicas` service: the other replicas' streams, at the one that holds the Lease."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable

import grpc
import structlog

from pointsman_api.v1 import replicas_pb2 as pb
from pointsman_api.v1 import replicas_pb2_grpc
from pointsman_operator.election import Elector
from pointsman_operator.push.tunings import Published, Tunings, is_sound
from pointsman_operator.replicas.admitting import admitted, dismissed, served
from pointsman_operator.replicas.fleet import EXPIRES_SECONDS, Fleet, Totals
from pointsman_operator.replicas.identity import ReplicaIdentity
from pointsman_operator.replicas.reports import published, read_counted, read_pod, read_state

log = structlog.get_logger(__name__)

# How often a replica is told of totals and tunings that changed.
TOTALS_SECONDS = 1.0

_Context = grpc.aio.ServicerContext[pb.ReportRequest, pb.ReportResponse]


class ReplicasService(replicas_pb2_grpc.ReplicasServicer):
    """Fills the fleet, and hears and tells what the hub has to do with tuning, in their event loop."""

    def __init__(
        self,
        fleet: Fleet,
        *,
        tunings: Tunings,
        elector: Elector,
        identity: ReplicaIdentity,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._fleet = fleet
        self._tunings = tunings
        self._elector = elector
        self._identity = identity
        self._now = now
        self._ending = asyncio.Event()
        elector.subscribe(self._look)

    def close(self) -> None:
        """End the streams; to be called before the server is stopped."""
        self._ending.set()

    async def Report(  # type: ignore[override]  # noqa: N802 - a coroutine that writes to its context; gRPC's name
        self, request_iterator: AsyncIterator[pb.ReportRequest], context: _Context
    ) -> None:
        """Hear one replica until it goes."""
        hello, expiry = await admitted(request_iterator, context, elector=self._elector, identity=self._identity)
        ending = self._ending
        stream = self._fleet.join(hello.replica)
        log.info("replica reports", replica=hello.replica)
        reading = self._read(request_iterator, hello.replica, stream)
        try:
            await served(reading, self._tell(context), ending=ending, seconds=expiry - self._now())
        finally:
            self._fleet.leave(hello.replica, stream)
            asyncio.get_running_loop().call_later(EXPIRES_SECONDS, self._fleet.expire)
            log.info("replica reports no more", replica=hello.replica)
        await dismissed(context, ending=ending, is_expired=expiry <= self._now(), again="report")

    async def _read(self, requests: AsyncIterator[pb.ReportRequest], replica: str, stream: int) -> None:
        async for request in requests:
            self._fleet.update(
                replica,
                stream,
                sidecars=map(read_state, request.sidecars),
                gone=map(read_pod, request.gone),
            )
            for said in request.tallies:
                if is_sound(said.tally):
                    self._tunings.hear(read_counted(said))
            if request.synced:
                self._fleet.synced(replica, stream)

    async def _tell(self, context: _Context) -> None:
        told: Totals | None = None
        sent: dict[str, Published] = {}
        revision = -1
        while True:
            totals, news = self._fleet.totals(), list[Published]()
            if revision != self._tunings.revision:
                revision = self._tunings.revision
                now = {each.tuning.policy_uid: each for each in self._tunings.all()}
                news = [each for uid, each in now.items() if sent.get(uid) is not each]
                sent = now
            if totals != told and not news:
                await context.write(pb.ReportResponse(replicas=totals.replicas, sidecars=totals.sidecars))
            for part in published(news):
                await context.write(pb.ReportResponse(replicas=totals.replicas, sidecars=totals.sidecars, tunings=part))
            told = totals
            await asyncio.sleep(TOTALS_SECONDS)

    def _look(self) -> None:
        """What was reported to a holder is nothing to one that holds the Lease no more."""
        if not self._elector.leading:
            self._ending.set()
            self._ending = asyncio.Event()
            self._fleet.clear()
