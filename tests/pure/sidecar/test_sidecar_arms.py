"""What a completion says of the arm that it fell to, and how it is counted."""

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.completing.arms import arm_result
from pointsman_sidecar.contract.decision_json import decision_json
from pointsman_sidecar.contract.decisions import Attempt, Progress, decision
from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.routing.plan import Ejected, Plan, Reason, plan
from pointsman_sidecar.routing.policy import Policy, StickyBy
from pointsman_sidecar.tuning.arms import ArmResult, ArmTallies, latency_bin
from pointsman_sidecar.tuning.splits import SplitState
from support.policies import features, model, policy, route

KEYS = [f"user-{number}" for number in range(200)]


def splitting(**arms: int) -> Policy:
    """A policy that splits by user, with a fallback."""
    split = replace(route("new", arms=arms, sticky_by=StickyBy.USER), split="s-1")
    return policy(model("mini"), model("next"), model("flagship"), routes=(split,), fallbacks=("flagship",))


def planned(states: dict[str, SplitState] | None = None, *, user: str = "ada", **ejected: str) -> Plan:
    return plan(
        splitting(mini=95, next=5),
        features(user=user),
        request_id="r-1",
        ejected={name: Ejected(message=why, badness=(1.0,)) for name, why in ejected.items()},
        splits=states or {},
    )


def users_of(*weights: int) -> set[str]:
    """Who falls to the canary."""
    states = {"s-1": SplitState(weights=weights)}
    return {key for key in KEYS if planned(states, user=key).steps[0].model.name == "next"}


def ended(*outcomes: tuple[str, Outcome], out_of_time: bool = False, **ejected: str) -> ArmResult | None:
    """What is said of a completion that fell to the canary, whose calls ended so, a second after each other."""
    made = planned({"s-1": SplitState(weights=(0, 100))}, **ejected)
    attempts = [
        Attempt(
            step=replace(made.steps[0], model=model(name)),
            outcome=outcome,
            began=float(at),
            latency=0.5,
            confidence=0.9 if outcome is Outcome.SUCCEEDED else None,
        )
        for at, (name, outcome) in enumerate(outcomes)
    ]
    progress = Progress(id="d-1", policy=splitting(mini=95, next=5), plan=made, attempts=attempts)
    return arm_result(progress, out_of_time=out_of_time)


def test_the_weights_in_force_are_drawn_by_and_those_of_the_policy_where_none_are_known() -> None:
    assert users_of(100, 0) == set()
    assert users_of(0, 100) == set(KEYS)
    known = planned({"s-1": SplitState(weights=(75, 25))}).arm
    unknown = planned({"another": SplitState(weights=(0, 100))}).arm
    assert known is not None
    assert unknown is not None
    assert (known.weight, unknown.weight) == (75, 95)


@given(share=st.integers(0, 99), more=st.integers(1, 100))
def test_who_has_come_to_the_canary_stays_there_as_it_goes_up(share: int, more: int) -> None:
    later = min(100, share + more)

    assert users_of(100 - share, share) <= users_of(100 - later, later)


def test_a_decision_says_the_arm_its_weight_and_what_was_rolled_back() -> None:
    made = planned({"s-1": SplitState(weights=(100, 0), rolled_back="next")})
    said = decision(Progress(id="d-1", policy=splitting(mini=95, next=5), plan=made))

    assert made.steps[0].message.endswith("its split by user gave the arm of weight 100 of 100; next was rolled back")
    assert decision_json(said)["arm"] == {"model": "mini", "weight": 100, "total_weight": 100, "rolled_back": "next"}


def test_a_request_that_was_not_drawn_says_nothing() -> None:
    plain = policy(model("mini"))
    progress = Progress(id="d-1", policy=plain, plan=plan(plain, features(), request_id="r-1"))

    assert arm_result(progress, out_of_time=False) is None
    assert not decision(progress).HasField("arm")


@pytest.mark.parametrize(
    ("outcomes", "result"),
    [
        pytest.param([("next", Outcome.SUCCEEDED)], ArmResult(seconds=0.5, confidence=0.9), id="answered"),
        pytest.param(
            [("next", Outcome.RATE_LIMITED), ("next", Outcome.SUCCEEDED)],
            ArmResult(seconds=1.5, confidence=0.9),
            id="answered when asked again: from the first call on",
        ),
        pytest.param(
            [("next", Outcome.PROVIDER_FAILED), ("flagship", Outcome.SUCCEEDED)],
            ArmResult(seconds=None),
            id="a fallback answered",
        ),
        pytest.param([("next", Outcome.REFUSED)], ArmResult(seconds=None), id="the provider refuses such requests"),
        pytest.param([("next", Outcome.CUT)], ArmResult(seconds=None), id="the stream broke"),
        pytest.param([("next", Outcome.CANCELLED)], None, id="the caller went away"),
        pytest.param([("next", Outcome.NO_ACCESS)], None, id="no call was made"),
        pytest.param(
            [("next", Outcome.OVERTAKEN), ("next", Outcome.SUCCEEDED)],
            ArmResult(seconds=0.5, confidence=0.9),
            id="a hedge answered",
        ),
    ],
)
def test_what_the_arms_own_model_did_counts(outcomes: list[tuple[str, Outcome]], result: ArmResult | None) -> None:
    assert ended(*outcomes) == result


def test_a_caller_in_a_hurry_is_not_held_against_the_model() -> None:
    assert ended(("next", Outcome.TIMED_OUT), out_of_time=True) is None
    assert ended(("next", Outcome.TIMED_OUT)) == ArmResult(seconds=None)


def test_a_model_that_is_asked_about_its_own_answer_is_judged_by_the_answer() -> None:
    made = planned({"s-1": SplitState(weights=(0, 100))})
    attempts = [
        Attempt(step=made.steps[0], outcome=Outcome.SUCCEEDED, latency=0.5),
        Attempt(step=made.steps[0], outcome=Outcome.TIMED_OUT, self_check=True, began=1.0),
    ]
    progress = Progress(id="d-1", policy=splitting(mini=95, next=5), plan=made, attempts=attempts)

    assert arm_result(progress, out_of_time=False) == ArmResult(seconds=0.5)


def test_a_model_that_is_left_alone_because_it_failed_fails_this_request_too() -> None:
    made = planned({"s-1": SplitState(weights=(0, 100))}, next="its circuit is open")

    assert made.steps[0].reason is Reason.EJECTED
    assert ended(("flagship", Outcome.SUCCEEDED), next="its circuit is open") == ArmResult(seconds=None)


def test_counts_of_an_arm_are_its_splits_own() -> None:
    tallies = ArmTallies()
    tallies.add(ArmResult(seconds=0.0005, confidence=1.0), split="s-1", model="next")
    tallies.add(ArmResult(seconds=None), split="s-1", model="next")
    tallies.label(split="s-1", model="next", negative=True)
    tallies.label(split="s-1", model="next", negative=False)
    tallies.add(ArmResult(seconds=0.002), split="s-2", model="next")

    first, second = tallies
    assert (first.split, first.requests, first.errors, first.labels, first.negative) == ("s-1", 2, 1, 2, 1)
    assert (first.latency, sum(first.confidence), len(first.confidence)) == ([1], 1, 50)
    assert (second.split, second.requests, second.latency) == ("s-2", 1, [0] * 8 + [1])


def test_counts_of_splits_that_are_long_gone_are_given_up() -> None:
    tallies = ArmTallies()
    for number in range(1000):
        tallies.add(ArmResult(seconds=0.1), split=f"s-{number}", model="next")

    kept = [tally.split for tally in tallies]
    assert len(kept) == 128
    assert kept[-1] == "s-999"


@given(seconds=st.floats(0, 1e9))
def test_every_time_has_a_bin(seconds: float) -> None:
    at = latency_bin(seconds)

    assert 0 <= at <= 160
    if 0 < at < 160:
        assert 0.001 * 2 ** ((at - 1) / 8) < seconds * (1 + 1e-9)
        assert seconds <= 0.001 * 2 ** (at / 8) * (1 + 1e-9)
