"""What is explained by files alone is what a sidecar in the cluster would do."""

from typing import Any

import pytest

from pointsman.explaining import NotProgrammedError, explain
from pointsman.worlds import Generations, Pod
from pointsman_api.v1 import completions_pb2, control_pb2, decision_pb2, types_pb2
from pointsman_operator.compile import Compiled, compile_policy
from pointsman_operator.resources import Key
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.requests import features
from pointsman_sidecar.contract.snapshots import CONTRACT_VERSION, read_snapshot
from pointsman_sidecar.routing.escalation import ESCALATED
from pointsman_sidecar.routing.plan import Reason, plan
from pure.cli.resources import Json, namespace, offered, policy, provider, used, world
from support import completions

HEARING = provider(models=[offered("gpt-4o-mini"), offered("gpt-4o", modalities=["Text", "Audio"])])
ROUTES = [
    {"name": "severe", "when": {"severity": {"in": ["High", "Critical"]}}, "model": "flagship", "fallbacks": []},
    {"name": "legal", "when": {"metadata": {"key": "topic", "in": ["legal"]}}, "model": "flagship"},
    {
        "name": "trial",
        "when": {"metadata": {"key": "trial", "exists": True}},
        "split": {"stickyBy": "User", "arms": [{"model": "mini", "weight": 1}, {"model": "flagship", "weight": 1}]},
    },
]
POLICY = policy(routes=ROUTES, allowPinning=True, resilience={"fallbacks": ["flagship"]})
IMAGE = completions_pb2.ContentPart(image=completions_pb2.ImagePart(url="https://example.org/a.png"))
VOICE = completions_pb2.ContentPart(audio=completions_pb2.AudioPart(data=b"RIFF", format="wav"))


def hints(**fields: Any) -> completions_pb2.RoutingHints:
    return completions_pb2.RoutingHints(**fields)


def explained(
    request: completions_pb2.CompleteRequest, *resources: Json, in_namespace: str = "shop", **labels: str
) -> completions_pb2.ExplainResponse:
    pod = Pod(namespace=in_namespace, name="standalone", labels=labels)
    return explain(
        request,
        world=world(*(resources or (HEARING, POLICY))),
        pod=pod,
        new_id=lambda: "d-1",
        now=0.0,
        headers={},
        negative_feedback=0,
    )


REQUESTS = {
    "plain": completions.ask("Hello"),
    "severe": completions.ask("Hello", hints=hints(severity=types_pb2.SEVERITY_CRITICAL)),
    "by metadata": completions.ask("Hello", hints=hints(metadata={"topic": "legal"})),
    "a split": completions.ask("Hello", hints=hints(user="u-7", metadata={"trial": "1"})),
    "pinned": completions.ask("Hello", model="flagship"),
    "an image": completions.ask("What is it?", IMAGE),
    "a voice that the default does not hear": completions.ask("Listen", VOICE),
}


@pytest.mark.parametrize("name", REQUESTS)
def test_it_says_what_the_routing_would_do(name: str) -> None:
    request = REQUESTS[name]
    seen = world(HEARING, POLICY)
    compiled = compile_policy(seen.policies[Key("shop", "support")], providers=seen.providers, namespace_labels={})
    assert isinstance(compiled, Compiled)
    update = control_pb2.SnapshotUpdate(contract_version=CONTRACT_VERSION, snapshot=compiled.snapshot)
    expected = plan(read_snapshot(update), features(request), request_id="d-1")

    answer = explained(request)

    assert [(step.model, step.reason) for step in answer.plan] == [
        (step.model.name, decision_pb2.Reason.Value(f"REASON_{step.reason.name}")) for step in expected.steps
    ]
    assert [(trial.route, trial.matched) for trial in answer.routes] == [
        (trial.route, trial.match.holds) for trial in expected.trials
    ]
    assert [skipped.model for skipped in answer.skipped] == [skipped.model for skipped in expected.skipped]
    assert (answer.decision.model, answer.decision.route) == (expected.steps[0].model.name, expected.route)
    assert (answer.decision.policy.namespace, answer.decision.policy.name) == ("shop", "support")


def test_the_requests_above_differ_in_what_decides_them() -> None:
    reasons = {answer.plan[0].reason for answer in map(explained, REQUESTS.values())}
    # Nothing fails and nothing is answered where nothing is called, and without an operator there are no budgets.
    by_failure = {Reason.FALLBACK, Reason.EJECTED, Reason.QUOTA, Reason.LATENCY}
    named = {decision_pb2.Reason.Value(f"REASON_{reason.name}") for reason in set(Reason) - by_failure - ESCALATED}
    assert reasons == named


def test_a_complex_request_is_explained_as_one() -> None:
    complexity = {"model": "flagship", "complexity": {"threshold": "0"}}
    answer = explained(REQUESTS["plain"], HEARING, policy(escalation=complexity))

    assert answer.decision.reason == decision_pb2.REASON_COMPLEXITY
    assert answer.decision.HasField("complexity")


def test_the_policy_that_is_for_the_pod_decides() -> None:
    everyone = policy("everyone", defaultModel="mini")
    web = policy("web", defaultModel="flagship", selector={"matchLabels": {"app": "web"}})
    resources = (provider(), everyone, web)
    assert explained(completions.ask(), *resources, app="web").decision.model == "flagship"
    assert explained(completions.ask(), *resources, app="till").decision.model == "mini"


def test_a_pod_that_no_policy_selects_is_told_so() -> None:
    web = policy("web", selector={"matchLabels": {"app": "web"}})
    with pytest.raises(NotProgrammedError, match=r"^no policy of namespace shop selects a pod with app=till,tier=x$"):
        explained(completions.ask(), provider(), web, app="till", tier="x")
    with pytest.raises(NotProgrammedError, match=r"^no policy of namespace shop selects a pod with no labels$"):
        explained(completions.ask(), provider(), web)
    with pytest.raises(NotProgrammedError, match=r"^no policy of namespace till selects a pod with no labels$"):
        explained(completions.ask(), provider(), policy(), in_namespace="till")


def test_a_policy_that_cannot_be_programmed_says_all_that_keeps_it_from_it() -> None:
    unmade = policy(models=[used("mini", "gpt-5"), used("flagship", "gpt-4o", provider="azure")])
    with pytest.raises(NotProgrammedError) as caught:
        explained(completions.ask(), provider(), unmade)
    assert str(caught.value) == (
        "policy shop/support cannot be programmed: "
        "spec.models[0].model: ModelProvider openai has no model gpt-5; it has gpt-4o-mini, gpt-4o; "
        "spec.models[1].providerRef: there is no ModelProvider azure; create it, or name one that "
        "`kubectl get modelproviders` lists"
    )


def test_a_policy_that_cannot_be_programmed_gives_way_to_no_other() -> None:
    unmade = policy("unmade", models=[used("mini", "gpt-5")], routes=[])
    with pytest.raises(NotProgrammedError, match="policy shop/unmade cannot be programmed"):
        explained(completions.ask(), provider(), unmade, policy("good"))


def test_a_request_that_would_get_no_answer_is_told_why() -> None:
    with pytest.raises(CompletionError, match="does not take in audio") as deaf:
        explained(completions.ask("Listen", VOICE), provider(), policy())
    assert deaf.value.kind is Kind.FAILED_PRECONDITION
    with pytest.raises(CompletionError, match="messages is empty") as malformed:
        explained(completions_pb2.CompleteRequest())
    assert malformed.value.kind is Kind.INVALID_ARGUMENT


def test_the_generation_of_the_policy_is_in_the_decision() -> None:
    generations = Generations()
    world(provider(), policy(), generations=generations)
    changed = world(provider(), policy(defaultModel="flagship"), generations=generations, version=2)
    pod = Pod(namespace="shop", name="standalone", labels={})
    answer = explain(
        completions.ask(),
        world=changed,
        pod=pod,
        new_id=lambda: "d-1",
        now=0.0,
        headers={},
        negative_feedback=0,
    )
    assert (answer.decision.id, answer.decision.policy.generation) == ("d-1", 2)


def test_the_labels_of_the_namespace_open_a_provider() -> None:
    selected = provider(allowedNamespaces={"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}})
    assert explained(completions.ask(), selected, namespace("shop", ai="allowed"), policy()).decision.model == "mini"
    with pytest.raises(NotProgrammedError, match="does not allow namespace shop"):
        explained(completions.ask(), selected, namespace("shop"), policy())
