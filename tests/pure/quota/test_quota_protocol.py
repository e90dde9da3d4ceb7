"""The quota protocol: both cores in a world that does all it can to them; longer still in `make simulate-quota`."""

from unittest.mock import patch

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from pointsman_sidecar.quota import speech
from support.quota.declared import PER_USER, SHARED
from support.quota.mutants import MUTANTS, Mutant
from support.quota.runs import PROFILES, run
from support.quota.worlds import ViolationError, World

_SIDECARS = st.integers(min_value=0, max_value=2)
_ANY = st.integers(min_value=0, max_value=1000)


class QuotaProtocol(RuleBasedStateMachine):
    """Every rule disturbs the world in one way; the world looks after itself that all promises are kept."""

    def __init__(self) -> None:
        super().__init__()
        self.world = World()

    @initialize(lossy=st.booleans(), skews=st.sampled_from([(0.0,), (0.0, 40.0, -15.0)]))
    def begin(self, *, lossy: bool, skews: tuple[float, ...]) -> None:
        self.world = World(sidecars=3, lossy=lossy, skews=skews)

    @rule(at=_SIDECARS, amount=st.integers(min_value=1, max_value=100), user=st.integers(min_value=0, max_value=1))
    def request(self, at: int, amount: int, user: int) -> None:
        self.world.reserve(at, amount, user)

    @rule(at=_SIDECARS)
    def speak_until_heard(self, at: int) -> None:
        """The usual course, without which little would happen."""
        for _ in range(3):
            self.world.speak(at)
            while self.world.network:
                self.world.deliver(-1)

    @rule(at=_SIDECARS, which=_ANY, percent=st.integers(min_value=0, max_value=200))
    def answer(self, at: int, which: int, percent: int) -> None:
        self.world.finish(at, which, used_percent=percent)

    @rule(at=_SIDECARS, which=_ANY, percent=st.integers(min_value=0, max_value=100), sent=st.booleans())
    def fail(self, at: int, which: int, percent: int, *, sent: bool) -> None:
        self.world.finish(at, which, used_percent=percent, sent=sent, told=False)

    @rule(at=_SIDECARS, replica=st.sampled_from([None, 0, 1]))
    def speak(self, at: int, replica: int | None) -> None:
        self.world.speak(at, replica=replica)

    @rule(which=_ANY, keep=st.booleans())
    def deliver(self, which: int, *, keep: bool) -> None:
        self.world.deliver(which, keep=keep and len(self.world.network) < 20)

    @rule(which=_ANY)
    def drop(self, which: int) -> None:
        self.world.drop(which)

    @rule(at=_SIDECARS)
    def time_out(self, at: int) -> None:
        self.world.time_out(at)

    @rule(at=_SIDECARS)
    def nudge(self, at: int) -> None:
        self.world.nudge(at)

    @rule(seconds=st.sampled_from([0.1, 1.0, 5.0, 25.0, 70.0, 700.0]))
    def wait(self, seconds: float) -> None:
        self.world.tick(seconds)

    @rule(at=_SIDECARS)
    def crash(self, at: int) -> None:
        self.world.crash(at)

    @rule(at=_SIDECARS, amount=st.integers(min_value=1, max_value=40), torn=st.integers(min_value=0, max_value=80))
    def crash_while_writing(self, at: int, amount: int, torn: int) -> None:
        self.world.reserve(at, amount, 0, torn=torn)

    @rule(at=_SIDECARS, keep_journal=st.booleans())
    def restart(self, at: int, *, keep_journal: bool) -> None:
        self.world.restart(at, keep_journal=keep_journal)

    @rule()
    def fail_over(self) -> None:
        self.world.fail_over()

    @rule(budget=st.sampled_from([SHARED, PER_USER]), limit=st.integers(min_value=0, max_value=3000))
    def set_limit(self, budget: str, limit: int) -> None:
        self.world.set_limit(budget, limit)

    @rule(seconds=st.floats(min_value=0, max_value=1))
    def lose(self, seconds: float) -> None:
        self.world.lose(seconds)

    @rule(replica=st.integers(min_value=0, max_value=1))
    def sweep(self, replica: int) -> None:
        self.world.sweep(replica)

    def teardown(self) -> None:
        """After all quiet, nothing is held, and what is spent is what was used."""
        self.world.quiet()


TestQuotaProtocol = QuotaProtocol.TestCase
TestQuotaProtocol.settings = settings(max_examples=60, stateful_step_count=60)


@pytest.mark.parametrize("profile", PROFILES)
def test_random_runs_keep_all_promises(profile: str) -> None:
    for seed in range(8):
        run(seed, events=2_000, profile=profile)


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.rule)
def test_each_broken_rule_is_noticed(mutant: Mutant) -> None:
    def runs() -> None:
        for seed in range(150):
            run(seed, events=1_500, profile=mutant.profile)

    with mutant.broken(), pytest.raises(ViolationError):
        runs()


def test_a_run_is_the_same_again_for_the_same_seed() -> None:
    one, other = (run(7, events=2_000) for _ in range(2))

    assert (one.served, one.refused, one.store.accounts) == (other.served, other.refused, other.store.accounts)


def test_a_namespace_that_is_left_in_peace_can_spend_all_of_its_budget() -> None:
    world = World(sidecars=1)
    world.set_limit(PER_USER, 10_000)
    for _ in range(2_000):
        world.tick(0.01)
        world.reserve(0, 10, 0)
        world.finish(0, 0, used_percent=100)
        world.speak(0)
        while world.network:
            world.deliver(0)

    assert sum(used for key, used in world.consumed.items() if key.budget == SHARED) == world.limits[SHARED]


def _talk(world: World, at: int) -> None:
    for _ in range(3):
        world.speak(at)
        while world.network:
            world.deliver(0)


def test_what_is_given_back_can_be_used_by_another() -> None:
    world = World(sidecars=2)
    world.set_limit(SHARED, 100)
    _talk(world, 0)
    _talk(world, 1)
    world.reserve(0, 80, 0)
    _talk(world, 0)
    world.reserve(1, 80, 1)
    _talk(world, 1)
    world.reserve(1, 80, 1)
    assert world.served == 0

    world.leave(0)
    world.tick(11)
    _talk(world, 0)
    world.reserve(1, 80, 1)
    _talk(world, 1)
    world.reserve(1, 80, 1)

    assert world.served == 1


def _close_then_lose() -> None:
    world = World(sidecars=1, lossy=True)
    _talk(world, 0)
    world.reserve(0, 40, 0)
    _talk(world, 0)
    world.reserve(0, 40, 0)
    world.finish(0, 0, used_percent=50)
    world.tick(30)
    world.leave(0)
    _talk(world, 0)
    world.tick(0.5)
    world.lose(0.9)
    for _ in range(3):
        world.tick(11)
        _talk(world, 0)
    world.quiet()


def test_a_block_whose_closing_the_store_lost_is_closed_again() -> None:
    _close_then_lose()

    with patch.object(speech, "REMEMBER_SECONDS", -1.0), pytest.raises(ViolationError, match="is spent"):
        _close_then_lose()
