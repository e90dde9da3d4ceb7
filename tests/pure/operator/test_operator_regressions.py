"""What a policy's annotations say of a suite, and how they reach who asks."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.compile import Standing, provider_model, read_regressions
from pointsman_operator.resources import Kind
from pointsman_operator.world import Change, World
from pure.operator.objects import policy, read_policy, used

NAME = "regression.pointsman.dev/answers"
MODELS = {"baseline": "openai/gpt-4o-mini", "candidate": "openai/gpt-5-mini"}
RESULT = {
    "passed": True,
    "cases": 12,
    "regressions": 0,
    **MODELS,
    "suite": "0123456789ab",
    "at": "2026-03-02T18:30:00Z",
}
RUN = "run `pointsman regress` with the suite for openai/gpt-5-mini beside openai/gpt-4o-mini, and --record"


def standing(**changes: Any) -> tuple[Standing, str]:
    read = read_regressions({NAME: json.dumps(RESULT | changes)}, suite="answers", **MODELS)
    return read.standing, read.message


def annotated(value: dict[str, Any], **annotations: str) -> dict[str, Any]:
    return {**value, "metadata": {**value["metadata"], "annotations": annotations}}


def test_a_suite_that_was_passed_is_passed() -> None:
    assert standing() == (Standing.PASSED, "")


def test_one_that_was_not_says_what_was_found_and_what_to_do() -> None:
    found, message = standing(passed=False, regressions=2)

    assert found is Standing.FAILED
    assert message == (
        "openai/gpt-5-mini did not pass suite answers at 2026-03-02T18:30:00Z: 2 regressions in 12 cases; "
        f"once it is better, {RUN}"
    )


def test_one_that_was_not_run_says_what_to_run() -> None:
    read = read_regressions({"regression.pointsman.dev/others": json.dumps(RESULT)}, suite="answers", **MODELS)

    assert (read.standing, read.message) == (Standing.ABSENT, f"suite answers has not been run: {RUN}")


@pytest.mark.parametrize("changed", ["baseline", "candidate"])
def test_a_result_of_other_models_is_none_of_these(changed: str) -> None:
    found, message = standing(**{changed: "openai/gpt-3"})

    assert found is Standing.ABSENT
    assert message.startswith("suite answers was last run for ")
    assert "openai/gpt-3" in message
    assert message.endswith(RUN)


@pytest.mark.parametrize(
    "text",
    [
        "",
        "passed",
        "true",
        "[]",
        "{}",
        "[" * 3000,
        json.dumps(RESULT | {"passed": 1}),
        json.dumps(RESULT | {"passed": "true"}),
        json.dumps(RESULT | {"cases": 0}),
        json.dumps(RESULT | {"cases": True}),
        json.dumps(RESULT | {"regressions": -1}),
        json.dumps(RESULT | {"regressions": 13}),
        json.dumps(RESULT | {"at": None}),
        json.dumps(RESULT | {"candidate": ["openai/gpt-5-mini"]}),
        json.dumps(RESULT | {"more": "x" * 5000}),
    ],
)
def test_what_is_no_result_passes_nothing(text: str) -> None:
    read = read_regressions({NAME: text}, suite="answers", **MODELS)

    assert (read.standing, read.message) == (
        Standing.ABSENT,
        f"the annotation regression.pointsman.dev/answers cannot be read: {RUN}",
    )


def test_what_somebody_wrote_does_not_flood_a_status() -> None:
    _, message = standing(candidate="x\n" * 1000)

    assert "\n" not in message
    assert len(message) < 400


@given(st.text() | st.recursive(st.none() | st.booleans() | st.integers() | st.text(), st.lists).map(json.dumps))
def test_any_text_gets_a_verdict(text: str) -> None:
    assert read_regressions({NAME: text}, suite="answers", **MODELS).standing is Standing.ABSENT


def test_a_model_is_named_by_its_provider_and_the_providers_name() -> None:
    read = read_policy(policy(models=[used("mini", "gpt-4o-mini"), used("new", "gpt-5-mini", provider="west")]))

    assert [provider_model(read, each) for each in ("mini", "new", "none")] == [
        "openai/gpt-4o-mini",
        "west/gpt-5-mini",
        "",
    ]


def test_these_annotations_and_no_others_reach_the_world() -> None:
    first = annotated(policy(version=5), **{"kubectl.kubernetes.io/last-applied-configuration": "{}"})
    then = annotated(policy(version=6), **{NAME: "{}", "example.com/other": "x"})
    world = World().relist(Kind.POLICY, [first], resource_version="5")
    after = world.observe(Kind.POLICY, Change.WRITTEN, then)
    [before], [known] = world.policies.values(), after.policies.values()

    assert dict(before.metadata.annotations) == {}
    assert dict(known.metadata.annotations) == {NAME: "{}"}
