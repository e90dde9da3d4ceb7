"""Tunes policies while its replica holds the Lease: hears counts, computes, publishes, and writes it down."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import structlog

from pointsman_operator.push import Counted, Hub, Published
from pointsman_operator.resources import Key, ModelRoutingPolicy, Unreadable
from pointsman_operator.tuning import states
from pointsman_operator.tuning.metrics import TuningMetrics
from pointsman_operator.tuning.records import Record
from pointsman_operator.tuning.rules import has_moving_splits
from pointsman_operator.tuning.states import PolicyState
from pointsman_operator.tuning.stores import TuningConflictError, TuningStore, TuningUnavailableError
from pointsman_operator.tuning.tallies import Tallies

log = structlog.get_logger(__name__)

# How often what was counted is computed with.
COMPUTE_SECONDS = 2.0
# How often what is kept of a policy is written, at most. A replica that takes over begins with it.
WRITE_SECONDS = 60.0
RETRY_SECONDS = 5.0
# How often statuses say something else of a policy, at most.
SHOW_SECONDS = 30.0
# A policy that is missing for so long is gone: one that this replica has only not seen yet must not lose what is kept.
GONE_SECONDS = 60.0
# Thousands of policies must not hold up those whose sidecars wait for something else.
_AT_A_TIME = 50
_MOST_WRITTEN = 500


@dataclass
class _Term:
    """What is known while this replica leads. `touched` are the policies to compute, `unwritten` those to write.

    `looked_at` has each policy as it was when it was computed last. `shown` is what statuses say, and since when; those
    of `to_show` may have more to say. `missing` are the policies that are not there, and since when. `moved` are those
    whose splits stand elsewhere, which sidecars are told once it is written: else whoever takes over could take back a
    rollback. All by UID.
    """

    tallies: Tallies
    states: dict[str, PolicyState]
    looked_at: dict[str, ModelRoutingPolicy | Unreadable] = field(default_factory=dict)
    touched: set[str] = field(default_factory=set)
    unwritten: set[str] = field(default_factory=set)
    written_at: dict[str, float] = field(default_factory=dict)
    shown: dict[str, tuple[float, Mapping[str, Any]]] = field(default_factory=dict)
    to_show: set[str] = field(default_factory=set)
    missing: dict[str, float] = field(default_factory=dict)
    moved: set[str] = field(default_factory=set)


class TuningKeeper:
    """From `begin` to `pause` it tunes; `run` is the whole life of it.

    `now` is in seconds since 1970, `clock` steady. `shows` is told of policies whose status has something else to say.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        store: TuningStore,
        now: Callable[[], float],
        clock: Callable[[], float],
        metrics: TuningMetrics,
        shows: Callable[[Key], None] = lambda _: None,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._hub = hub
        self._store = store
        self._now = now
        self._clock = clock
        self._metrics = metrics
        self._shows = shows
        self._sleep = sleep
        self._turn = asyncio.Event()
        self._term: _Term | None = None
        # The latest word of each process, heard before what was kept has been read.
        self._early: dict[tuple[str, str], Counted] = {}
        hub.tunings.subscribe(self._hear)

    def begin(self) -> None:
        """Tune from now on: what is stored counts, and what sidecars say."""
        self._turn.set()
        for session in self._hub.sidecars():
            if session.counted is not None:
                self._hear(session.counted)

    def pause(self) -> None:
        """Tune no more: another replica does."""
        self._turn.clear()
        self._term = None
        self._early.clear()
        self._metrics.policies.set(0)

    def state(self, uid: str) -> PolicyState | None:
        """What is kept of a policy; None where that is nothing, or not known here."""
        return None if self._term is None else self._term.states.get(uid)

    def shown(self, uid: str) -> Mapping[str, Any] | None:
        """What the status of a policy says of its tuning; None where that is not known here, or not yet."""
        if self._term is None:
            return None
        return self._term.shown.get(uid, (0.0, {}))[1]

    async def run(self) -> None:
        """Tune until cancelled."""
        await self._hub.ready.wait()
        while True:
            await self._turn.wait()
            try:
                term = self._term or await self._read()
                if term is not None:
                    await self._compute(term)
                    await self._write(term)
                    self._tell_moved(term)
            except TuningConflictError as error:
                self._metrics.writes.labels(result="conflict").inc()
                log.info("what is tuned was written by another replica; it is read again", reason=str(error))
                self._term = None
            except TuningUnavailableError as error:
                self._metrics.writes.labels(result="failed").inc()
                log.warning("what is tuned cannot be read or written now; will be tried again", reason=str(error))
                if self._term is not None:
                    # A bad arm is not kept for want of a place to write that down.
                    self._tell_moved(self._term)
                await self._sleep(RETRY_SECONDS)
                continue
            await self._sleep(COMPUTE_SECONDS)

    def _hear(self, counted: Counted) -> None:
        if not self._turn.is_set():
            return
        tally, term = counted.tally, self._term
        if term is None:
            self._early[tally.policy_uid, tally.process] = counted
            return
        grown = term.tallies.hear(tally, now=self._now())
        if not grown or self._uid_of(counted.policy) != tally.policy_uid:
            return
        state = term.states.get(tally.policy_uid) or PolicyState(policy=counted.policy, uid=tally.policy_uid)
        term.states[tally.policy_uid] = states.taken_in(state, grown)
        term.touched.add(tally.policy_uid)

    def _uid_of(self, policy: Key) -> str:
        known = self._hub.world.policies.get(policy)
        return "" if known is None else known.metadata.uid

    async def _read(self) -> _Term | None:
        """Begin with what is stored; None where the turn was over before that."""
        records = await self._store.read()
        if not self._turn.is_set():
            return None
        kept = {uid: record.state for uid, record in records.items()}
        term = _Term(tallies=Tallies({uid: record.at for uid, record in records.items()}), states=dict(kept))
        self._term = term
        self._publish(kept.values())
        early, self._early = self._early, {}
        for counted in early.values():
            self._hear(counted)
        for session in self._hub.sidecars():
            if session.counted is not None:
                self._hear(session.counted)
        log.info("what is tuned has been read", policies=len(kept))
        return term

    async def _compute(self, term: _Term) -> None:
        """Take what was counted and what the policies ask for now, and tell what has changed."""
        await self._find_splits(term)
        for turn, uid in enumerate(list(term.states)):
            if turn % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            state = term.states[uid]
            policy = self._hub.world.policies.get(state.policy)
            if policy is None or policy.metadata.uid != uid:
                if self._clock() - term.missing.setdefault(uid, self._clock()) >= GONE_SECONDS:
                    self._forget(term, uid)
                continue
            term.missing.pop(uid, None)
            if uid in term.touched or term.looked_at.get(uid) is not policy or state.splits.is_moving:
                term.looked_at[uid] = policy
                self._look(term, state, policy)
            if uid in term.to_show:
                self._show(term, uid)
        self._metrics.policies.set(len(term.states))

    def _forget(self, term: _Term, uid: str) -> None:
        for known in (term.states, term.looked_at, term.shown, term.missing):
            known.pop(uid, None)
        term.touched.discard(uid)
        term.to_show.discard(uid)
        term.unwritten.add(uid)
        self._hub.tunings.forget([uid])

    def _show(self, term: _Term, uid: str) -> None:
        """Let the status say what is so, unless it was told something just now."""
        at, shown = term.shown.get(uid, (float("-inf"), None))
        now = self._clock()
        if now - at < SHOW_SECONDS:
            return
        term.to_show.discard(uid)
        state = term.states[uid]
        if (wanted := states.status_of(state)) != shown:
            term.shown[uid] = now, wanted
            self._shows(state.policy)

    async def _find_splits(self, term: _Term) -> None:
        """A split that changes by itself stands somewhere before anything is counted of it."""
        for turn, (key, policy) in enumerate(list(self._hub.world.policies.items())):
            if turn % _AT_A_TIME == 0:
                await asyncio.sleep(0)
            uid = policy.metadata.uid
            if uid not in term.states and isinstance(policy, ModelRoutingPolicy) and has_moving_splits(policy):
                term.states[uid] = PolicyState(policy=key, uid=uid)

    def _look(self, term: _Term, state: PolicyState, policy: ModelRoutingPolicy | Unreadable) -> None:
        term.to_show.add(state.uid)
        verdict = self._hub.verdicts().get(state.policy)
        is_in_force = verdict is not None and verdict.compiled is not None
        after = states.retuned(state, policy, now=self._now(), is_in_force=is_in_force)
        if after == state and state.uid not in term.touched:
            return
        term.touched.discard(state.uid)
        term.states[state.uid] = after
        term.unwritten.add(state.uid)
        if moved := after.splits.moved_since(state.splits):
            term.moved.add(state.uid)
            term.written_at.pop(state.uid, None)
            for each in moved:
                said = each.state
                log.info("split", policy=str(state.policy), route=each.route, phase=said.phase.value, why=said.message)
            self._shows(state.policy)
        if after.version != state.version and term is self._term and not moved:
            self._publish([after])

    def _tell_moved(self, term: _Term) -> None:
        moved, term.moved = term.moved, set()
        if term is self._term:
            self._publish(state for uid in moved if (state := term.states.get(uid)) is not None)

    def _publish(self, told: Iterable[PolicyState]) -> None:
        self._hub.tunings.publish(
            Published(policy=state.policy, tuning=states.tuning_of(state)) for state in told if state.version
        )

    async def _write(self, term: _Term) -> None:
        """Write what it is time for."""
        now = self._clock()
        due = [uid for uid in term.unwritten if now - term.written_at.get(uid, float("-inf")) >= WRITE_SECONDS]
        due = due[:_MOST_WRITTEN]
        if not due or term is not self._term:
            return
        at = int(self._now())
        changes = {uid: None if (state := term.states.get(uid)) is None else Record(state=state, at=at) for uid in due}
        term.unwritten.difference_update(due)
        try:
            await self._store.write(changes)
        except TuningUnavailableError:
            term.unwritten.update(due)
            raise
        self._metrics.writes.labels(result="written").inc()
        for uid in due:
            if uid in term.states:
                term.written_at[uid] = now
            else:
                term.written_at.pop(uid, None)
