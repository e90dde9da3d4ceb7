"""A canary that has a suite to pass takes no further step before that."""

import json
from typing import Any

import pytest

from pointsman_operator.resources import Key, ModelRoutingPolicy
from pointsman_operator.resources.kinds import REGRESSION_PREFIX
from pointsman_operator.resources.parse import parse_policy
from pointsman_operator.tuning import states
from pointsman_operator.tuning.splits import Phase
from pointsman_operator.tuning.states import PolicyState
from pure.operator.objects import policy

HOUR = 3600.0
STATE = PolicyState(policy=Key("shop", "support"), uid="u-1")
PASSED = {
    "passed": True,
    "cases": 12,
    "regressions": 0,
    "baseline": "openai/gpt-4o-mini",
    "candidate": "openai/gpt-4o",
    "suite": "abc",
    "at": "2026-11-26T03:00:00Z",
}


def splitting(result: dict[str, Any] | None, *, suite: str = "support-answers") -> ModelRoutingPolicy:
    """The policy, with what is recorded of its suite."""
    split = {
        "stickyBy": "User",
        "arms": [{"model": "mini"}, {"model": "flagship"}],
        "steps": [{"weight": 5, "for": "1h"}, {"weight": 50, "for": "1h"}, {"weight": 100}],
        "suite": suite,
    }
    value = policy(routes=[{"name": "new", "when": {"severity": {"in": ["Low"]}}, "split": split}])
    if result is not None:
        value["metadata"]["annotations"] = {f"{REGRESSION_PREFIX}support-answers": json.dumps(result)}
    read = parse_policy(value)
    assert isinstance(read, ModelRoutingPolicy)
    return read


def looked_at(state: PolicyState, of: ModelRoutingPolicy, *, now: float) -> tuple[PolicyState, Phase, int, str]:
    """The state, the phase, the step and the message."""
    after = states.retuned(state, of, now=now)
    (kept,) = after.splits.splits.values()
    return after, kept.state.phase, kept.state.step, kept.state.message


def test_it_waits_for_the_suite_and_goes_on_once_that_is_passed() -> None:
    state, *_ = looked_at(STATE, splitting(None), now=0)

    state, phase, step, message = looked_at(state, splitting(None), now=HOUR)
    assert (phase, step) == (Phase.PAUSED, 0)
    assert message.startswith("suite support-answers has not been run: run `pointsman regress`")

    state, phase, step, _ = looked_at(state, splitting(PASSED), now=2 * HOUR)
    assert (phase, step) == (Phase.PROGRESSING, 1)

    _, phase, step, _ = looked_at(state, splitting(PASSED), now=3 * HOUR)
    assert (phase, step) == (Phase.PROGRESSING, 2)


@pytest.mark.parametrize(
    ("result", "why"),
    [
        pytest.param(
            PASSED | {"passed": False, "regressions": 3},
            "openai/gpt-4o did not pass suite support-answers at 2026-11-26T03:00:00Z: 3 regressions in 12 cases",
            id="failed",
        ),
        pytest.param(
            PASSED | {"candidate": "openai/gpt-5"},
            "suite support-answers was last run for openai/gpt-5 beside openai/gpt-4o-mini",
            id="of another model",
        ),
    ],
)
def test_what_it_did_not_pass_itself_holds_it_back(result: dict[str, Any], why: str) -> None:
    state, *_ = looked_at(STATE, splitting(result), now=0)

    _, phase, step, message = looked_at(state, splitting(result), now=HOUR)

    assert (phase, step) == (Phase.PAUSED, 0)
    assert message.startswith(why)


def test_the_result_of_another_suite_says_nothing() -> None:
    state, *_ = looked_at(STATE, splitting(PASSED, suite="others"), now=0)

    _, phase, _, message = looked_at(state, splitting(PASSED, suite="others"), now=HOUR)

    assert phase is Phase.PAUSED
    assert message.startswith("suite others has not been run")
