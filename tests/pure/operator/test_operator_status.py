"""The status says what is so, in conditions as Kubernetes has them."""

from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2 as control
from pointsman_operator.push import Hub, HubMetrics, Peer, Session, facts_of
from pointsman_operator.resources import Key, Kind, parse_provider, parse_secret
from pointsman_operator.status import policy_status, provider_status, views_of
from pointsman_operator.world import Change
from pure.operator.objects import OPERATOR_NAMESPACE, Json, policy, provider, secret, used, world

EARLIER = datetime(2026, 3, 1, 10, tzinfo=UTC)
LATER = datetime(2026, 3, 1, 11, tzinfo=UTC)
BROKEN = [used("mini", "gpt-5")]
AUTH = [{"secretKeyRef": {"name": "openai", "key": "key"}}]


def hub_of(**objects: Any) -> Hub:
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(CollectorRegistry()))
    hub.update(world(**{"providers": [provider()], **objects}))
    return hub


def connect(hub: Hub, pod: str, *, answer: str = "ack", **labels: str) -> Session:
    """A sidecar that answers what it is sent with an ack, a nack, or nothing."""
    session = hub.connect(peer=Peer(namespace="shop", pod=pod, labels=labels), hello=control.Hello(contract_version=1))
    while (update := hub.next_update(session)) is not None:
        if update.HasField("snapshot") and answer == "ack":
            hub.answer(session, control.Ack(nonce=update.snapshot.nonce))
        if update.HasField("snapshot") and answer == "nack":
            hub.answer(session, control.Nack(nonce=update.snapshot.nonce, reason="no such matcher"))
    return session


def status_of(
    hub: Hub,
    name: str = "support",
    *,
    before: Json | None = None,
    now: datetime = EARLIER,
    tuned: Json | None = None,
) -> Json:
    views = views_of(
        hub.verdicts_in("shop"),
        sidecars=map(facts_of, hub.sidecars_in("shop")),
        world=hub.world,
        secrets_namespace=OPERATOR_NAMESPACE,
        tuned=lambda _: tuned,
    )
    return policy_status(views[Key("shop", name)], before=before or {}, now=now)


def conditions(status: Json) -> dict[str, tuple[str, str]]:
    return {each["type"]: (each["status"], each["reason"]) for each in status["conditions"]}


def message(status: Json, type_: str) -> str:
    (found,) = [each["message"] for each in status["conditions"] if each["type"] == type_]
    assert isinstance(found, str)
    return found


def test_a_sound_policy_that_no_sidecar_waits_for_is_ready() -> None:
    status = status_of(hub_of(policies=[policy(generation=3)]))

    assert status["observedGeneration"] == 3
    assert conditions(status) == {
        "Ready": ("True", "InForce"),
        "Programmed": ("True", "NoSidecars"),
        "Conflict": ("False", "NoConflict"),
    }
    assert status["sidecars"] == {"connected": 0, "applied": 0, "rejected": 0, "summary": "0/0", "rejections": []}


def test_sidecars_are_counted_by_what_they_have_applied() -> None:
    hub = hub_of(policies=[policy()])
    connect(hub, "a")
    connect(hub, "b")
    waiting = connect(hub, "c", answer="nothing")
    (verdict,) = hub.verdicts_in("shop")
    assert verdict.compiled is not None

    pending = status_of(hub)
    hub.answer(waiting, control.Ack(nonce=verdict.compiled.version))
    done = status_of(hub)

    assert conditions(pending)["Programmed"] == ("False", "Pending")
    assert conditions(pending)["Ready"] == ("False", "Pending")
    assert pending["sidecars"]["summary"] == "2/3"
    assert message(pending, "Programmed") == "2 of 3 connected sidecars have applied it"
    assert conditions(done)["Ready"] == ("True", "InForce")
    assert done["sidecars"]["summary"] == "3/3"


def test_a_rejection_is_told_with_its_reason_and_its_pod() -> None:
    hub = hub_of(policies=[policy()])
    connect(hub, "a")
    connect(hub, "b", answer="nack")
    connect(hub, "c", answer="nack")

    status = status_of(hub)

    assert conditions(status)["Programmed"] == ("False", "Rejected")
    assert message(status, "Ready") == "The sidecar of pod b rejects it: no such matcher (1 more reject it)"
    assert status["sidecars"]["rejected"] == 2
    assert status["sidecars"]["rejections"] == [
        {"sidecar": "b", "reason": "no such matcher"},
        {"sidecar": "c", "reason": "no such matcher"},
    ]


def test_the_rejection_of_an_earlier_generation_is_not_held_against_a_later_one() -> None:
    hub = hub_of(policies=[policy()])
    connect(hub, "a", answer="nack")

    hub.update(hub.world.observe(Kind.POLICY, Change.WRITTEN, policy(version=2, generation=2)))

    assert conditions(status_of(hub))["Programmed"] == ("False", "Pending")


def test_no_more_rejections_are_listed_than_the_crd_takes() -> None:
    hub = hub_of(policies=[policy()])
    for number in range(12):
        connect(hub, f"pod-{number}", answer="nack")

    sidecars = status_of(hub)["sidecars"]

    assert (sidecars["rejected"], len(sidecars["rejections"])) == (12, 10)


def test_a_policy_that_cannot_be_programmed_names_every_problem_and_what_stays_in_force() -> None:
    hub = hub_of(policies=[policy()])
    connect(hub, "a")
    models = [*BROKEN, used("flagship", "gpt-4o", provider="azure")]

    hub.update(hub.world.observe(Kind.POLICY, Change.WRITTEN, policy(version=2, generation=2, models=models)))

    status = status_of(hub)
    assert conditions(status)["Programmed"] == ("False", "ModelNotFound")
    assert conditions(status)["Ready"] == ("False", "ModelNotFound")
    assert "no model gpt-5" in message(status, "Ready")
    assert "no ModelProvider azure" in message(status, "Ready")
    assert message(status, "Ready").endswith("Generation 1 stays in force")
    assert status["sidecars"]["summary"] == "0/1"


def test_a_policy_whose_key_is_missing_is_programmed_but_not_ready() -> None:
    status = status_of(hub_of(policies=[policy()], providers=[provider(auth=AUTH)]))

    assert conditions(status)["Programmed"] == ("True", "NoSidecars")
    assert conditions(status)["Ready"] == ("False", "SecretNotFound")


def test_a_policy_that_loses_some_of_its_pods_says_to_which_and_stays_ready() -> None:
    special = policy("special", selector={"matchLabels": {"app": "x"}})
    hub = hub_of(policies=[policy(), special])
    connect(hub, "a")
    for number in range(5):
        connect(hub, f"x{number}", app="x")

    status = status_of(hub)

    assert conditions(status)["Conflict"] == ("True", "Overridden")
    assert message(status, "Conflict") == "ModelRoutingPolicy special has pods x0, x1, x2 and 2 more"
    assert conditions(status)["Ready"] == ("True", "InForce")
    assert status["sidecars"]["connected"] == 1
    assert conditions(status_of(hub, "special"))["Conflict"] == ("False", "NoConflict")


def test_a_policy_that_loses_all_of_its_pods_is_not_ready() -> None:
    hub = hub_of(policies=[policy(), policy("special", selector={"matchLabels": {"app": "x"}})])
    connect(hub, "x", app="x")

    assert conditions(status_of(hub))["Ready"] == ("False", "Conflict")


@pytest.mark.parametrize("selector", [None, {"matchLabels": {"app": "x"}}])
def test_of_two_policies_for_the_same_pods_the_younger_says_so_before_any_pod_is_there(selector: Json | None) -> None:
    spec: Json = {} if selector is None else {"selector": selector}
    younger = policy("a-younger", created="2026-03-02T10:00:00Z", **spec)
    hub = hub_of(policies=[policy(**spec), younger])

    lost = status_of(hub, "a-younger")

    assert conditions(lost)["Conflict"] == ("True", "Overridden")
    assert conditions(lost)["Ready"] == ("False", "Conflict")
    assert message(lost, "Ready") == "ModelRoutingPolicy support selects the same pods and comes first"
    assert conditions(status_of(hub))["Ready"] == ("True", "InForce")


def test_an_unreadable_policy_has_a_status_too() -> None:
    status = status_of(hub_of(policies=[policy(defaultModel=7)]))

    assert conditions(status)["Ready"] == ("False", "InvalidSpec")
    assert message(status, "Ready").startswith("spec.defaultModel")


def test_the_time_of_a_transition_changes_only_when_the_status_does() -> None:
    hub = hub_of(policies=[policy()])
    first = status_of(hub)
    connect(hub, "a")

    second = status_of(hub, before=first, now=LATER)
    hub.update(hub.world.observe(Kind.POLICY, Change.WRITTEN, policy(version=2, generation=2, models=BROKEN)))
    third = status_of(hub, before=second, now=LATER)

    assert [each["reason"] for each in second["conditions"]] == ["InForce", "Applied", "NoConflict"]
    assert {each["lastTransitionTime"] for each in second["conditions"]} == {"2026-03-01T10:00:00Z"}
    times = {each["type"]: each["lastTransitionTime"] for each in third["conditions"]}
    assert times == {
        "Ready": "2026-03-01T11:00:00Z",
        "Programmed": "2026-03-01T11:00:00Z",
        "Conflict": "2026-03-01T10:00:00Z",
    }


def test_a_status_that_is_right_already_is_computed_as_it_stands() -> None:
    hub = hub_of(policies=[policy()])
    before = status_of(hub)

    assert status_of(hub, before=before, now=LATER) == before


def test_conditions_of_others_stay() -> None:
    theirs = {"type": "Audited", "status": "True", "reason": "x", "message": "", "lastTransitionTime": "then"}

    status = status_of(hub_of(policies=[policy()]), before={"conditions": [theirs]})

    assert theirs in status["conditions"]


def provider_ready(value: Json, *secrets: Json) -> tuple[str, str, str]:
    known = [parse_secret(each) for each in secrets]
    status = provider_status(
        parse_provider(value),
        secrets={each.metadata.key: each for each in known},
        secrets_namespace=OPERATOR_NAMESPACE,
        before={},
        now=EARLIER,
    )
    (ready,) = status["conditions"]
    return ready["status"], ready["reason"], ready["message"]


def test_a_provider_is_ready_when_it_is_sound_and_every_key_is_there() -> None:
    assert provider_ready(provider(auth=AUTH), secret("openai", key="sk"))[:2] == ("True", "Available")
    assert provider_ready(provider())[:2] == ("True", "Available")


def test_a_provider_whose_key_is_missing_names_the_secret_and_the_key() -> None:
    status, reason, text = provider_ready(provider(auth=AUTH))

    assert (status, reason) == ("False", "SecretNotFound")
    assert text == ("spec.auth[0].secretKeyRef: Secret openai in namespace pointsman-system does not exist; create it")
    assert provider_ready(provider(auth=AUTH), secret("openai", other="sk"))[1] == "SecretKeyNotFound"


def test_a_provider_whose_spec_is_wrong_says_where() -> None:
    selector = {"from": "Selector", "selector": {"matchLabels": {"no spaces": "x"}}}

    assert provider_ready(provider(baseURL=7))[1] == "InvalidSpec"
    assert provider_ready(provider(allowed=selector))[1] == "InvalidSelector"


def test_what_is_tuned_is_said_kept_while_it_is_not_known_and_taken_away_where_it_is_no_more() -> None:
    hub = hub_of(policies=[policy()])
    tuned = {"escalation": {"complexity": {"threshold": "0.873", "share": 11}}}

    said = status_of(hub, tuned=tuned)

    assert said["escalation"] == tuned["escalation"]
    assert status_of(hub, before=said)["escalation"] == tuned["escalation"]
    assert status_of(hub, before=said, tuned={}) == {**status_of(hub), "escalation": None}
    # The threshold of another share is not known yet: null takes it out of what stands there.
    without = status_of(hub, before=said, tuned={"escalation": {"complexity": {"share": 9}}})
    assert without["escalation"] == {"complexity": {"threshold": None, "share": 9}}
