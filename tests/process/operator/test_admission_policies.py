"""The webhook that judges policies, providers and quotas, asked over real TLS."""

import json

import pytest

from pointsman.checking import report
from pointsman.manifests import judge
from pointsman.worlds import Generations, world_of
from pointsman_operator.schema import Document, definitions
from pointsman_operator.world import World
from process.operator.admissions import VALIDATE, webhooks
from pure.operator.objects import Json, counted, namespace, offered, policy, provider, quota, route, used, world

BAD_SELECTOR = {"matchLabels": {"app": "-web-"}}


async def verdict(value: Json, *, seen: World | None = None, old: Json | None = None) -> Json:
    """The response to a review."""
    async with webhooks(world=world(providers=[provider()]) if seen is None else seen) as running:
        return (await running.ask(VALIDATE, value, kind=value["kind"], old=old)).response


async def test_a_sound_policy_passes_without_a_word() -> None:
    assert await verdict(policy()) == {"uid": "review-1", "allowed": True}


@pytest.mark.parametrize(
    ("value", "path"),
    [
        (policy(selector=BAD_SELECTOR), "spec.selector.matchLabels[app]"),
        (
            provider(allowed={"from": "Selector", "selector": BAD_SELECTOR}),
            "spec.allowedNamespaces.selector.matchLabels[app]",
        ),
    ],
)
async def test_what_no_other_object_can_mend_is_refused_as_the_schema_refuses(value: Json, path: str) -> None:
    response = await verdict(value)

    status = response["status"]
    (cause,) = status["details"]["causes"]
    assert not response["allowed"]
    assert (status["code"], status["reason"]) == (422, "Invalid")
    assert (status["details"]["kind"], status["details"]["name"]) == (value["kind"], value["metadata"]["name"])
    assert cause["field"] == path
    assert cause["message"].startswith("'-web-' cannot be the value of a label; write up to 63 letters")


@pytest.mark.parametrize(
    ("when", "path", "sentence"),
    [
        (
            {"expression": "request.usr == 'ann'"},
            "spec.routes[0].when.expression",
            "1:8: there is no request.usr: write one of request.user, ",
        ),
        (
            {"any": [{"time": {"days": ["Monday"], "timeZone": "Mars/Olympus"}}]},
            "spec.routes[0].when.any[0].time.timeZone",
            "there is no time zone 'Mars/Olympus'",
        ),
    ],
)
async def test_a_rule_that_cannot_be_tried_is_refused_with_its_place(when: Json, path: str, sentence: str) -> None:
    response = await verdict(policy(routes=[route("r", when=when)]))

    (cause,) = response["status"]["details"]["causes"]
    assert not response["allowed"]
    assert cause["field"] == path
    assert cause["message"].startswith(sentence)


IN_EUROS = {"cost": {"amount": "50.00", "currency": "EUR"}}
FRANCS = offered("mistral", price={"currency": "CHF", "input": "1", "output": "2"})


async def test_a_sound_quota_passes_without_a_word() -> None:
    assert await verdict(quota(models=[counted()], timeZone="Asia/Kathmandu")) == {"uid": "review-1", "allowed": True}


@pytest.mark.parametrize(
    ("value", "path", "sentence"),
    [
        (quota(timeZone="Europe/Atlantis"), "spec.timeZone", "there is no time zone 'Europe/Atlantis'"),
        (quota(models=[counted()], limit=IN_EUROS), "spec.models[0]", "money in two currencies cannot be added"),
        (quota(selector=BAD_SELECTOR), "spec.selector.matchLabels[app]", "cannot be the value of a label"),
    ],
    ids=["no such time zone", "two currencies", "bad selector"],
)
async def test_a_quota_that_no_order_of_applying_mends_is_refused(value: Json, path: str, sentence: str) -> None:
    response = await verdict(value)

    (cause,) = response["status"]["details"]["causes"]
    assert not response["allowed"]
    assert cause["field"] == path
    assert sentence in cause["message"]


@pytest.mark.parametrize(
    ("value", "seen", "warning"),
    [
        (quota(models=[counted()]), world(), "not ready: ProviderNotFound: spec.models[0].providerRef: there is no"),
        (
            quota(models=[counted("gpt-5")]),
            world(providers=[provider()]),
            "not ready: ModelNotFound: spec.models[0].model: ModelProvider openai has no model gpt-5",
        ),
        (
            quota(limit=IN_EUROS),
            world(providers=[provider(models=[FRANCS])]),
            "not ready: NotCounted: spec.limit.cost.currency: calls of models that are priced in another currency",
        ),
        (
            quota(models=[counted("gpt-4o-mini")], whenExhausted="DefaultModel"),
            world(providers=[provider()], policies=[policy(), policy("other", namespace="till")]),
            "not ready: DefaultModelCounted: spec.whenExhausted: the default model of ModelRoutingPolicy support",
        ),
    ],
    ids=["no provider", "no model", "not counted", "default model counted"],
)
async def test_a_quota_that_other_objects_can_mend_passes_with_a_warning(
    value: Json, seen: World, warning: str
) -> None:
    response = await verdict(value, seen=seen)

    assert response["allowed"]
    (said,) = response["warnings"]
    assert said.startswith(warning)


async def test_a_quota_that_is_stored_already_can_be_labelled() -> None:
    stored = quota(timeZone="Europe/Atlantis")

    assert (await verdict({**stored, "metadata": {**stored["metadata"], "labels": {"a": "b"}}}, old=stored))["allowed"]


async def test_a_rule_that_this_version_knows_half_of_is_refused() -> None:
    response = await verdict(policy(routes=[route(when={"severity": {"in": ["High"]}, "moonPhase": "Full"})]))

    (cause,) = response["status"]["details"]["causes"]
    assert cause["field"] == "spec.routes[0].when.moonPhase"


@pytest.mark.parametrize(
    ("seen", "warning"),
    [
        (world(), "not ready: ProviderNotFound: spec.models[0].providerRef: there is no ModelProvider openai"),
        (
            world(providers=[provider(models=[])]),
            "not ready: ModelNotFound: spec.models[0].model: ModelProvider openai has no model gpt-4o-mini",
        ),
        (
            world(providers=[provider(allowed={"from": "Selector", "selector": {"matchLabels": {"ai": "yes"}}})]),
            "not ready: NamespaceNotAllowed: spec.models[0].providerRef: ModelProvider openai does not allow namespace",
        ),
    ],
)
async def test_what_other_objects_can_still_mend_is_a_warning(seen: World, warning: str) -> None:
    response = await verdict(policy(), seen=seen)

    assert response["allowed"]
    assert response["warnings"][0].startswith(warning)


async def test_a_refusal_comes_with_the_warnings() -> None:
    response = await verdict(policy(selector=BAD_SELECTOR), seen=world())

    assert len(response["status"]["details"]["causes"]) == 1
    assert len(response["warnings"]) == 2


async def test_before_the_cluster_is_read_nothing_is_said_to_be_missing() -> None:
    assert await verdict(policy(), seen=World()) == {"uid": "review-1", "allowed": True}
    assert not (await verdict(policy(selector=BAD_SELECTOR), seen=World()))["allowed"]


async def test_a_policy_that_is_stored_already_can_be_labelled_and_finalized() -> None:
    stored = policy(selector=BAD_SELECTOR)
    labelled = {**stored, "metadata": {**stored["metadata"], "labels": {"team": "shop"}}}
    changed = policy(selector=BAD_SELECTOR, allowPinning=True)

    assert (await verdict(labelled, old=stored))["allowed"]
    assert not (await verdict(changed, old=stored))["allowed"]


async def test_a_review_of_something_else_is_answered_with_what_to_register() -> None:
    async with webhooks(world=world()) as running:
        answer = await running.ask(VALIDATE, {"metadata": {}, "spec": {}}, kind="Pod")
        unreadable = await running.ask(VALIDATE, {"metadata": {"name": 1}, "spec": {}}, kind="ModelProvider")

    assert answer.status == unreadable.status == 400
    assert "register it for CREATE and UPDATE of ModelRoutingPolicy, ModelProvider, TokenQuota" in answer.text
    assert "the review's object cannot be read" in unreadable.text


async def test_pointsman_check_says_the_same() -> None:
    broken = policy(selector=BAD_SELECTOR, models=[used("mini", "gpt-5"), used("flagship", "x", provider="none")])
    offline = {**broken, "metadata": {"name": "support", "namespace": "shop"}}
    values = [offline, {**provider(), "metadata": {"name": "openai"}}]
    manifests = judge(
        [Document(source="-", line=1, value=json.loads(json.dumps(each))) for each in values],
        definitions=definitions(),
        namespace="shop",
    )
    checked = report(manifests, world_of(manifests, secrets=(), generations=Generations(), version=1))

    response = await verdict(broken, seen=world(providers=[provider()], namespaces=[namespace()]))

    said = [f"{each['field']}: {each['message']}" for each in response["status"]["details"]["causes"]]
    said += [warning.split(": ", maxsplit=2)[2] for warning in response["warnings"]]
    (expected,) = [finding.problems for finding in checked.findings if finding.problems]
    assert said == [str(problem) for problem in expected]
