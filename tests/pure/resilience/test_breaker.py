"""A circuit opens where too many calls failed, is tried with one, and closes where that one succeeds."""

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from pointsman_sidecar.resilience.breaker import Breaker, Entry, State
from pointsman_sidecar.routing.policy import CircuitBreaker

RULE = CircuitBreaker(error_percent=50, min_requests=4, open_for=10.0)


def opened(*, at: float = 0.0) -> Breaker:
    breaker = Breaker()
    for _ in range(RULE.min_requests):
        breaker.leave(breaker.enter(at, RULE), at, RULE, good=False)
    assert breaker.state(at, RULE) is State.OPEN
    return breaker


@given(outcomes=st.lists(st.booleans(), max_size=60), percent=st.integers(1, 100), least=st.integers(1, 20))
def test_it_opens_exactly_where_the_share_of_failures_is_reached(
    outcomes: list[bool], percent: int, least: int
) -> None:
    circuit_rule = CircuitBreaker(error_percent=percent, min_requests=least, open_for=10.0)
    breaker, failed = Breaker(), 0
    for calls, good in enumerate(outcomes, start=1):
        failed += not good
        did_open = breaker.leave(breaker.enter(1.0, circuit_rule), 1.0, circuit_rule, good=good)
        reached = not good and calls >= least and failed * 100 >= percent * calls
        assert did_open is reached
        assert (breaker.state(1.0, circuit_rule) is State.OPEN) is reached
        if reached:
            assert not breaker.admits(1.0, circuit_rule)
            break


def test_it_is_half_open_after_its_time_and_admits_one() -> None:
    breaker = opened()
    assert (breaker.state(9.9, RULE), breaker.opens_in(9.0, RULE)) == (State.OPEN, 1.0)
    assert breaker.state(10.0, RULE) is State.HALF_OPEN
    assert breaker.admits(10.0, RULE)

    probe = breaker.enter(10.0, RULE)

    assert not breaker.admits(10.0, RULE)
    assert breaker.leave(probe, 11.0, RULE, good=True) is False
    assert breaker.state(11.0, RULE) is State.CLOSED


def test_a_probe_that_fails_opens_it_again() -> None:
    breaker = opened()

    assert breaker.leave(breaker.enter(10.0, RULE), 12.0, RULE, good=False)

    assert breaker.state(21.9, RULE) is State.OPEN
    assert breaker.state(22.0, RULE) is State.HALF_OPEN


def test_a_probe_that_says_nothing_leaves_room_for_the_next() -> None:
    breaker = opened()

    breaker.leave(breaker.enter(10.0, RULE), 10.0, RULE, good=None)

    assert breaker.admits(10.0, RULE)


def test_a_call_from_before_says_nothing_of_what_came_after() -> None:
    breaker = Breaker()
    early = breaker.enter(0.0, RULE)
    for _ in range(RULE.min_requests):
        breaker.leave(breaker.enter(0.0, RULE), 0.0, RULE, good=False)

    breaker.leave(early, 1.0, RULE, good=True)

    assert breaker.state(1.0, RULE) is State.OPEN


def test_a_call_that_was_made_for_want_of_a_better_model_closes_it_where_it_succeeds() -> None:
    breaker = opened()

    breaker.leave(breaker.enter(3.0, RULE), 4.0, RULE, good=True)

    assert breaker.state(4.0, RULE) is State.CLOSED


def test_old_failures_are_forgotten() -> None:
    breaker = Breaker()
    for _ in range(RULE.min_requests - 1):
        breaker.leave(breaker.enter(0.0, RULE), 0.0, RULE, good=False)

    breaker.leave(breaker.enter(100.0, RULE), 100.0, RULE, good=False)

    assert breaker.state(100.0, RULE) is State.CLOSED


class Circuit(RuleBasedStateMachine):
    """Any calls, in any order, at any time: never two probes at once, and no way out of OPEN but time or success."""

    def __init__(self) -> None:
        super().__init__()
        self.breaker = Breaker()
        self.now = 0.0
        self.running: list[Entry] = []

    @rule(later=st.floats(min_value=0, max_value=15))
    def wait(self, later: float) -> None:
        """Time passes."""
        self.now += later

    @rule()
    @precondition(lambda self: self.breaker.admits(self.now, RULE))
    def call(self) -> None:
        """A call that is admitted begins."""
        state = self.breaker.state(self.now, RULE)
        entry = self.breaker.enter(self.now, RULE)
        assert entry.probe is (state is State.HALF_OPEN)
        self.running.append(entry)

    @rule(which=st.integers(0, 1000), good=st.sampled_from([True, False, None]))
    @precondition(lambda self: self.running)
    def end(self, which: int, *, good: bool | None) -> None:
        """One of those that run ends."""
        before = self.breaker.state(self.now, RULE)
        entry = self.running.pop(which % len(self.running))
        self.breaker.leave(entry, self.now, RULE, good=good)
        after = self.breaker.state(self.now, RULE)
        if before is State.OPEN:
            assert after is State.OPEN
        if before is State.HALF_OPEN and not entry.probe:
            assert after is State.HALF_OPEN

    @invariant()
    def one_probe_at_most(self) -> None:
        """Of the calls that a half-open circuit admitted, one runs at most."""
        if self.breaker.state(self.now, RULE) is State.HALF_OPEN:
            newest = max((entry.epoch for entry in self.running), default=-1)
            assert sum(entry.probe and entry.epoch == newest for entry in self.running) <= 1


TestCircuit = Circuit.TestCase
