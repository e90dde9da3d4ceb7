"""A circuit breaker: a model that fails too often is not called for a while, then tried with one call."""

from dataclasses import dataclass
from enum import IntEnum

from pointsman_sidecar.resilience.counts import SlidingCounts
from pointsman_sidecar.routing.policy import CircuitBreaker

WINDOW = 60.0


class State(IntEnum):
    """Of a circuit. The numbers are those of the metric."""

    CLOSED = 0
    HALF_OPEN = 1
    OPEN = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One call under a breaker, from its start. `epoch` is the state that it began in: a later one is not its doing.

    A trial is made while the circuit is not closed; the probe is the one that a half-open circuit admits.
    """

    epoch: int
    trial: bool
    probe: bool


class Breaker:
    """The circuit of one model. Calls `enter` and must `leave`, whatever comes of them."""

    __slots__ = ("_counts", "_epoch", "_opened_at", "_probing", "failed_percent")

    def __init__(self) -> None:
        self._counts = SlidingCounts(window=WINDOW)
        self._opened_at: float | None = None
        self._probing = False
        self._epoch = 0
        # Of the calls at which it opened last, how many had failed.
        self.failed_percent = 0

    def state(self, now: float, rule: CircuitBreaker) -> State:
        """What it is now."""
        if self._opened_at is None:
            return State.CLOSED
        return State.OPEN if now < self._opened_at + rule.open_for else State.HALF_OPEN

    @property
    def is_closed(self) -> bool:
        """Whether nothing is wrong; what else it may be depends on the time."""
        return self._opened_at is None

    def admits(self, now: float, rule: CircuitBreaker) -> bool:
        """Whether the model may be called: while half open, by one call at a time."""
        state = self.state(now, rule)
        return state is State.CLOSED or (state is State.HALF_OPEN and not self._probing)

    def opens_in(self, now: float, rule: CircuitBreaker) -> float:
        """Seconds until it may be tried again; 0 where it may already, or is being tried."""
        return 0.0 if self._opened_at is None else max(0.0, self._opened_at + rule.open_for - now)

    def enter(self, now: float, rule: CircuitBreaker) -> Entry:
        """A call begins. One that is made although it is not admitted, for want of a better model, is a trial too."""
        state = self.state(now, rule)
        probe = state is State.HALF_OPEN and not self._probing
        self._probing = self._probing or probe
        return Entry(self._epoch, trial=state is not State.CLOSED, probe=probe)

    def leave(self, entry: Entry, now: float, rule: CircuitBreaker, *, good: bool | None) -> bool:
        """A call ended: well, badly, or, with None, in a way that says nothing of the model. Whether it opened it."""
        if entry.epoch != self._epoch:
            return False
        if not entry.trial:
            return good is not None and self._counted(now, rule, good=good)
        if entry.probe:
            self._probing = False
        if good is None:
            return False
        if good:
            self._opened_at = None
            self._next()
            return False
        if self.state(now, rule) is State.HALF_OPEN:
            self._opened_at = now
            self._next()
            return True
        return False

    def _counted(self, now: float, rule: CircuitBreaker, *, good: bool) -> bool:
        self._counts.add(now, every=1, some=0 if good else 1)
        calls, failed = self._counts.totals(now)
        if good or calls < rule.min_requests or failed * 100 < calls * rule.error_percent:
            return False
        self.failed_percent = failed * 100 // calls
        self._opened_at = now
        self._next()
        return True

    def _next(self) -> None:
        self._epoch += 1
        self._probing = False
        self._counts.clear()
