"""Rules as a snapshot has them: what is rejected, what is loaded, and what a model's pace changes."""

import subprocess
import sys
from dataclasses import replace
from typing import Any

import pytest

from pointsman_api.v1 import snapshot_pb2, types_pb2
from pointsman_sidecar.contract.rejections import SnapshotRejectedError
from pointsman_sidecar.contract.snapshots import read_snapshot
from pointsman_sidecar.doors.headers import for_rules
from pointsman_sidecar.routing.facts import VARIABLES
from pointsman_sidecar.routing.plan import Ejected, Plan, Reason, plan
from pointsman_sidecar.routing.policy import Policy
from support.policies import features, model, policy
from support.snapshots import seconds, snapshot, update

Matcher = snapshot_pb2.Matcher


def read(matcher: Matcher | None = None, **fields: Any) -> Policy:
    """The policy of a snapshot with one route."""
    condition = snapshot_pb2.Condition(all=[matcher] if matcher else [])
    route = snapshot_pb2.Route(name="r", when=condition, arms=[snapshot_pb2.Arm(model="mini", weight=1)])
    content = snapshot(routes=[route])
    content.MergeFrom(snapshot_pb2.Snapshot(**fields))
    return read_snapshot(update(content))


def in_(*values: Any) -> dict[str, Any]:
    """The field `in`, which is a word of Python's."""
    return {"in": values}


@pytest.mark.parametrize(
    ("matcher", "why"),
    [
        (Matcher(header=snapshot_pb2.HeaderMatcher(name="x-a")), "route r does not say what header x-a must be"),
        (Matcher(user=snapshot_pb2.UserMatcher()), "route r does not say what the user must be"),
        (Matcher(tools=snapshot_pb2.ToolsMatcher()), "route r does not say what tools must be"),
        (
            Matcher(domain=snapshot_pb2.DomainMatcher(**in_(99))),
            "route r holds a value that this sidecar does not know (99)",
        ),
        (
            Matcher(language=snapshot_pb2.LanguageMatcher(**in_("xx"))),
            "route r names a language that this sidecar cannot tell (xx)",
        ),
        (
            Matcher(time=snapshot_pb2.TimeMatcher(to_minute=5, time_zone="Mars/Olympus")),
            "route r names the time zone 'Mars/Olympus', which this sidecar does not know",
        ),
        (
            Matcher(negative_feedback=snapshot_pb2.NegativeFeedbackMatcher()),
            "route r asks for 0 negative labels, which is not above 0",
        ),
        (Matcher(time=snapshot_pb2.TimeMatcher(days=[8], time_zone="UTC")), "route r holds a time that there is not"),
        (
            Matcher(expression="request.usr == 'a'"),
            (
                "route r has an expression that does not compile: "
                "1:8: undeclared reference to 'request.usr' (in container '')"
            ),
        ),
        (Matcher(expression="request.user"), "route r has an expression that is neither true nor false"),
        (Matcher(), "route r has a matcher that this sidecar does not know: it is older than the policy"),
    ],
)
def test_what_cannot_be_read_is_rejected_with_a_reason(matcher: Matcher, why: str) -> None:
    with pytest.raises(SnapshotRejectedError) as caught:
        read(matcher)

    assert str(caught.value) == why


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        (
            {"risk": snapshot_pb2.Risk(lexicons=["it"])},
            "risk names the lexicon it, which this sidecar does not have",
        ),
        (
            {"risk": snapshot_pb2.Risk(terms=[snapshot_pb2.RiskTerms(domain=types_pb2.DOMAIN_LEGAL, words=["a"])])},
            "risk holds a value that this sidecar does not know (0)",
        ),
        ({"latency": snapshot_pb2.Latency(p50=seconds(0))}, "latency.p50 is not above 0"),
    ],
)
def test_a_risk_or_a_latency_that_cannot_be_read_is_rejected(fields: dict[str, Any], why: str) -> None:
    with pytest.raises(SnapshotRejectedError) as caught:
        read(**fields)

    assert str(caught.value) == why


def test_a_sidecar_without_an_expression_does_not_load_cel() -> None:
    code = "import pointsman_sidecar.main, sys; print(any(name.startswith('cel_expr') for name in sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "False\n"


def test_every_variable_of_the_contract_has_its_value() -> None:
    fields = snapshot_pb2.ExpressionVariables.DESCRIPTOR.fields
    assert {field.json_name for field in fields} == VARIABLES


@pytest.mark.parametrize("name", sorted(VARIABLES))
def test_every_variable_can_be_read_by_an_expression(name: str) -> None:
    found = plan(read(Matcher(expression=f"request.{name} == request.{name}")), features(), request_id="r-1")

    assert (found.route, found.failed) == ("r", ())


def test_an_expression_that_takes_too_many_steps_does_not_match_and_is_told() -> None:
    numbers = f"[{','.join('1' * 150)}]"
    slow = read(Matcher(expression=f"{numbers}.all(a, {numbers}.all(b, {numbers}.all(c, a == b)))"))
    found = plan(slow, features(), request_id="r-1")

    assert (found.route, found.failed) == ("", ("r",))
    assert found.trials[0].match.why().endswith("(it failed: it takes too many steps)")


def test_headers_that_carry_keys_are_not_for_rules_and_the_first_of_several_counts() -> None:
    sent = [("Authorization", "x"), ("X-API-Key", "x"), ("Cookie", "x"), ("X-Tier", "gold"), ("x-tier", "lead")]

    assert for_rules(sent) == {"x-tier": "gold"}


def hurried(paces: dict[str, float], *, p50: float | None = 0.3, ejected: tuple[str, ...] = ()) -> Plan:
    """The plan of a policy whose default is `slow`, with two fallbacks."""
    base = policy(model("slow"), model("fast"), model("other"), fallbacks=("fast", "other"))
    told = read(latency=snapshot_pb2.Latency(p50=seconds(p50))) if p50 else read()
    return plan(
        replaced(base, told.p50),
        features(),
        request_id="r-1",
        ejected={name: Ejected(message="it fails", badness=(1.0,)) for name in ejected},
        paces=paces,
    )


def replaced(base: Policy, p50: float | None) -> Policy:
    """The policy with another latency."""
    return replace(base, p50=p50)


def order(planned: Plan) -> list[str]:
    """The models of a plan, in order."""
    return [step.model.name for step in planned.steps]


def test_a_model_that_is_too_slow_gives_way_to_one_that_is_not() -> None:
    found = hurried({"slow": 0.9, "fast": 0.1, "other": 0.5})

    assert order(found) == ["fast", "slow", "other"]
    assert [step.reason for step in found.steps] == [Reason.LATENCY, Reason.FALLBACK, Reason.FALLBACK]
    assert found.steps[0].message == (
        "slow was chosen (it is the default model) but half of its answers take longer than 0.3 s to begin "
        "(about 0.9 s)"
    )


def test_a_model_of_which_nothing_is_known_is_given_its_chance() -> None:
    assert order(hurried({"slow": 0.9, "fast": 0.5})) == ["other", "slow", "fast"]


@pytest.mark.parametrize(
    ("paces", "p50"),
    [({"slow": 0.9, "fast": 0.8, "other": 0.7}, 0.3), ({"slow": 0.3}, 0.3), ({}, 0.3), ({"slow": 9.0}, None)],
    ids=["all too slow", "kept exactly", "nothing known", "not asked for"],
)
def test_otherwise_the_order_stays(paces: dict[str, float], p50: float | None) -> None:
    found = hurried(paces, p50=p50)

    assert order(found) == ["slow", "fast", "other"]
    assert found.steps[0].reason is Reason.DEFAULT


def test_a_model_that_fails_does_not_come_first_however_fast_it_is() -> None:
    assert order(hurried({"slow": 0.9, "fast": 0.1}, ejected=("fast",))) == ["other", "slow"]
