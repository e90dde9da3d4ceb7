"""The `Quotas` service: sidecars' streams, which budgets they are told, and how their calls come to the ledger."""

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable

import grpc
import structlog

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import quota_pb2 as pb
from pointsman_api.v1 import quota_pb2_grpc
from pointsman_operator.compile import budgets_message, told_anew
from pointsman_operator.push import Hub, Identifier, IdentityUnavailableError, News, UnidentifiedError
from pointsman_operator.push.service import HELLO_SECONDS, READY_SECONDS
from pointsman_operator.push.session import CONTRACT_VERSION
from pointsman_operator.quotas.binding import Binding
from pointsman_operator.quotas.router import Caller, Router
from pointsman_operator.quotas.wire import MalformedCallError
from pointsman_operator.resources import Key

log = structlog.get_logger(__name__)

_RENEWAL_RETRY_SECONDS = 5.0
# Budgets are told anew within this after the time for it, so that not all are at once.
_SPREAD_SECONDS = 30.0
# A sidecar that does not read is not written for without end.
_MOST_WAITING = 100

_Context = grpc.aio.ServicerContext[pb.ExchangeRequest, pb.ExchangeResponse]


class _EndError(Exception):
    """The stream is to end with this status."""

    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class _Stream:
    """One sidecar's: what waits to be sent, and whether its budgets are to be looked at."""

    def __init__(self) -> None:
        self.wake = asyncio.Event()
        self.outbox: deque[pb.ExchangeResponse] = deque(maxlen=_MOST_WAITING)
        self.changed = True
        # Whether its pod was among the watched ones; and whether it has to be looked for, since it no longer is.
        self.seen = False
        self.doubted = False
        self.end: _EndError | None = None
        self.token = ""

    def deliver(self, response: pb.ExchangeResponse) -> None:
        """Send this next."""
        self.outbox.append(response)
        self.wake.set()

    def finish(self, code: grpc.StatusCode, message: str) -> None:
        """End the stream, if nothing has before."""
        self.end = self.end or _EndError(code, message)
        self.wake.set()

    def look(self) -> None:
        """Other budgets may bind it."""
        self.changed = True
        self.wake.set()


class QuotasService(quota_pb2_grpc.QuotasServicer):
    """Serves sidecars from a hub, in the hub's event loop.

    A stream's first message is always which budgets bind the sidecar, be it none: until then it has to let its requests
    wait. `user_key` gives the key of users' hashes, or None while there is none; who has budgets of users is then told
    nothing yet.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        identifier: Identifier,
        router: Router,
        binding: Binding,
        user_key: Callable[[], bytes | None],
        now: Callable[[], float] = time.time,
        random: Callable[[], float],
    ) -> None:
        self._hub = hub
        self._identifier = identifier
        self._router = router
        self._binding = binding
        self._user_key = user_key
        self._now = now
        self._random = random
        self._closing = asyncio.Event()
        self._streams: dict[str, dict[_Stream, Caller]] = {}
        self._told_key: bytes | None = None
        hub.subscribe(self._hear)

    def close(self) -> None:
        """End the streams, so that sidecars go elsewhere or come again; to be called before the server is stopped."""
        self._closing.set()
        for stream in self._all():
            stream.finish(grpc.StatusCode.UNAVAILABLE, "the operator is stopping; connect again")

    async def Exchange(  # type: ignore[override]  # noqa: N802 - a coroutine that writes to its context; gRPC's name
        self, request_iterator: AsyncIterator[pb.ExchangeRequest], context: _Context
    ) -> None:
        """Serve one sidecar until it goes."""
        try:
            await self._serve(request_iterator, context)
        except _EndError as end:
            await context.abort(end.code, end.message)

    async def _serve(self, requests: AsyncIterator[pb.ExchangeRequest], context: _Context) -> None:
        hello = await self._hello(requests)
        await self._until_ready()
        stream = _Stream()
        stream.token = hello.token
        asks = control.Hello(contract_version=CONTRACT_VERSION, token=hello.token)
        if hello.HasField("claimed_identity"):
            asks.claimed_identity.CopyFrom(hello.claimed_identity)
        try:
            peer = await self._identifier.identify(asks)
            caller = self._router.join(peer, incarnation=hello.incarnation, deliver=stream.deliver)
        except UnidentifiedError as error:
            raise _EndError(grpc.StatusCode.UNAUTHENTICATED, str(error)) from error
        except IdentityUnavailableError as error:
            raise _EndError(grpc.StatusCode.UNAVAILABLE, str(error)) from error
        except MalformedCallError as error:
            raise _EndError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        self._streams.setdefault(peer.namespace, {})[stream] = caller
        self._look_for_pod(stream, caller)
        reader = asyncio.create_task(self._read(requests, stream, caller))
        reader.add_done_callback(lambda _: stream.wake.set())
        try:
            await self._write(context, stream, caller, reader)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            self._router.leave(caller)
            streams = self._streams[peer.namespace]
            del streams[stream]
            if not streams:
                del self._streams[peer.namespace]

    async def _hello(self, requests: AsyncIterator[pb.ExchangeRequest]) -> pb.QuotaHello:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                first = await anext(requests, None)
        except TimeoutError:
            first = None
        if first is None or first.WhichOneof("message") != "hello":
            raise _EndError(grpc.StatusCode.INVALID_ARGUMENT, "the first message must be a hello")
        if first.hello.contract_version != CONTRACT_VERSION:
            raise _EndError(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"this operator speaks version {CONTRACT_VERSION} of the contract and the sidecar "
                f"version {first.hello.contract_version}; bring the older of the two up to date",
            )
        return first.hello

    async def _until_ready(self) -> None:
        waits = [asyncio.create_task(each.wait()) for each in (self._hub.ready, self._closing)]
        try:
            await asyncio.wait(waits, timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for each in waits:
                each.cancel()
        if self._closing.is_set():
            raise _EndError(grpc.StatusCode.UNAVAILABLE, "the operator is stopping; connect again")
        if not self._hub.ready.is_set():
            message = "the operator has not read the cluster yet; try again in a moment"
            raise _EndError(grpc.StatusCode.UNAVAILABLE, message)

    async def _write(self, context: _Context, stream: _Stream, caller: Caller, reader: asyncio.Task[None]) -> None:
        told: pb.Budgets | None = None
        told_until = 0.0
        while True:
            stream.wake.clear()
            if stream.end is not None:
                raise stream.end
            if reader.done():
                reader.result()  # raises what ended it
                return
            if caller.peer.expires <= self._now():
                message = "the token has expired, and no fresh one that could be checked came before"
                raise _EndError(grpc.StatusCode.UNAUTHENTICATED, message)
            if stream.doubted:
                stream.doubted = False
                await self._renew(stream, caller, stream.token)
                continue
            if stream.changed or self._now() >= told_until:
                stream.changed = False
                told_until = told_anew(self._now()) + _SPREAD_SECONDS * self._random()
                budgets = self._budgets(caller)
                if budgets is not None and budgets != told:
                    await context.write(pb.ExchangeResponse(budgets=budgets))
                    told = budgets
                    continue
            if stream.outbox and told is not None:
                await context.write(stream.outbox.popleft())
                continue
            await _woken(stream, seconds=min(told_until, caller.peer.expires) - self._now())

    def _budgets(self, caller: Caller) -> pb.Budgets | None:
        budgets, key = self._binding.budgets(caller.peer), self._user_key()
        if key is None and any(budget.subject is None for budget in budgets):
            return None
        return budgets_message(budgets, user_key=key or b"")

    async def _read(self, requests: AsyncIterator[pb.ExchangeRequest], stream: _Stream, caller: Caller) -> None:
        renewal: asyncio.Task[None] | None = None
        try:
            async for request in requests:
                match request.WhichOneof("message"):
                    case "call":
                        self._router.call(caller, request.call)
                    case "hello":
                        message = "a second hello; only the first message is one"
                        raise _EndError(grpc.StatusCode.INVALID_ARGUMENT, message)
                    case "token":
                        if renewal is not None:
                            renewal.cancel()
                        # Beside the reading: it may take as long as the API server is away.
                        renewal = asyncio.create_task(self._renew(stream, caller, request.token.token))
                    case _:  # a kind of message that is newer than this operator
                        continue
        except MalformedCallError as error:
            raise _EndError(grpc.StatusCode.INVALID_ARGUMENT, str(error)) from error
        finally:
            if renewal is not None:
                renewal.cancel()

    async def _renew(self, stream: _Stream, caller: Caller, token: str) -> None:
        """Know the pod by this token from now on; end the stream where it is not that pod's, or the pod is gone."""
        while True:
            try:
                caller.peer = await self._identifier.renew(caller.peer, token)
            except UnidentifiedError as error:
                stream.finish(grpc.StatusCode.UNAUTHENTICATED, str(error))
                return
            except IdentityUnavailableError as error:
                log.info("a token cannot be checked yet", pod=caller.peer.pod, reason=str(error))
                await asyncio.sleep(_RENEWAL_RETRY_SECONDS * (0.5 + self._random()))
                continue
            stream.token = token
            stream.look()
            return

    def _hear(self, news: News) -> None:
        key = self._user_key()
        if key != self._told_key:
            self._told_key = key
            for stream in self._all():
                stream.look()
        namespaces = news.namespaces | {quota.namespace for quota in news.quotas}
        for namespace in namespaces:
            for stream, caller in self._streams.get(namespace, {}).items():
                self._look_for_pod(stream, caller)
                stream.look()

    def _look_for_pod(self, stream: _Stream, caller: Caller) -> None:
        """A pod that was seen and is no longer may be gone: have it looked for."""
        peer = caller.peer
        pod = self._hub.world.pods.get(Key(peer.namespace, peer.pod))
        if pod is not None and pod.metadata.uid == peer.uid:
            stream.seen = True
        elif stream.seen:
            stream.seen, stream.doubted = False, True

    def _all(self) -> Iterable[_Stream]:
        return [stream for streams in self._streams.values() for stream in streams]


async def _woken(stream: _Stream, *, seconds: float) -> None:
    """Wait until the stream is woken, or for so long."""
    timer = None
    if seconds != float("inf"):
        timer = asyncio.get_running_loop().call_later(max(0.0, seconds), stream.wake.set)
    try:
        await stream.wake.wait()
    finally:
        if timer is not None:
            timer.cancel()
