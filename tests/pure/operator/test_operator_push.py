"""What each sidecar is told, and what it is not told twice."""

from typing import Any

from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_operator.push import Hub, HubMetrics, News, Peer, Session
from pointsman_operator.resources import Kind
from pointsman_operator.world import Change, World
from pure.operator.objects import (
    OPERATOR_NAMESPACE,
    Json,
    namespace,
    offered,
    policy,
    provider,
    secret,
    used,
    world,
)

HELLO = control.Hello(contract_version=1)
BROKEN = [used("mini", "gpt-5")]


def hub_of(**objects: Any) -> Hub:
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(CollectorRegistry()))
    hub.update(world(**objects))
    return hub


def write(hub: Hub, kind: Kind, value: Json) -> None:
    hub.update(hub.world.observe(kind, Change.WRITTEN, value))


def delete(hub: Hub, kind: Kind, value: Json) -> None:
    hub.update(hub.world.observe(kind, Change.DELETED, value))


def connect(
    hub: Hub, *, pod: str = "app-1", namespace: str = "shop", hello: control.Hello = HELLO, **labels: str
) -> Session:
    return hub.connect(peer=Peer(namespace=namespace, pod=pod, labels=labels), hello=hello)


def updates(hub: Hub, session: Session) -> list[control.ConnectResponse]:
    """All that is sent until an answer is due or there is no more."""
    sent = []
    while (update := hub.next_update(session)) is not None:
        sent.append(update)
    return sent


def answer_all(hub: Hub, session: Session, *, reject: str = "") -> list[control.ConnectResponse]:
    """All that is sent to a sidecar that answers everything."""
    sent: list[control.ConnectResponse] = []
    while fresh := updates(hub, session):
        sent += fresh
        for update in fresh:
            nonce = getattr(update, update.WhichOneof("message") or "").nonce if not update.HasField("access") else ""
            if nonce and reject:
                hub.answer(session, control.Nack(nonce=nonce, reason=reject))
            elif nonce:
                hub.answer(session, control.Ack(nonce=nonce))
    return sent


def kinds(sent: list[control.ConnectResponse]) -> list[str | None]:
    return [update.WhichOneof("message") for update in sent]


def keys(sent: list[control.ConnectResponse]) -> dict[str, str]:
    """The access that the last of the updates gives."""
    last = [update.access for update in sent if update.HasField("access")][-1]
    return {each.provider: each.api_key for each in last.providers}


def knowing(hub: Hub, name: str = "support") -> control.Hello:
    """The hello of a sidecar that has the policy's snapshot in force."""
    (verdict,) = [each for key, each in hub.verdicts().items() if key.name == name]
    assert verdict.compiled is not None
    return control.Hello(
        contract_version=1,
        snapshot_version=verdict.compiled.version,
        known=verdict.compiled.snapshot.inputs,
    )


def test_a_new_sidecar_is_given_access_before_the_snapshot_that_needs_it() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])

    sent = answer_all(hub, connect(hub))

    assert kinds(sent) == ["access", "snapshot"]
    assert keys(sent) == {"openai": ""}
    assert sent[1].snapshot.snapshot.policy.name == "support"
    assert (sent[1].snapshot.contract_version, sent[1].snapshot.generation) == (1, 1)


def test_what_did_not_change_is_not_sent_again() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])
    session = connect(hub)
    answer_all(hub, session)

    write(hub, Kind.POLICY, {**policy(version=2), "status": {"observedGeneration": 1}})
    write(hub, Kind.NAMESPACE, namespace(version=2, labels={"team": "x"}))

    assert updates(hub, session) == []


def test_a_changed_policy_reaches_the_sidecars_that_it_is_for_and_wakes_no_other() -> None:
    hub = hub_of(policies=[policy(), policy(namespace="till")], providers=[provider()])
    session, other = connect(hub), connect(hub, namespace="till")
    for each in (session, other):
        answer_all(hub, each)
        each.wake.clear()

    write(hub, Kind.POLICY, policy(version=2, generation=2, defaultModel="flagship"))

    assert session.wake.is_set()
    assert not other.wake.is_set()
    assert kinds(answer_all(hub, session)) == ["snapshot"]


def test_a_withdrawal_reaches_a_sidecar_whose_policy_no_longer_names_the_provider() -> None:
    hub = hub_of(policies=[policy()], providers=[provider(), provider("other")])
    session = connect(hub)
    answer_all(hub, session)
    broken = [used("mini", "gpt-5", provider="other")]
    write(hub, Kind.POLICY, policy(version=2, generation=2, models=broken))

    allowed = {"from": "Selector", "selector": {"matchLabels": {"ai": "on"}}}
    write(hub, Kind.PROVIDER, provider(version=3, generation=2, allowed=allowed))

    assert keys(answer_all(hub, session)) == {}


def test_while_an_answer_is_due_only_the_latest_change_counts() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])
    session = connect(hub)
    first = updates(hub, session)
    for generation in range(2, 9):
        write(hub, Kind.POLICY, policy(version=generation, generation=generation))

    assert updates(hub, session) == []
    hub.answer(session, control.Ack(nonce=first[-1].snapshot.nonce))

    assert [update.snapshot.generation for update in answer_all(hub, session)] == [8]


def test_a_rejected_snapshot_is_not_sent_again_until_something_changes() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])
    session = connect(hub)
    answer_all(hub, session, reject="no such matcher")

    write(hub, Kind.NAMESPACE, namespace(version=2, labels={"team": "x"}))
    assert updates(hub, session) == []
    assert session.rejection is not None
    assert session.rejection.reason == "no such matcher"

    write(hub, Kind.POLICY, policy(version=2, generation=2))
    assert kinds(answer_all(hub, session)) == ["snapshot"]
    assert session.rejection is None


def test_a_late_answer_to_another_update_changes_nothing() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])
    session = connect(hub)
    updates(hub, session)

    hub.answer(session, control.Ack(nonce="of-another-stream"))
    hub.answer(session, control.Nack(nonce="", reason="late"))

    assert session.awaits_answer
    assert session.held is None
    assert session.rejection is None


def test_without_a_policy_the_sidecar_is_told_so_once() -> None:
    hub = hub_of(providers=[provider()])
    session = connect(hub)

    sent = answer_all(hub, session)
    write(hub, Kind.PROVIDER, provider(version=2, generation=2))

    assert kinds(sent) == ["access", "no_policy"]
    assert sent[1].no_policy.reason == "no ModelRoutingPolicy of namespace shop selects this pod"
    assert keys(sent) == {}
    assert updates(hub, session) == []


def test_a_deleted_policy_gives_way_to_the_next_and_the_last_to_none() -> None:
    narrow = policy("narrow", selector={"matchLabels": {"app": "a"}})
    hub = hub_of(policies=[policy(), narrow], providers=[provider()])
    session = connect(hub, app="a")
    answer_all(hub, session)

    delete(hub, Kind.POLICY, {**narrow, "metadata": {**narrow["metadata"], "resourceVersion": "2"}})
    second = answer_all(hub, session)
    delete(hub, Kind.POLICY, policy(version=3))
    third = answer_all(hub, session)

    assert [update.snapshot.snapshot.policy.name for update in second] == ["support"]
    assert kinds(third) == ["access", "no_policy"]
    assert keys(third) == {}


def test_a_policy_that_cannot_be_programmed_leaves_its_sidecars_what_they_have() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])
    session = connect(hub)
    answer_all(hub, session)

    write(hub, Kind.POLICY, policy(version=2, generation=2, models=BROKEN))

    assert updates(hub, session) == []


def test_a_new_sidecar_is_given_the_last_good_generation() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])
    write(hub, Kind.POLICY, policy(version=2, generation=2, models=BROKEN))

    sent = answer_all(hub, connect(hub))

    assert [update.snapshot.generation for update in sent if update.HasField("snapshot")] == [1]
    assert keys(sent) == {"openai": ""}


def test_a_new_sidecar_is_told_why_when_no_generation_was_ever_good() -> None:
    hub = hub_of(policies=[policy(models=BROKEN)], providers=[provider()])

    sent = answer_all(hub, connect(hub))

    assert kinds(sent) == ["access", "no_policy"]
    assert "shop/support cannot be programmed: spec.models[0].model: ModelProvider openai has no model gpt-5" in (
        sent[1].no_policy.reason
    )


def test_a_policy_that_wins_but_cannot_be_programmed_does_not_let_another_have_its_pods() -> None:
    broken = policy("narrow", selector={"matchLabels": {"app": "a"}}, models=BROKEN)
    hub = hub_of(policies=[policy(), broken], providers=[provider()])

    assert kinds(answer_all(hub, connect(hub, app="a"))) == ["access", "no_policy"]
    assert kinds(answer_all(hub, connect(hub, pod="app-2"))) == ["access", "snapshot"]


def test_a_sidecar_that_comes_back_keeps_the_snapshot_of_a_policy_that_can_no_longer_be_programmed() -> None:
    before = hub_of(policies=[policy()], providers=[provider()])
    hello = knowing(before)
    restarted = hub_of(policies=[policy(generation=2, models=BROKEN)], providers=[provider()])

    sent = answer_all(restarted, connect(restarted, hello=hello))

    assert kinds(sent) == ["access"]
    assert keys(sent) == {"openai": ""}


def test_a_sidecar_that_comes_back_with_the_right_snapshot_is_only_given_access() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])

    session = connect(hub, hello=knowing(hub))

    assert kinds(answer_all(hub, session)) == ["access"]
    assert session.held is not None


def test_a_sidecar_that_comes_back_with_the_snapshot_of_a_deleted_policy_gets_no_access_by_it() -> None:
    hello = knowing(hub_of(policies=[policy()], providers=[provider()]))
    hub = hub_of(policies=[policy("other", selector={"matchLabels": {"app": "b"}})], providers=[provider()])

    sent = answer_all(hub, connect(hub, hello=hello))

    assert kinds(sent) == ["access", "no_policy"]
    assert keys(sent) == {}


def test_a_policy_made_anew_under_its_old_name_does_not_inherit_the_old_ones_last_good() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])
    delete(hub, Kind.POLICY, policy(version=2))
    write(hub, Kind.POLICY, policy(version=3, uid="new", models=BROKEN))

    assert kinds(answer_all(hub, connect(hub))) == ["access", "no_policy"]


def test_withdrawing_a_namespace_withdraws_access_while_the_snapshot_stays() -> None:
    selective = {"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}}
    hub = hub_of(
        policies=[policy()],
        providers=[provider(allowed=selective)],
        namespaces=[namespace(labels={"ai": "allowed"})],
    )
    session = connect(hub)
    assert keys(answer_all(hub, session)) == {"openai": ""}

    write(hub, Kind.NAMESPACE, namespace(version=2))

    sent = answer_all(hub, session)
    assert kinds(sent) == ["access"]
    assert keys(sent) == {}
    assert session.held is not None


def test_a_deleted_provider_is_closed_at_once() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])
    session = connect(hub)
    answer_all(hub, session)

    delete(hub, Kind.PROVIDER, provider(version=2))

    assert keys(updates(hub, session)) == {}


def test_a_rotated_key_reaches_the_sidecars_that_use_it() -> None:
    auth = [{"secretKeyRef": {"name": "openai", "key": "key"}}]
    hub = hub_of(policies=[policy()], providers=[provider(auth=auth)], secrets=[secret("openai", key="old")])
    session = connect(hub)
    assert keys(answer_all(hub, session)) == {"openai": "old"}

    write(hub, Kind.SECRET, secret("openai", version=2, key="new"))

    assert keys(answer_all(hub, session)) == {"openai": "new"}


def test_between_two_snapshots_the_providers_of_both_are_open_and_then_those_of_the_new() -> None:
    hub = hub_of(policies=[policy()], providers=[provider(), provider("azure")])
    session = connect(hub)
    answer_all(hub, session)

    write(
        hub,
        Kind.POLICY,
        policy(version=2, generation=2, models=[used("mini", "gpt-4o-mini", provider="azure")]),
    )
    between = updates(hub, session)
    hub.answer(session, control.Ack(nonce=between[-1].snapshot.nonce))
    after = updates(hub, session)

    assert keys(between) == {"azure": "", "openai": ""}
    assert keys(after) == {"azure": ""}


def test_a_sidecar_that_rejects_a_snapshot_keeps_the_access_of_the_one_that_it_has() -> None:
    hub = hub_of(policies=[policy()], providers=[provider(), provider("azure")])
    session = connect(hub)
    answer_all(hub, session)

    write(
        hub,
        Kind.POLICY,
        policy(version=2, generation=2, models=[used("mini", "gpt-4o-mini", provider="azure")]),
    )
    answer_all(hub, session, reject="no")

    assert session.held is not None
    assert session.held.provider_names == {"openai"}
    assert "openai" in {each.provider for each in session.target.access.update.providers} if session.target else False


def test_a_policy_that_becomes_good_when_its_provider_comes_is_pushed() -> None:
    hub = hub_of(policies=[policy()])
    session = connect(hub)
    assert kinds(answer_all(hub, session)) == ["access", "no_policy"]

    write(hub, Kind.PROVIDER, provider(version=2))

    assert kinds(answer_all(hub, session)) == ["access", "snapshot"]


def test_a_pod_that_connects_again_takes_the_place_of_its_earlier_stream() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])
    earlier = connect(hub)

    later = connect(hub)
    hub.disconnect(earlier)

    assert earlier.replaced
    assert hub.sidecars() == (later,)


def test_nothing_follows_from_a_world_that_is_not_ready() -> None:
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(CollectorRegistry()))

    hub.update(World().relist(Kind.POLICY, [policy()], resource_version="2"))

    assert not hub.ready.is_set()
    assert not hub.verdicts()


def known(kind: str, name: str, *, generation: int = 1, uid: str | None = None) -> snapshot.ObjectVersion:
    where = "shop" if kind == "ModelRoutingPolicy" else ""
    return snapshot.ObjectVersion(
        kind=kind, namespace=where, name=name, uid=uid or f"uid-of-{where}-{name}", generation=generation
    )


def test_the_hub_is_behind_whoever_knows_a_later_generation_or_an_object_that_it_has_never_seen() -> None:
    hub = hub_of(policies=[policy(generation=3)], providers=[provider(generation=2)])

    assert not hub.is_behind([known("ModelRoutingPolicy", "support", generation=3), known("ModelProvider", "openai")])
    assert hub.is_behind([known("ModelRoutingPolicy", "support", generation=4)])
    assert hub.is_behind([known("ModelProvider", "openai", generation=3)])
    assert hub.is_behind([known("ModelProvider", "azure")])
    assert hub.is_behind([known("ModelRoutingPolicy", "support", uid="of-a-later-one")])
    assert not hub.is_behind([known("Something", "newer")])


def test_listeners_hear_whose_status_may_have_changed() -> None:
    auth = [{"secretKeyRef": {"name": "openai", "key": "key"}}]
    hub = hub_of(policies=[policy(), policy(namespace="till")], providers=[provider(auth=auth)])
    heard: list[News] = []
    hub.subscribe(heard.append)

    write(hub, Kind.SECRET, secret("openai", version=2, key="sk"))
    connect(hub)

    assert heard[0].providers == {"openai"}
    assert heard[0].namespaces == {"shop", "till"}
    assert heard[-1].namespaces == {"shop"}


def test_models_of_the_policy_come_from_the_provider_as_it_is_now() -> None:
    hub = hub_of(policies=[policy()], providers=[provider()])
    session = connect(hub)
    answer_all(hub, session)

    dearer = {"currency": "USD", "input": "9", "output": "9"}
    models = [offered("gpt-4o-mini", price=dearer), offered("gpt-4o")]
    write(hub, Kind.PROVIDER, provider(version=2, generation=2, models=models))

    (update,) = answer_all(hub, session)
    assert update.snapshot.snapshot.models[0].price.input == "9"
