"""A canary goes up by steps, stops where there is doubt, and is rolled back for good where there is none."""

from dataclasses import replace
from itertools import pairwise
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.tuning.arms import ArmCounts
from pointsman_operator.tuning.bars import Bar
from pointsman_operator.tuning.splits import LOOK_AGAIN_SECONDS, Phase, SplitStep, advance
from pure.tuning.canaries import EVERRISING, HOUR, SLOW, Canary, counts, labelled, rule

ERRORS = Bar(min_samples=500, max_errors=0.02)
# What is counted between two looks.
BATCHES = st.builds(
    lambda requests, share: counts(requests, errors=int(requests * share)), st.integers(0, 400), st.floats(0, 1)
)
TICKS = st.lists(st.tuples(st.floats(0, 2 * HOUR), BATCHES, BATCHES), max_size=40)


def test_a_good_canary_goes_up_step_by_step_and_is_promoted() -> None:
    canary = Canary(rule=rule(*EVERRISING, bar=ERRORS))
    seen = [canary.weights]
    for _ in canary.ticks(60, after=360, canary=counts(100), stable=counts(1000)):
        if canary.weights != seen[-1]:
            seen.append(canary.weights)

    assert seen == [(95, 5), (75, 25), (0, 100)]
    assert canary.state is not None
    assert canary.state.phase is Phase.PROMOTED


def test_time_alone_does_not_take_a_guarded_canary_up() -> None:
    canary = Canary(rule=rule(*EVERRISING, bar=ERRORS))

    state = canary.look(after=24 * HOUR, canary=counts(499))

    assert (state.phase, canary.weights) == (Phase.PROGRESSING, (95, 5))
    assert state.message == "step 1 of 3: 5 %; goes up after 500 requests of next within the guard and its time"


def test_requests_alone_do_not_take_it_up_before_the_time() -> None:
    canary = Canary(rule=rule(*EVERRISING, bar=ERRORS))

    canary.look(after=HOUR - 1, canary=counts(10_000))
    early = canary.weights
    canary.look(after=1)

    assert (early, canary.weights) == ((95, 5), (75, 25))


def test_without_a_guard_time_alone_does() -> None:
    canary = Canary(rule=rule(*EVERRISING))

    canary.look(after=HOUR)

    assert canary.weights == (75, 25)


def test_a_last_step_below_all_is_held_and_guarded() -> None:
    canary = Canary(rule=rule(SplitStep(weight=5), SplitStep(weight=50), bar=ERRORS))
    for _ in canary.ticks(20, after=60, canary=counts(500)):
        pass
    held = (canary.weights, canary.state and canary.state.phase)
    for _ in canary.ticks(4, after=60, canary=counts(500, errors=250)):
        pass

    assert held == ((50, 50), Phase.PROGRESSING)
    assert canary.weights == (100, 0)


def test_a_bad_canary_is_stopped_at_once_and_rolled_back_when_that_lasts() -> None:
    canary = Canary(rule=rule(bar=ERRORS))
    first = canary.look(after=60, canary=counts(500, errors=60))
    weights = canary.weights
    last = [canary.look(after=10, canary=counts(50, errors=6)) for _ in range(20)][-1]

    assert (first.phase, first.reason, weights) == (Phase.PAUSED, "ErrorRate", (95, 5))
    assert first.message == (
        "next goes no further: it failed 60 of 500 (12 %) requests, more than 2 %; it is rolled back if that lasts "
        "longer than 30 s"
    )
    assert (last.phase, last.reason, canary.weights) == (Phase.ROLLED_BACK, "ErrorRate", (100, 0))
    assert last.message.startswith("next was rolled back at weight 5 of 100: it failed ")
    assert last.message.endswith(", more than 2 %; it stays so until the split changes")


def test_a_canary_that_was_good_for_long_is_still_rolled_back_soon() -> None:
    """What it did well a week ago does not hide what it does now."""
    canary = Canary(rule=rule(bar=ERRORS))
    for _ in canary.ticks(200, after=600, canary=counts(1000)):
        pass
    phases = list(canary.ticks(6, after=600, canary=counts(1000, errors=100)))

    assert Phase.ROLLED_BACK in phases


def test_what_may_be_chance_stops_it_and_no_more() -> None:
    canary = Canary(rule=rule(*EVERRISING, bar=ERRORS))

    # 12 of 500 are 2.4 %.
    stopped = canary.look(after=HOUR, canary=counts(500, errors=12))
    goes_on = canary.look(after=60, canary=counts(500))

    assert (stopped.phase, stopped.step) == (Phase.PAUSED, 0)
    assert stopped.message.endswith("but that may be chance")
    assert (goes_on.phase, goes_on.step) == (Phase.PROGRESSING, 1)


@pytest.mark.parametrize("seed", range(5))
def test_a_canary_right_at_the_limit_does_not_change_its_phase_at_every_look(seed: int) -> None:
    random = Random(seed)  # noqa: S311 - guards nothing
    canary = Canary(rule=rule(bar=ERRORS))
    phases = [
        canary.look(after=5, canary=counts(25, errors=sum(random.random() < 0.02 for _ in range(25)))).phase
        for _ in range(800)
    ]

    # 20,000 requests: twice for each 500 of them, at the very most.
    assert sum(before != after for before, after in pairwise(phases)) <= 80


def test_a_gate_holds_the_next_step_and_says_why() -> None:
    canary = Canary(rule=rule(*EVERRISING, bar=ERRORS), gate="suite nightly has no result for generation 3")

    held = [canary.look(after=HOUR, canary=counts(1000)) for _ in range(3)]
    canary.gate = ""
    canary.look(after=1)

    assert {(each.phase, each.reason, each.message, each.since) for each in held} == {
        (Phase.PAUSED, "Gate", "suite nightly has no result for generation 3", held[0].since)
    }
    assert canary.weights == (75, 25)


def test_another_split_begins_anew_after_a_rollback() -> None:
    canary = Canary(rule=rule(bar=ERRORS))
    for _ in canary.ticks(20, after=60, canary=counts(500, errors=100)):
        pass
    rolled_back = canary.weights
    canary.rule = rule(bar=ERRORS, split="s-2")
    state = canary.look(after=60, canary=counts(100, errors=100))

    assert (rolled_back, canary.weights, state.phase) == ((100, 0), (95, 5), Phase.PROGRESSING)


def test_counts_that_were_lost_are_no_evidence() -> None:
    canary = Canary(rule=rule(*EVERRISING, bar=ERRORS))
    canary.look(after=60, canary=counts(400, errors=200))
    canary.canary = ArmCounts()
    state = canary.look(after=HOUR, canary=counts(450))

    assert (state.phase, canary.weights) == (Phase.PROGRESSING, (95, 5))


@given(ticks=TICKS)
def test_nothing_is_rolled_back_below_the_least_samples(ticks: list[tuple[float, ArmCounts, ArmCounts]]) -> None:
    canary = Canary(rule=rule(*EVERRISING, bar=ERRORS))
    for after, more, others in ticks:
        state = canary.look(after=after, canary=more, stable=others)
        if canary.canary.requests < ERRORS.min_samples:
            assert (state.phase, state.step) == (Phase.PROGRESSING, 0)


@given(ticks=TICKS)
def test_the_weight_never_falls_but_by_a_rollback_and_never_rises_after_one(
    ticks: list[tuple[float, ArmCounts, ArmCounts]],
) -> None:
    canary = Canary(rule=rule(*EVERRISING, bar=ERRORS))
    seen = []
    for after, more, others in ticks:
        canary.look(after=after, canary=more, stable=others)
        seen.append(canary.weights[1])

    assert all(later >= earlier or later == 0 for earlier, later in pairwise(seen))
    if 0 in seen:
        assert set(seen[seen.index(0) :]) == {0}


@given(ticks=TICKS)
def test_the_same_counts_told_twice_change_nothing(ticks: list[tuple[float, ArmCounts, ArmCounts]]) -> None:
    canary = Canary(rule=rule(*EVERRISING, bar=ERRORS))
    for after, more, others in ticks:
        state = canary.look(after=after, canary=more, stable=others)
        assert canary.look() == state


@given(errors=st.floats(0.05, 1), each=st.integers(25, 300), good=st.integers(0, 20))
def test_a_bad_canary_is_always_rolled_back_once_there_is_enough_of_it(errors: float, each: int, good: int) -> None:
    """However good it was before, and however many requests come between two looks."""
    canary = Canary(rule=rule(bar=ERRORS))
    for _ in canary.ticks(good, after=10, canary=counts(each)):
        pass
    total = failed = 0
    state = canary.state
    while total < 10 * ERRORS.min_samples:
        total += each
        now_failed = round(total * errors)
        state = canary.look(after=10, canary=counts(each, errors=min(each, now_failed - failed)))
        failed = now_failed

    assert state is not None
    assert state.phase is Phase.ROLLED_BACK


@given(
    before=st.integers(0, 50),
    burst=st.integers(1, int(LOOK_AGAIN_SECONDS)),
    rate=st.integers(1, 100),
    share=st.floats(0, 1),
)
def test_one_bad_spell_rolls_nothing_back(before: int, burst: int, rate: int, share: float) -> None:
    """A provider that fails for half a minute, whatever part of its calls, and does well before and after."""
    canary = Canary(rule=rule(bar=ERRORS))
    phases = [*canary.ticks(before, after=10, canary=counts(rate * 10))]
    phases += canary.ticks(burst, after=1, canary=counts(rate, errors=int(rate * share)))
    phases += canary.ticks(60, after=60, canary=counts(rate * 60))

    assert Phase.ROLLED_BACK not in phases
    assert phases[-1] == Phase.PROGRESSING


@pytest.mark.parametrize("seed", range(20))
def test_a_canary_well_within_the_bar_is_not_rolled_back_by_chance(seed: int) -> None:
    """Half of what is allowed, drawn by chance over 20,000 requests, and looked at as often as may be."""
    random = Random(seed)  # noqa: S311 - guards nothing
    canary = Canary(rule=rule(bar=ERRORS))

    phases = [
        canary.look(after=10, canary=counts(50, errors=sum(random.random() < 0.01 for _ in range(50)))).phase
        for _ in range(400)
    ]

    assert Phase.ROLLED_BACK not in phases
    assert phases.count(Phase.PAUSED) < 40


@pytest.mark.parametrize(
    ("bar", "bad", "good", "reason"),
    [
        pytest.param(
            Bar(min_samples=100, max_errors_over_stable=0.01),
            (counts(200, errors=20), counts(4000, errors=40)),
            (counts(200, errors=20), counts(4000, errors=400)),
            "ErrorRate",
            id="errors over the stable arm's",
        ),
        pytest.param(
            Bar(min_samples=100, max_p95=1.0),
            (counts(200, latency=SLOW), counts(4000)),
            (counts(200), counts(4000)),
            "Latency",
            id="p95",
        ),
        pytest.param(
            Bar(min_samples=100, max_p95_over_stable=0.2),
            (counts(200, latency=SLOW), counts(4000)),
            (counts(200, latency=SLOW), counts(4000, latency=SLOW)),
            "Latency",
            id="p95 over the stable arm's",
        ),
        pytest.param(
            Bar(min_samples=100, min_confidence=0.7),
            (counts(200, confidence=25), counts(4000, confidence=25)),
            (counts(200, confidence=40), counts(4000, confidence=40)),
            "Confidence",
            id="confidence",
        ),
        pytest.param(
            Bar(min_samples=100, max_confidence_below_stable=0.05),
            (counts(200, confidence=40), counts(4000, confidence=47)),
            (counts(200, confidence=40), counts(4000, confidence=41)),
            "Confidence",
            id="confidence below the stable arm's",
        ),
        pytest.param(
            Bar(min_samples=100, max_negative=0.1),
            (counts(200) + labelled(50, negative=25), counts(4000)),
            (counts(200) + labelled(50, negative=4), counts(4000)),
            "NegativeFeedback",
            id="negative feedback",
        ),
        pytest.param(
            Bar(min_samples=100, max_negative_over_stable=0.05),
            (counts(200) + labelled(50, negative=25), counts(4000) + labelled(500, negative=50)),
            (counts(200) + labelled(50, negative=25), counts(4000) + labelled(500, negative=250)),
            "NegativeFeedback",
            id="negative feedback over the stable arm's",
        ),
    ],
)
def test_each_limit_rolls_back_what_is_beyond_it_and_lets_be_what_is_not(
    bar: Bar, bad: tuple[ArmCounts, ArmCounts], good: tuple[ArmCounts, ArmCounts], reason: str
) -> None:
    fallen, kept = Canary(rule=rule(bar=bar)), Canary(rule=rule(bar=bar))
    for canary, (new, old) in ((fallen, bad), (kept, good)):
        for _ in canary.ticks(10, after=60, canary=new, stable=old):
            pass

    assert fallen.state is not None
    assert (fallen.state.phase, fallen.state.reason) == (Phase.ROLLED_BACK, reason)
    assert kept.state is not None
    assert kept.state.phase is Phase.PROGRESSING


def test_a_guard_that_asks_for_confidence_waits_for_answers_that_were_looked_at() -> None:
    canary = Canary(rule=rule(*EVERRISING, bar=Bar(min_samples=100, min_confidence=0.7)))

    canary.look(after=2 * HOUR, canary=counts(1000))
    blind = canary.weights
    canary.look(after=1, canary=counts(50, confidence=40))

    assert (blind, canary.weights) == ((95, 5), (75, 25))


def test_a_state_of_fewer_steps_than_it_came_to_is_another_splits() -> None:
    """The name of a split is made of its steps, so a state can never point beyond them."""
    canary = Canary(rule=rule(*EVERRISING))
    state = canary.look(after=HOUR)
    shorter = replace(canary.rule, split="s-2", steps=EVERRISING[:1])

    begun = advance(state, rule=shorter, stable=ArmCounts(), canary=ArmCounts(), now=canary.now)

    assert (state.step, begun.step) == (1, 0)
