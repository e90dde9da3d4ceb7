"""Told step by step, the hub ends where it would end if it were told all at once."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2 as control
from pointsman_operator.compile import check_quota
from pointsman_operator.push import Hub, HubMetrics, News, Peer, Session
from pointsman_operator.resources import Key, Kind, Problem
from pointsman_operator.world import Change, Differences, World, differences
from pure.operator.objects import (
    OPERATOR_NAMESPACE,
    Json,
    counted,
    namespace,
    pod,
    policy,
    provider,
    quota,
    secret,
    used,
)

NAMESPACES, PROVIDERS, TIERS = ("shop", "till"), ("openai", "other"), ("gold", "blue")
HELLO = control.Hello(contract_version=1)
EMPTY = World()
for each in Kind:
    EMPTY = EMPTY.relist(each, [], resource_version="1")

_PROVIDER_NAMES = st.sampled_from(PROVIDERS)
_SELECTORS = st.none() | st.sampled_from([{"matchLabels": {"tier": tier}} for tier in TIERS])
_ALLOWED = st.sampled_from([{"from": "All"}, {"from": "Selector", "selector": {"matchLabels": {"ai": "on"}}}])
_AUTH = st.sampled_from([[], [{"secretKeyRef": {"name": "keys", "key": "key"}}]])


@st.composite
def changes(draw: st.DrawFn, *, version: int) -> tuple[Kind, Change, Json]:
    """Something was written or deleted."""
    kind = draw(st.sampled_from(Kind))
    where = draw(st.sampled_from(NAMESPACES))
    value: Json
    match kind:
        case Kind.POLICY:
            named = draw(_PROVIDER_NAMES)
            models = [used("mini", draw(st.sampled_from(["gpt-4o-mini", "unknown"])), provider=named)]
            spec: dict[str, Any] = {"models": models, "selector": draw(_SELECTORS)}
            uid = f"uid-{draw(st.integers(1, 2))}"
            name = draw(st.sampled_from(["a", "b"]))
            value = policy(name, namespace=where, version=version, generation=version, uid=uid, **spec)
        case Kind.PROVIDER:
            value = provider(draw(_PROVIDER_NAMES), version=version, allowed=draw(_ALLOWED), auth=draw(_AUTH))
        case Kind.QUOTA:
            models = draw(st.sampled_from([None, [counted("gpt-4o", provider="openai")]]))
            limit = draw(st.sampled_from([{"tokens": 5}, {"cost": {"amount": "5", "currency": "EUR"}}]))
            name = draw(st.sampled_from(["a", "b"]))
            end = "Refuse" if models is None else "DefaultModel"
            spec = {"limit": limit, "models": models, "whenExhausted": end}
            value = quota(name, namespace=where, version=version, generation=version, **spec)
        case Kind.NAMESPACE:
            value = namespace(where, version=version, labels=draw(st.sampled_from([{}, {"ai": "on"}])))
        case Kind.SECRET:
            value = secret("keys", version=version, key=draw(st.sampled_from(["one", "two"])))
        case Kind.POD:
            value = pod("app-1", namespace=where, version=version, labels={"tier": draw(st.sampled_from(TIERS))})
    return kind, draw(st.sampled_from(Change)), value


@st.composite
def histories(draw: st.DrawFn) -> list[World]:
    """Each world on the way."""
    worlds = [EMPTY]
    for version in range(2, draw(st.integers(2, 16))):
        worlds.append(worlds[-1].observe(*draw(changes(version=version))))
    return worlds


def copied(world: World) -> World:
    """The same objects in a world that shares no node with this one."""
    made = EMPTY
    for shelf in ("policy_shelf", "provider_shelf", "quota_shelf", "namespace_shelf", "secret_shelf", "pod_shelf"):
        source, target = getattr(world, shelf), getattr(EMPTY, shelf)
        for key, value in source.objects.items():
            target = target.put(key, value, version=source.versions[key])
        made = World(**{**vars(made), shelf: target})
    return made


def hub_with_sidecars(world: World) -> tuple[Hub, list[Session]]:
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(CollectorRegistry()))
    hub.update(world)
    peers = [
        Peer(namespace=where, pod=f"app-{tier}", labels={"tier": tier}) for where in NAMESPACES for tier in ("", *TIERS)
    ]
    return hub, [hub.connect(peer=peer, hello=HELLO) for peer in peers]


@given(histories(), st.data())
def test_differences_are_the_same_however_much_two_worlds_share(worlds: list[World], data: st.DataObject) -> None:
    before, after = data.draw(st.sampled_from(worlds)), data.draw(st.sampled_from(worlds))

    found: Differences = differences(before, after)

    assert found == differences(copied(before), copied(after))
    assert found.policy_objects >= found.policies
    for key in before.policies.keys() | after.policies.keys():
        assert (key in found.policy_objects) == (before.policies.get(key) is not after.policies.get(key))


@settings(max_examples=30)
@given(histories())
def test_targets_and_verdicts_do_not_depend_on_the_way_there(worlds: list[World]) -> None:
    stepwise, sessions = hub_with_sidecars(EMPTY)
    for world in worlds:
        stepwise.update(world)
        at_once, fresh = hub_with_sidecars(world)

        assert {key: each.compiled for key, each in stepwise.verdicts().items()} == {
            key: each.compiled for key, each in at_once.verdicts().items()
        }
        for namespace_ in NAMESPACES:
            found = {each.claim.key for each in stepwise.verdicts_in(namespace_)}
            assert found == {each.claim.key for each in at_once.verdicts_in(namespace_)}
            quotas = {each.metadata.key: each for each in stepwise.quotas_in(namespace_)}
            assert quotas == {key: each for key, each in world.quotas.items() if key.namespace == namespace_}
        for session, other in zip(sessions, fresh, strict=True):
            assert session.target is not None
            assert other.target is not None
            assert session.target.decision.winner == other.target.decision.winner
            # A last good generation stays in force, which the other hub never knew of.
            if stepwise.verdicts() == at_once.verdicts():
                assert session.target.decision.action == other.target.decision.action
                assert session.target.access.update == other.target.access.update


@settings(max_examples=50)
@given(histories(), st.data())
def test_what_a_sidecar_answers_on_the_way_changes_nothing_but_what_it_has(
    worlds: list[World], data: st.DataObject
) -> None:
    """Whom a change concerns is found by index: after each change every session is aimed as if it were aimed anew."""
    hub, sessions = hub_with_sidecars(EMPTY)
    for world in worlds:
        hub.update(world)
        for session in sessions:
            if not data.draw(st.booleans()):
                continue
            while (update := hub.next_update(session)) is not None:
                kind = update.WhichOneof("message") or ""
                if kind in {"snapshot", "no_policy"}:
                    hub.answer(session, control.Ack(nonce=getattr(update, kind).nonce))
        for session in sessions:
            target = session.target
            hub._aim(session)
            assert session.target is not None
            assert target == session.target


def problems(world: World) -> dict[Key, tuple[Problem, ...]]:
    """What is wrong with each quota."""
    return {
        key: check_quota(
            each,
            providers=world.providers,
            policies=[policy for at, policy in world.policies.items() if at.namespace == key.namespace],
        )
        for key, each in world.quotas.items()
    }


@settings(max_examples=50)
@given(histories())
def test_whoever_follows_quotas_is_told_of_each_of_which_something_else_is_true(worlds: list[World]) -> None:
    hub, _ = hub_with_sidecars(EMPTY)
    heard: list[News] = []
    hub.subscribe(heard.append)
    for before, after in zip([EMPTY, *worlds], worlds, strict=False):
        heard.clear()
        hub.update(after)

        told = {key for news in heard for key in news.quotas}
        then, now = problems(before), problems(after)
        assert told >= {key for key in then.keys() | now.keys() if then.get(key) != now.get(key)}
        assert told >= {key for key in now if before.quotas.get(key) is not after.quotas[key]}
