"""The stream to the operator: opened again for as long as the sidecar lives, whatever breaks it."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

import grpc
import structlog

from pointsman_api.v1 import control_pb2, control_pb2_grpc, tuning_pb2
from pointsman_sidecar.contract.rejections import SnapshotRejectedError
from pointsman_sidecar.contract.snapshots import CONTRACT_VERSION, read_snapshot
from pointsman_sidecar.contract.tunings import UnreadableTuningError, read_tuning, tally_of
from pointsman_sidecar.control.channel import end_if_cancelled, open_channel, reason
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.control.outgoing import drain, renew
from pointsman_sidecar.control.store import SnapshotStore
from pointsman_sidecar.control.trust import OperatorTls, TokenError, TrustError
from pointsman_sidecar.telemetry.metrics import Metrics
from pointsman_sidecar.tuning.counting import Counting
from pointsman_sidecar.tuning.tuning import without_thresholds

_FIRST_DELAY = 0.1
_LONGEST_DELAY = 15.0
# A stream that lived this long, in seconds, was a good one: the next failure starts from the first delay again.
_GOOD_LIFE = 10.0
# How often what was counted is sent, where it is not what was sent before. Each sidecar waits a little more or less.
TALLY_SECONDS = 10.0
# And so often while the fleet has no threshold for the share that the policy asks for: until then each sidecar guesses.
EAGER_SECONDS = 2.0
# So long after the operator was last heard of, what it made of the fleet's counts is what it would make now.
FLEET_SECONDS = 3600.0


@dataclass(frozen=True, kw_only=True, slots=True)
class Backoff:
    """How long to wait before the next try: twice as long each time, and somewhere in the upper half of it.

    `random` gives a number from 0 to 1. Sidecars that lost the same operator must not come back at the same moment.
    """

    random: Callable[[], float]

    def delay(self, failures: int) -> float:
        """Seconds to wait after this many failures in a row, one at least."""
        longest: float = min(_LONGEST_DELAY, _FIRST_DELAY * 2 ** min(failures - 1, 16))
        return longest * (0.5 + self.random() / 2)

    def spread(self, seconds: float) -> float:
        """About so many seconds: what thousands of sidecars do now and then must not come at the same moment."""
        return seconds * (0.9 + self.random() / 5)


class ControlStream:
    """Keeps `in_force` as the operator says. `run` is the whole life of it.

    `identity` is what an operator of development believes; `tls` is how any other is known, and convinced.
    """

    def __init__(
        self,
        *,
        operator: str,
        identity: control_pb2.ClaimedIdentity | None,
        in_force: InForce,
        store: SnapshotStore | None,
        counting: Counting,
        metrics: Metrics,
        log: structlog.stdlib.BoundLogger,
        backoff: Backoff,
        clock: Callable[[], float],
        tls: OperatorTls | None = None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._operator = operator
        self._identity = identity
        self._in_force = in_force
        self._store = store
        self._counting = counting
        self._metrics = metrics
        self._log = log
        self._backoff = backoff
        self._clock = clock
        self._tls = tls
        self._sleep = sleep
        self._current: control_pb2.SnapshotUpdate | None = None
        self._heard_at = clock()
        self.informed = asyncio.Event()
        """Set once the operator has said what it takes to serve, or that there is nothing to serve by."""

    def restore(self) -> None:
        """Put the stored snapshot in force, if there is one that this build can read."""
        update = self._store.load() if self._store else None
        if update is None:
            return
        try:
            policy = read_snapshot(update)
        except SnapshotRejectedError as error:
            self._log.warning("the stored snapshot cannot be used", reason=str(error))
            return
        self._in_force.apply(policy)
        self._current = update
        self._metrics.programmed(str(policy), policy.generation, [route.name for route in policy.routes])
        self._log.info("stored snapshot in force", policy=str(policy), generation=policy.generation)
        if self._store and (tuning := self._store.load_tuning()) is not None:
            self._tune(tuning)

    async def run(self) -> None:
        """Connect, follow, and connect again; ends by cancellation only."""
        failures = 0
        while True:
            started = self._clock()
            try:
                async with open_channel(self._operator, self._tls) as channel:
                    await self._follow(control_pb2_grpc.ControlStub(channel))
                why = "the operator closed the stream"
            except grpc.aio.AioRpcError as error:
                why = reason(error, self._tls)
            except TokenError as error:
                why = str(error)
            finally:
                self._metrics.control_connected.set(0)
            end_if_cancelled()
            if self._clock() - self._heard_at > FLEET_SECONDS:
                self._in_force.fleet = without_thresholds(self._in_force.fleet)
            failures = 1 if self._clock() - started > _GOOD_LIFE else failures + 1
            delay = self._backoff.delay(failures)
            self._log.warning("not connected to the operator", reason=why, retry_in_seconds=round(delay, 2))
            if self._in_force.waiting:
                self._in_force.no_policy = f"the operator has not sent a policy yet ({why})"
            await self._sleep(delay)

    async def _follow(self, stub: "control_pb2_grpc.ControlAsyncStub") -> None:
        token = self._tls.token() if self._tls else ""
        answers: asyncio.Queue[control_pb2.ConnectRequest | None] = asyncio.Queue()
        answers.put_nowait(control_pb2.ConnectRequest(hello=self._hello(token)))
        call = stub.Connect(drain(answers))

        def send(fresh: control_pb2.Token) -> None:
            answers.put_nowait(control_pb2.ConnectRequest(token=fresh))

        beside = [asyncio.create_task(self._tell_counts(answers))]
        if self._tls:
            beside.append(asyncio.create_task(renew(self._tls, token, send=send, log=self._log)))
        heard = False
        try:
            async for response in call:
                heard = True
                self._metrics.control_connected.set(1)
                answer = self._receive(response)
                if answer is not None:
                    answers.put_nowait(answer)
                if not self._in_force.waiting and (self._in_force.access or self._in_force.policy is None):
                    self.informed.set()
        finally:
            if heard:
                self._heard_at = self._clock()
            for task in beside:
                task.cancel()
            call.cancel()
            # A call that has ended is not cancelled, and gRPC would wait for one more answer to send for good.
            answers.put_nowait(None)

    def _hello(self, token: str) -> control_pb2.Hello:
        hello = control_pb2.Hello(contract_version=CONTRACT_VERSION, claimed_identity=self._identity, token=token)
        if self._current is not None:
            hello.snapshot_version = self._current.version
            hello.known.extend(self._current.snapshot.inputs)
        return hello

    def _receive(self, response: control_pb2.ConnectResponse) -> control_pb2.ConnectRequest | None:
        match response.WhichOneof("message"):
            case "snapshot":
                return self._apply(response.snapshot)
            case "no_policy":
                self._withdraw(response.no_policy)
                return control_pb2.ConnectRequest(ack=control_pb2.Ack(nonce=response.no_policy.nonce))
            case "access":
                self._in_force.access = {each.provider: each.api_key for each in response.access.providers}
                self._log.info("access", providers=sorted(self._in_force.access))
            case "trust":
                self._trust(response.trust)
            case "tuning":
                if self._tune(response.tuning.tuning):
                    self._keep(lambda store: store.save_tuning(response.tuning.tuning))
        return None

    async def _tell_counts(self, answers: "asyncio.Queue[control_pb2.ConnectRequest | None]") -> None:
        """Send what was counted under the policy in force, now and then; ends by cancellation only."""
        said: tuple[str, int] | None = None
        while True:
            await asyncio.sleep(self._backoff.spread(EAGER_SECONDS if self._in_force.is_untuned() else TALLY_SECONDS))
            policy = self._in_force.policy
            counts = None if policy is None else self._counting.known(policy.uid)
            if counts is not None and (counts.process, counts.changes) != said:
                said = counts.process, counts.changes
                answers.put_nowait(control_pb2.ConnectRequest(tally=tally_of(counts)))

    def _tune(self, update: tuning_pb2.Tuning) -> bool:
        """Take over what was made of the fleet's counts; false for what cannot be, or is out of date."""
        try:
            tuning = read_tuning(update)
        except UnreadableTuningError as error:
            self._log.warning("a tuning is passed over", reason=str(error))
            return False
        known = self._in_force.fleet
        if known.policy_uid == tuning.policy_uid and known.version > tuning.version:
            return False
        self._in_force.fleet = tuning
        self._log.debug("tuning in force", version=tuning.version, complexity_threshold=tuning.complexity_threshold)
        return True

    def _trust(self, update: control_pb2.TrustUpdate) -> None:
        if self._tls is None:
            return
        try:
            self._tls.trust.replace(update.ca_bundle)
        except TrustError as error:
            self._log.warning("the operator's CA is not taken over", reason=str(error))
        except OSError as error:
            # Trusted all the same, until a restart begins with what the pod began with.
            self._log.warning("the operator's CA cannot be stored", reason=error.strerror)

    def _apply(self, update: control_pb2.SnapshotUpdate) -> control_pb2.ConnectRequest:
        try:
            policy = read_snapshot(update)
        except SnapshotRejectedError as error:
            self._metrics.snapshots.labels("rejected").inc()
            self._log.warning("snapshot rejected", generation=update.generation, reason=str(error))
            return control_pb2.ConnectRequest(nack=control_pb2.Nack(nonce=update.nonce, reason=str(error)))
        self._in_force.apply(policy)
        self._current = update
        self._metrics.snapshots.labels("applied").inc()
        self._metrics.programmed(str(policy), policy.generation, [route.name for route in policy.routes])
        self._log.info(
            "snapshot in force", policy=str(policy), generation=policy.generation, version=update.version[:12]
        )
        self._keep(lambda store: store.save(update))
        return control_pb2.ConnectRequest(ack=control_pb2.Ack(nonce=update.nonce))

    def _withdraw(self, update: control_pb2.NoPolicy) -> None:
        self._in_force.withdraw(update.reason)
        self._current = None
        self._metrics.policy_generation.set(0)
        self._log.warning("no policy in force", reason=update.reason)
        self._keep(lambda store: store.clear())

    def _keep(self, write: Callable[[SnapshotStore], None]) -> None:
        if self._store is None:
            return
        try:
            write(self._store)
        except OSError as error:
            # What is in force stays in force; only a restart would miss it.
            self._log.warning("the snapshot cannot be stored", reason=error.strerror)
