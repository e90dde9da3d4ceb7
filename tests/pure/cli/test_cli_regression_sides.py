"""Who answers on each side."""

from typing import Any

import pytest

from pointsman.errors import UserError
from pointsman.explaining import explain
from pointsman.manifests import Manifests, judge
from pointsman.regression.sides import Asker, Side, of_models, of_policies, of_route
from pointsman_api.v1 import completions_pb2, types_pb2
from pointsman_operator.schema import definitions, documents
from pure.cli.resources import policy, provider, quota, text, used
from support import completions

ASKER = Asker(namespace=None, labels={}, secrets=())
SPLIT = {"arms": [{"model": "flagship", "weight": 90}, {"model": "mini", "weight": 10}]}


def files(*resources: Any) -> Manifests:
    manifests = judge(documents(text(*resources), source="all.yaml"), definitions=definitions(), namespace="default")
    assert manifests.refused == ()
    return manifests


def planned(side: Side, request: completions_pb2.CompleteRequest) -> list[str]:
    """The models that would be asked, in order."""
    answer = explain(
        request, world=side.world, pod=side.pod, new_id=lambda: "d-1", now=0.0, headers={}, negative_feedback=0
    )
    return [step.model for step in answer.plan]


def severe() -> completions_pb2.CompleteRequest:
    return completions.ask("Hello?", hints={"severity": types_pb2.SEVERITY_HIGH})


def test_of_two_models_each_answers_all_and_nobody_stands_in() -> None:
    escalating = policy(
        allowPinning=True,
        escalation={"model": "flagship", "complexity": {"threshold": "0"}},
        resilience={"fallbacks": ["flagship"], "retries": {"attempts": 1}},
    )
    sides = of_models(files(provider(), escalating), baseline="mini", candidate="flagship", asker=ASKER)

    assert [side.model for side in sides] == ["openai/gpt-4o-mini", "openai/gpt-4o"]
    for side, name in zip(sides, ("mini", "flagship"), strict=True):
        assert [planned(side, ask) for ask in (completions.ask("Hello?"), severe())] == [[name], [name]]


def test_of_a_split_the_second_arm_is_the_candidate() -> None:
    route = {"name": "trial", "when": {"severity": {"in": ["Low"]}}, "split": SPLIT}
    sides = of_route(files(provider(), policy(routes=[route])), route="trial", asker=ASKER)

    assert [side.name for side in sides] == ["flagship", "mini"]


def test_two_policies_are_compared_as_they_are_and_share_what_one_file_has() -> None:
    candidate = files(policy("other", defaultModel="flagship"))
    sides = of_policies(files(provider(), policy()), candidate, asker=ASKER)

    assert [side.model for side in sides] == ["", ""]
    assert [planned(side, completions.ask("Hello?")) for side in sides] == [["mini"], ["flagship"]]
    assert [planned(side, severe()) for side in sides] == [["flagship"], ["flagship"]]


def test_a_candidates_own_provider_stands_for_the_baselines() -> None:
    candidate = files(provider(baseURL="http://127.0.0.1:9/v1"), policy())
    sides = of_policies(files(provider(), policy()), candidate, asker=ASKER)
    urls = [each.spec.base_url for side in sides for each in side.world.providers.values()]  # type: ignore[union-attr]

    assert urls[0] != urls[1] == "http://127.0.0.1:9/v1"


def test_budgets_are_no_part_of_it() -> None:
    sides = of_models(files(provider(), policy(), quota()), baseline="mini", candidate="flagship", asker=ASKER)

    assert [len(side.world.quotas) for side in sides] == [0, 0]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"baseline": "mini", "candidate": "mini"}, "baseline and candidate are both mini: name two models"),
        (
            {"baseline": "mini", "candidate": "max"},
            "--candidate max is no model of policy shop/support: it has mini, flagship, third",
        ),
        ({"route": "severe"}, "--route severe has no split: name models with --baseline and --candidate"),
        (
            {"route": "three"},
            "--route three has a split of 3 arms, not of two: name models with --baseline and --candidate",
        ),
        ({"route": "none"}, "--route none is no route of policy shop/support: it has severe, three"),
    ],
)
def test_what_cannot_be_compared_is_said(options: dict[str, str], expected: str) -> None:
    models = [used("mini", "gpt-4o-mini"), used("flagship", "gpt-4o"), used("third", "gpt-4o")]
    arms = [{"model": each["name"], "weight": 1} for each in models]
    routes = [
        {"name": "severe", "when": {"severity": {"in": ["High"]}}, "model": "flagship"},
        {"name": "three", "when": {"severity": {"in": ["Low"]}}, "split": {"arms": arms}},
    ]
    manifests = files(provider(), policy(models=models, routes=routes))
    sides = of_route if "route" in options else of_models

    with pytest.raises(UserError) as raised:
        sides(manifests, asker=ASKER, **options)  # type: ignore[operator]
    assert str(raised.value) == expected
