"""The `Control` service: the streams, and nothing that decides what goes through them."""

import asyncio
import math
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable

import grpc
import structlog

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import control_pb2_grpc
from pointsman_operator.push.hub import Hub
from pointsman_operator.push.identity import Identifier, IdentityUnavailableError, UnidentifiedError
from pointsman_operator.push.session import CONTRACT_VERSION, Session

log = structlog.get_logger(__name__)

HELLO_SECONDS = 10.0
READY_SECONDS = 10.0
ANSWER_SECONDS = 30.0
RENEWAL_RETRY_SECONDS = 5.0
MOST_KNOWN = 64
LONGEST_VERSION = 128
_ANSWERED = {"snapshot", "no_policy"}


class RelistError(Exception):
    """The cluster could not be listed; the message says why."""


class _Refusal(Exception):  # noqa: N818 - it ends a stream with a status, and is no error of ours
    def __init__(self, code: grpc.StatusCode, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message


class ControlService(control_pb2_grpc.ControlServicer):
    """Serves sidecars from a hub, in the hub's event loop.

    `relist` is awaited when a sidecar knows more of the cluster than the hub does; it must have the hub updated before
    it returns, and raises RelistError where it cannot. Who has no cluster to list passes a function that does nothing.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        identifier: Identifier,
        relist: Callable[[], Awaitable[None]],
        now: Callable[[], float] = time.time,
        random: Callable[[], float] = random.random,
    ) -> None:
        self._hub = hub
        self._now = now
        self._random = random
        self._identifier = identifier
        self._relist = relist
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End the streams, so that sidecars go elsewhere or come again; to be called before the server is stopped."""
        self._closing.set()
        for session in self._hub.sidecars():
            session.wake.set()

    async def Connect(  # type: ignore[override]  # noqa: N802 - a coroutine that writes to its context; gRPC's name
        self,
        request_iterator: AsyncIterator[control.ConnectRequest],
        context: grpc.aio.ServicerContext[control.ConnectRequest, control.ConnectResponse],
    ) -> None:
        """Serve one sidecar until it goes."""
        try:
            await self._serve(request_iterator, context)
        except _Refusal as refusal:
            await context.abort(refusal.code, refusal.message)

    async def _serve(
        self,
        requests: AsyncIterator[control.ConnectRequest],
        context: grpc.aio.ServicerContext[control.ConnectRequest, control.ConnectResponse],
    ) -> None:
        hello = await self._hello(requests)
        # First, since an operator that has read the cluster need not ask for each pod.
        await self._until_ready()
        try:
            peer = await self._identifier.identify(hello)
        except UnidentifiedError as error:
            raise _unauthenticated(str(error)) from error
        except IdentityUnavailableError as error:
            raise _Refusal(grpc.StatusCode.UNAVAILABLE, str(error)) from error
        if self._hub.is_behind(hello.known):
            await self._catch_up()
        session = self._hub.connect(peer=peer, hello=hello)
        bound = log.bind(namespace=peer.namespace, pod=peer.pod)
        bound.info("sidecar connected", snapshot_version=hello.snapshot_version)
        reader = asyncio.create_task(self._read(requests, session))
        reader.add_done_callback(lambda _: session.wake.set())
        try:
            await self._write(context, session, reader)
        finally:
            reader.cancel()
            await asyncio.gather(reader, return_exceptions=True)
            self._hub.disconnect(session)
            bound.info("sidecar disconnected")

    async def _hello(self, requests: AsyncIterator[control.ConnectRequest]) -> control.Hello:
        try:
            async with asyncio.timeout(HELLO_SECONDS):
                first = await anext(requests, None)
        except TimeoutError:
            raise _invalid(f"no hello within {HELLO_SECONDS:g} s; a stream begins with one") from None
        if first is None or first.WhichOneof("message") != "hello":
            raise _invalid("the first message must be a hello")
        hello = first.hello
        if hello.contract_version != CONTRACT_VERSION:
            raise _Refusal(
                grpc.StatusCode.FAILED_PRECONDITION,
                f"this operator speaks version {CONTRACT_VERSION} of the contract and the sidecar "
                f"version {hello.contract_version}; bring the older of the two up to date",
            )
        if len(hello.known) > MOST_KNOWN:
            raise _invalid(f"the hello knows more than {MOST_KNOWN} objects; a snapshot is made of fewer")
        if len(hello.snapshot_version) > LONGEST_VERSION:
            raise _invalid(f"the hello's snapshot_version is longer than {LONGEST_VERSION} characters")
        return hello

    async def _until_ready(self) -> None:
        ready = asyncio.create_task(self._hub.ready.wait())
        closing = asyncio.create_task(self._closing.wait())
        try:
            await asyncio.wait((ready, closing), timeout=READY_SECONDS, return_when=asyncio.FIRST_COMPLETED)
        finally:
            ready.cancel()
            closing.cancel()
        if self._closing.is_set():
            raise _stopping()
        if not self._hub.ready.is_set():
            raise _Refusal(
                grpc.StatusCode.UNAVAILABLE, "the operator has not read the cluster yet; try again in a moment"
            )

    async def _catch_up(self) -> None:
        try:
            await self._relist()
        except RelistError as error:
            raise _Refusal(
                grpc.StatusCode.UNAVAILABLE,
                f"the sidecar knows more than this operator, which cannot read the cluster now: {error}",
            ) from error

    async def _write(
        self,
        context: grpc.aio.ServicerContext[control.ConnectRequest, control.ConnectResponse],
        session: Session,
        reader: asyncio.Task[None],
    ) -> None:
        clock = asyncio.get_running_loop().time
        deadline = clock()
        while True:
            self._check_that_it_goes_on(session)
            if reader.done():
                reader.result()  # raises what ended it
                return
            valid_for = session.peer.expires - self._now()
            if valid_for <= 0:
                raise _unauthenticated("the token has expired, and no fresh one that could be checked came before")
            session.wake.clear()
            update = self._hub.next_update(session)
            if update is not None:
                await context.write(update)
                if update.WhichOneof("message") in _ANSWERED:
                    deadline = clock() + ANSWER_SECONDS
                continue
            if session.awaits_answer and clock() >= deadline:
                raise _Refusal(grpc.StatusCode.UNAVAILABLE, f"an update was not answered within {ANSWER_SECONDS:g} s")
            # Whichever comes first; what it was is found out above.
            await _woken(session, at=min(clock() + valid_for, deadline if session.awaits_answer else math.inf))

    def _check_that_it_goes_on(self, session: Session) -> None:
        if self._closing.is_set():
            raise _stopping()
        if session.replaced:
            raise _Refusal(grpc.StatusCode.UNAVAILABLE, "another stream of the same pod took the place of this one")
        if session.refused:
            raise _unauthenticated(session.refused)
        if session.dismissed:
            raise _Refusal(grpc.StatusCode.UNAVAILABLE, session.dismissed)

    async def _read(self, requests: AsyncIterator[control.ConnectRequest], session: Session) -> None:
        renewal: asyncio.Task[None] | None = None
        try:
            async for request in requests:
                match request.WhichOneof("message"):
                    case "ack":
                        self._hub.answer(session, request.ack)
                    case "nack":
                        self._hub.answer(session, request.nack)
                    case "hello":
                        raise _invalid("a second hello; only the first message is one")
                    case "token":
                        if renewal is not None:
                            renewal.cancel()
                        # Beside the reading: it may take as long as the API server is away.
                        renewal = asyncio.create_task(self._renew(session, request.token.token))
                    case "tally":
                        self._hub.tunings.take(session, request.tally)
                    case _:  # a kind of message that is newer than this operator
                        continue
        finally:
            if renewal is not None:
                renewal.cancel()

    async def _renew(self, session: Session, token: str) -> None:
        while True:
            try:
                peer = await self._identifier.renew(session.peer, token)
            except UnidentifiedError as error:
                session.refuse(str(error))
                return
            except IdentityUnavailableError as error:
                log.info("a fresh token cannot be checked yet", pod=session.peer.pod, reason=str(error))
                await asyncio.sleep(RENEWAL_RETRY_SECONDS * (0.5 + self._random()))
                continue
            self._hub.identified(session, peer)
            return


async def _woken(session: Session, *, at: float) -> None:
    """Wait for the session to be woken, or until then on the loop's clock. What `asyncio.timeout` does costs more."""
    timer = None if at == math.inf else asyncio.get_running_loop().call_at(at, session.wake.set)
    try:
        await session.wake.wait()
    finally:
        if timer is not None:
            timer.cancel()


def _invalid(message: str) -> _Refusal:
    return _Refusal(grpc.StatusCode.INVALID_ARGUMENT, message)


def _unauthenticated(message: str) -> _Refusal:
    return _Refusal(grpc.StatusCode.UNAUTHENTICATED, message)


def _stopping() -> _Refusal:
    return _Refusal(grpc.StatusCode.UNAVAILABLE, "the operator is stopping; connect again")
