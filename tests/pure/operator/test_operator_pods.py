"""Pods that asked for a sidecar: which lack one, which have an old one, and what the status says of it."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from pointsman_operator.inject import Injected, fingerprint, patch, read_allowance
from pointsman_operator.inject.allowances import MEMORY
from pointsman_operator.push import Hub, HubMetrics
from pointsman_operator.resources import Key, Kind, Pod, parse_pod
from pointsman_operator.status import Census, policy_status, views_of
from pointsman_operator.status.pods import PodState, Unscanned, state_of
from pointsman_operator.world import Change
from pure.operator.objects import OPERATOR_NAMESPACE, Json, namespace, pod, policy, provider, world
from pure.operator.pods import SETTINGS, patched
from pure.operator.pods import pod as asking_pod

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
TODAY = "today"
ASKS = {"pointsman.dev/inject": "true"}
DECLINES = {"pointsman.dev/inject": "false"}
HAS = {"pointsman.dev/injected": "true"}


def injection(text: str) -> dict[str, str]:
    return {"pointsman.dev/injection": text}


def census_of(hub: Hub, scanned: Sequence[Json] | None = (), registry: CollectorRegistry | None = None) -> Census:
    """A census of what the hub knows, and of pods without a sidecar that somebody found."""
    census = Census(
        world=lambda: hub.world,
        pods_in=hub.pods_in,
        fingerprint=TODAY,
        spared=frozenset({"kube-system", OPERATOR_NAMESPACE}),
        registry=registry or CollectorRegistry(),
    )
    if scanned is not None:
        found = [parse_pod(value) for value in scanned]
        places = {pod.metadata.namespace for pod in found}
        census.scanned = {name: tuple(pod for pod in found if pod.metadata.namespace == name) for name in places}
    return census


def hub_of(*pods: Json, policies: Sequence[Json] | None = None, **labels: str) -> Hub:
    """A hub that knows a policy, its namespace with these labels, and pods that carry our label."""
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(CollectorRegistry()))
    known = world(
        providers=[provider()],
        policies=[policy()] if policies is None else policies,
        namespaces=[namespace(labels={name.replace("_", "-"): value for name, value in labels.items()})],
    )
    hub.update(known.relist(Kind.POD, pods, resource_version="1"))
    return hub


def statuses(hub: Hub, census: Census | None, *, before: Json | None = None) -> dict[str, Json]:
    pods: Any = None if census is None else census.by_namespace({"shop"})
    views = views_of(
        hub.verdicts_in("shop"),
        sidecars=(),
        world=hub.world,
        secrets_namespace=OPERATOR_NAMESPACE,
        pods=pods["shop"] if isinstance(pods, Mapping) else pods,
        tuned=lambda _: None,
    )
    return {key.name: policy_status(view, before=before or {}, now=NOW) for key, view in views.items()}


def condition(status: Json) -> tuple[str, str, str]:
    (found,) = [each for each in status["conditions"] if each["type"] == "Injected"]
    return found["status"], found["reason"], found["message"]


def test_the_operators_ca_makes_no_sidecar_look_old() -> None:
    assert fingerprint(replace(SETTINGS, operator_ca="another")) == fingerprint(SETTINGS)


@pytest.mark.parametrize(
    "changed",
    [
        replace(SETTINGS, image="registry.example/pointsman-sidecar:0.2.0"),
        replace(SETTINGS, operator="elsewhere:9443"),
        replace(SETTINGS, audience="other"),
        replace(SETTINGS, memory=read_allowance("64Mi", MEMORY)),
    ],
)
def test_whatever_else_a_pod_would_be_given_makes_those_that_run_look_old(changed: Any) -> None:
    assert fingerprint(changed) != fingerprint(SETTINGS)


@given(
    annotations=st.fixed_dictionaries(
        {},
        optional={
            "pointsman.dev/sidecar-memory": st.sampled_from(["64Mi", "96Mi/256Mi"]),
            "pointsman.dev/grpc-port": st.integers(2000, 3000).map(str),
            "pointsman.dev/log-level": st.sampled_from(["debug", "error"]),
            "example.com/anything": st.text(max_size=9),
        },
    ),
    ca=st.text(max_size=9),
)
def test_a_pod_is_current_when_it_has_just_been_injected_whatever_it_overrides(
    annotations: dict[str, str], ca: str
) -> None:
    value = asking_pod(annotations=annotations)
    decided = patch(value, namespace_labels={}, settings=replace(SETTINGS, operator_ca=ca))
    assert isinstance(decided, Injected), decided

    made = parse_pod(patched(value, decided.patch))

    assert state_of(made, namespace_labels={}, fingerprint=fingerprint(SETTINGS)) is PodState.CURRENT


@pytest.mark.parametrize(
    ("value", "namespace_labels", "expected"),
    [
        (pod(labels=HAS, annotations=injection(TODAY)), {}, PodState.CURRENT),
        (pod(labels=HAS, annotations=injection("yesterday")), {}, PodState.OUTDATED),
        (pod(labels={**HAS, **DECLINES}, annotations=injection("yesterday")), {}, PodState.OUTDATED),
        (pod(labels=ASKS), {}, PodState.UNINJECTED),
        (pod(), ASKS, PodState.UNINJECTED),
        (pod(labels={"pointsman.dev/inject": "yes"}), ASKS, PodState.UNINJECTED),
        # What was copied from an injected pod without its sidecar, by hand or into a template.
        (pod(labels={**HAS, **ASKS}), {}, PodState.UNINJECTED),
        (pod(labels=ASKS, annotations=injection(TODAY)), {}, PodState.UNINJECTED),
        (pod(labels=HAS), {}, None),
        (pod(labels=DECLINES), ASKS, None),
        (pod(), {}, None),
        (pod(), DECLINES, None),
        (pod(annotations={"kubernetes.io/config.mirror": "x"}), ASKS, None),
    ],
)
def test_what_a_pod_has_of_what_it_asked_for(
    value: Json, namespace_labels: dict[str, str], expected: PodState | None
) -> None:
    assert state_of(parse_pod(value), namespace_labels=namespace_labels, fingerprint=TODAY) is expected


def test_a_pod_that_is_being_deleted_is_not_counted() -> None:
    value = pod(labels=ASKS)
    value["metadata"]["deletionTimestamp"] = "2026-03-01T10:00:00Z"

    assert state_of(parse_pod(value), namespace_labels={}, fingerprint=TODAY) is None


def test_a_pod_that_has_ended_is_no_longer_known() -> None:
    hub = hub_of(pod(labels=HAS, annotations=injection("yesterday"), version=2))
    ended = {**pod(labels=HAS, annotations=injection("yesterday"), version=3), "status": {"phase": "Succeeded"}}

    hub.update(hub.world.observe(Kind.POD, Change.WRITTEN, ended))

    assert not hub.world.pods
    assert condition(statuses(hub, census_of(hub))["support"])[1] == "NoPods"


def test_the_status_counts_and_names_what_is_to_be_restarted() -> None:
    hub = hub_of(
        pod("a", labels=HAS, annotations=injection(TODAY)),
        pod("b", labels=HAS, annotations=injection("yesterday")),
    )
    lacking = [pod(name, labels=ASKS) for name in ("f", "e", "d", "c")]

    status = statuses(hub, census_of(hub, lacking))["support"]

    assert status["pods"] == {"injected": 2, "outdated": 1, "uninjected": 4, "summary": "1/6"}
    assert condition(status) == (
        "False",
        "Uninjected",
        (
            "Pods c, d, e and 1 more asked for a sidecar and have none. "
            "Pod b has a sidecar of other settings than it would get today. "
            "Restart what they belong to, as by kubectl rollout restart deployment/NAME -n shop"
        ),
    )
    # What is in force is in force for the others.
    assert {each["type"]: each["status"] for each in status["conditions"]}["Ready"] == "True"


def test_where_all_are_well_the_condition_says_so() -> None:
    outdated = hub_of(pod("b", labels=HAS, annotations=injection("yesterday")))
    current = hub_of(pod("a", labels=HAS, annotations=injection(TODAY)))
    none = hub_of()

    found = [condition(statuses(hub, census_of(hub))["support"])[:2] for hub in (outdated, current, none)]

    assert found == [("False", "Outdated"), ("True", "AllCurrent"), ("True", "NoPods")]


def test_a_pod_is_told_of_by_the_policy_that_would_select_it() -> None:
    special = policy("special", selector={"matchLabels": {"app": "a"}})
    hub = hub_of(policies=[policy(), special], **{"pointsman.dev/inject": "true"})
    census = census_of(hub, [pod("one", labels={"app": "a"}), pod("two"), pod("three", namespace="kube-system")])

    found = statuses(hub, census)

    assert {name: status["pods"]["summary"] for name, status in found.items()} == {"special": "0/1", "support": "0/1"}
    assert condition(found["special"])[2].startswith("Pod one asked for a sidecar and has none.")


def test_a_pod_that_was_made_again_with_a_sidecar_no_longer_lacks_one() -> None:
    hub = hub_of(pod("web-0", uid="new", labels={**HAS, **ASKS}, annotations=injection(TODAY)))

    status = statuses(hub, census_of(hub, [pod("web-0", uid="old", labels=ASKS)]))["support"]

    assert status["pods"]["summary"] == "1/1"


def test_until_somebody_has_looked_the_status_stays_as_it_stands() -> None:
    hub = hub_of()
    before = statuses(hub, census_of(hub, [pod(labels=ASKS)]))["support"]

    unscanned = census_of(hub, None)

    assert isinstance(unscanned.by_namespace({"shop"}), Unscanned)
    assert statuses(hub, unscanned, before=before)["support"] == before
    assert "pods" not in statuses(hub, unscanned)["support"]


def test_an_operator_that_injects_nothing_takes_back_what_was_said_once() -> None:
    hub = hub_of()
    before = statuses(hub, census_of(hub, [pod(labels=ASKS)]))["support"]

    taken_back = statuses(hub, None, before=before)["support"]
    # As a merge patch has it: null removes.
    stands = {name: value for name, value in taken_back.items() if value is not None}

    assert taken_back["pods"] is None
    assert [each["type"] for each in stands["conditions"]] == ["Ready", "Programmed", "Conflict"]
    assert statuses(hub, None, before=stands)["support"] == stands


def test_the_same_pods_give_the_same_status_in_whatever_order_they_were_found() -> None:
    hub = hub_of()
    pods = [pod(name, labels=ASKS, version=number) for number, name in enumerate("abcde", start=1)]

    assert statuses(hub, census_of(hub, pods)) == statuses(hub, census_of(hub, pods[::-1]))


def test_pods_are_counted_for_prometheus_where_there_is_no_policy_too() -> None:
    registry = CollectorRegistry()
    hub = hub_of(pod("a", labels=HAS, annotations=injection("yesterday")), policies=[])
    census = census_of(hub, [pod(labels=ASKS, namespace="lab")], registry)

    def value(namespace: str, state: str) -> float | None:
        return registry.get_sample_value("pointsman_operator_pods", {"namespace": namespace, "state": state})

    assert (value("shop", "outdated"), value("shop", "uninjected")) == (1, 0)
    assert (value("lab", "uninjected"), value("lab", "current")) == (1, 0)
    assert value("elsewhere", "uninjected") is None
    census.scanned = None
    assert value("shop", "outdated") is None


def test_a_change_of_what_a_pod_was_given_is_news_to_its_namespace() -> None:
    hub = hub_of()
    told: list[frozenset[str]] = []
    hub.subscribe(lambda news: told.append(news.namespaces))

    hub.update(hub.world.observe(Kind.POD, Change.WRITTEN, pod(labels=HAS, annotations=injection("x"), version=5)))
    hub.update(hub.world.observe(Kind.POD, Change.WRITTEN, pod(labels=HAS, annotations=injection("y"), version=6)))

    assert told == [frozenset({"shop"}), frozenset({"shop"})]
    assert hub.world.pods[Key("shop", "app-1")] == Pod(
        metadata=hub.world.pods[Key("shop", "app-1")].metadata, injection="y", workload="Pod/app-1"
    )
