"""The way from a replica to the one that holds the Lease, for as long as that is another."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
import structlog

from pointsman_api.v1 import replicas_pb2 as pb
from pointsman_operator.election import Elector, Holder

log = structlog.get_logger(__name__)

RETRY_SECONDS = 1.0
_OPTIONS = (
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    ("grpc.http2.ping_timeout_ms", 10_000),
)

Speak = Callable[[grpc.aio.Channel, pb.ReplicaHello], Awaitable[None]]


class TokenUnreadableError(Exception):
    """The token's file cannot be read; the message says why."""


class EndedError(Exception):
    """A stream has ended, for the reason in the message."""


class HolderLink:
    """`run` speaks to each holder there is, one after the other.

    `ca_bundle` is what the holder's certificate is checked by, and `server_name` the name that it is for. `token` reads
    this replica's proof, which the kubelet renews. `event` is what the log says of a stream that ends.
    """

    def __init__(
        self,
        *,
        elector: Elector,
        ca_bundle: Callable[[], bytes],
        server_name: str,
        token: Callable[[], str],
        random: Callable[[], float],
        event: str,
    ) -> None:
        self._elector = elector
        self._ca_bundle = ca_bundle
        self._server_name = server_name
        self._token = token
        self._random = random
        self._event = event
        self._elsewhere = asyncio.Event()
        elector.subscribe(self._elsewhere.set)

    async def run(self, speak: Speak) -> None:
        """Have `speak` speak to whoever holds the Lease, until cancelled. It raises EndedError when its stream ends."""
        while True:
            self._elsewhere.clear()
            holder = self._elector.holder
            if holder is None or holder.name == self._elector.me.name or not holder.address:
                await self._elsewhere.wait()
                continue
            try:
                await self._speak_to(holder, speak)
                continue
            except (TokenUnreadableError, EndedError) as error:
                log.info(self._event, holder=holder.name, reason=str(error))
            await asyncio.sleep(RETRY_SECONDS * (0.5 + self._random()))

    async def _speak_to(self, holder: Holder, speak: Speak) -> None:
        """Speak to a holder until another one holds the Lease."""
        hello = pb.ReplicaHello(replica=self._elector.me.name, token=self._token())
        credentials = grpc.ssl_channel_credentials(root_certificates=self._ca_bundle())
        options = (*_OPTIONS, ("grpc.ssl_target_name_override", self._server_name))
        async with grpc.aio.secure_channel(holder.address, credentials, options=options) as channel:
            speaking = asyncio.ensure_future(speak(channel, hello))
            elsewhere = asyncio.create_task(self._elsewhere.wait())
            try:
                await asyncio.wait((speaking, elsewhere), return_when=asyncio.FIRST_COMPLETED)
            finally:
                elsewhere.cancel()
                speaking.cancel()
                (ended, _) = await asyncio.gather(speaking, elsewhere, return_exceptions=True)
            if not self._elsewhere.is_set() and isinstance(ended, Exception):
                raise ended


async def until_it_ends(call: grpc.aio.StreamStreamCall[Any, Any], *tasks: asyncio.Task[None]) -> None:
    """Wait until one of the tasks that use a call is done, which only the call's end brings about. Raise EndedError."""
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        raise EndedError(f"{(await call.code()).name}: {await call.details()}")
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        call.cancel()
