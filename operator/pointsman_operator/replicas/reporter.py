"""Tells the holder of the Lease of this replica's sidecars, for as long as another replica holds it."""

import asyncio
from collections.abc import Callable
from pathlib import Path

import grpc
import structlog

from pointsman_api.v1 import replicas_pb2 as pb
from pointsman_api.v1 import replicas_pb2_grpc
from pointsman_operator.election import Elector, Holder
from pointsman_operator.push import Hub, News, facts_of
from pointsman_operator.replicas.fleet import Totals
from pointsman_operator.replicas.reports import Outbox

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
# Answers of sidecars come in bursts.
SETTLE_SECONDS = 0.1
_OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
)

_Call = grpc.aio.StreamStreamCall[pb.ReportRequest, pb.ReportResponse]


class TokenUnreadableError(Exception):
    """The token's file cannot be read; the message says why."""


class _EndedError(Exception):
    """The stream has ended, for the reason in the message."""


class Reporter:
    """`run` is the whole life of it.

    `ca_bundle` is what the holder's certificate is checked by, and `server_name` the name that it is for. `token` reads
    this replica's proof, which the kubelet renews.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        elector: Elector,
        ca_bundle: Callable[[], bytes],
        server_name: str,
        token: Callable[[], str],
        random: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._elector = elector
        self._ca_bundle = ca_bundle
        self._server_name = server_name
        self._token = token
        self._random = random
        self._namespaces: set[str] = set()
        self._wake = asyncio.Event()
        self._elsewhere = asyncio.Event()
        self.totals: Totals | None = None
        """What the holder last said; None while it is not reported to."""
        hub.subscribe(self._hear)
        elector.subscribe(self._elsewhere.set)

    async def run(self) -> None:
        """Report until cancelled."""
        while True:
            self._elsewhere.clear()
            holder = self._elector.holder
            if holder is None or holder.name == self._elector.me.name or not holder.address:
                await self._elsewhere.wait()
                continue
            try:
                await self._report(holder)
                continue
            except (TokenUnreadableError, _EndedError) as error:
                reason = str(error)
            finally:
                self.totals = None
            log.info("the holder of the Lease is not reported to", holder=holder.name, reason=reason)
            await asyncio.sleep(RETRY_SECONDS * (0.5 + self._random()))

    async def _report(self, holder: Holder) -> None:
        """Report to a holder until another one holds the Lease."""
        hello = pb.ReplicaHello(replica=self._elector.me.name, token=self._token())
        credentials = grpc.ssl_channel_credentials(root_certificates=self._ca_bundle())
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", self._server_name))
        async with grpc.aio.secure_channel(holder.address, credentials, options=options) as channel:
            call = replicas_pb2_grpc.ReplicasStub(channel).Report()
            tasks = [
                asyncio.create_task(self._say(call, hello)),
                asyncio.create_task(self._hear_totals(call)),
                asyncio.create_task(self._elsewhere.wait()),
            ]
            try:
                await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
                if not self._elsewhere.is_set():
                    # Nothing but its end has either of the other two return.
                    raise _EndedError(f"{(await call.code()).name}: {await call.details()}")
            finally:
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
                call.cancel()

    async def _say(self, call: _Call, hello: pb.ReplicaHello) -> None:
        outbox = Outbox()
        await call.write(pb.ReportRequest(hello=hello))
        self._namespaces = {session.peer.namespace for session in self._hub.sidecars()}
        await self._say_changes(call, outbox)
        await call.write(pb.ReportRequest(synced=True))
        while True:
            await self._wake.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            await self._say_changes(call, outbox)

    async def _say_changes(self, call: _Call, outbox: Outbox) -> None:
        self._wake.clear()
        namespaces, self._namespaces = self._namespaces, set()
        for namespace in namespaces:
            for message in outbox.changes(namespace, map(facts_of, self._hub.sidecars_in(namespace))):
                await call.write(message)

    async def _hear_totals(self, call: _Call) -> None:
        async for response in call:
            if self.totals is None:
                log.info("reporting to the holder of the Lease")
            self.totals = Totals(replicas=response.replicas, sidecars=response.sidecars)

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
