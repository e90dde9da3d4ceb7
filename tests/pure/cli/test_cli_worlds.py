"""The world that files stand for, and the pod that a standalone sidecar takes itself to be in."""

import base64
from typing import Any

import pytest

from pointsman.worlds import OPERATOR_NAMESPACE, Generations, NoPodError, Pod, Secret, pod_of
from pointsman_operator.compile import claim_of, select
from pointsman_operator.resources import Key
from pure.cli.resources import namespace, policy, provider, secret, world

SHOP = Key("shop", "support")


def test_the_world_is_ready_and_holds_what_the_files_hold() -> None:
    seen = world(provider(), policy())
    assert seen.ready
    assert list(seen.providers) == [Key("", "openai")]
    assert list(seen.policies) == [SHOP]


def test_an_object_keeps_its_uid_when_the_files_are_read_again() -> None:
    generations = Generations()
    before = world(provider(), policy(), generations=generations)
    after = world(policy(defaultModel="flagship"), provider(), generations=generations, version=2)
    assert after.policies[SHOP].metadata.uid == before.policies[SHOP].metadata.uid
    assert after.providers[Key("", "openai")].metadata.uid == before.providers[Key("", "openai")].metadata.uid


def test_objects_of_different_names_namespaces_and_kinds_have_different_uids() -> None:
    seen = world(provider("one"), policy("one"), policy("two"), policy("one", namespace="other"))
    uids = [each.metadata.uid for each in [*seen.providers.values(), *seen.policies.values()]]
    assert len(set(uids)) == 4


def test_a_generation_rises_by_one_when_the_spec_changes_and_only_then() -> None:
    generations = Generations()

    def generation_of(version: int, **spec: Any) -> int:
        value = policy(**spec)
        value["metadata"]["labels"] = {"reading": str(version)}
        return world(provider(), value, generations=generations, version=version).policies[SHOP].metadata.generation

    flagship = {"defaultModel": "flagship"}
    assert [
        generation_of(1),
        generation_of(2),
        generation_of(3, **flagship),
        generation_of(4, **flagship),
        generation_of(5),
    ] == [1, 1, 2, 2, 3]


def test_one_objects_change_does_not_number_another() -> None:
    generations = Generations()
    world(provider(), policy(), generations=generations)
    seen = world(provider(baseURL="http://127.0.0.1:9/v1"), policy(), generations=generations, version=2)
    assert seen.providers[Key("", "openai")].metadata.generation == 2
    assert seen.policies[SHOP].metadata.generation == 1


def test_what_a_file_from_a_cluster_says_of_its_writing_is_not_believed() -> None:
    value = policy()
    value["metadata"] |= {"uid": "theirs", "generation": 9, "resourceVersion": "of-theirs", "creationTimestamp": None}
    metadata = world(provider(), value).policies[SHOP].metadata
    assert (metadata.uid == "theirs", metadata.generation) == (False, 1)


def test_of_two_policies_for_a_pod_the_first_in_the_files_wins_as_the_older() -> None:
    for first, second in (("b", "a"), ("a", "b")):
        seen = world(provider(), policy(first), policy(second))
        winner, losers = select(map(claim_of, seen.policies.values()), pod_labels={})
        assert winner is not None
        assert (winner.key.name, [loser.key.name for loser in losers]) == (first, [second])


def test_a_namespace_has_the_labels_of_its_file_and_the_name_that_kubernetes_adds() -> None:
    seen = world(namespace("shop", ai="allowed"), provider(), policy(), policy(namespace="till"))
    assert seen.namespace_labels("shop") == {"ai": "allowed", "kubernetes.io/metadata.name": "shop"}
    assert seen.namespace_labels("till") == {"kubernetes.io/metadata.name": "till"}
    assert seen.namespace_labels("elsewhere") == {}


def test_a_namespaces_name_label_is_kubernetes_own() -> None:
    seen = world(namespace("shop", **{"kubernetes.io/metadata.name": "till"}))
    assert seen.namespace_labels("shop") == {"kubernetes.io/metadata.name": "shop"}


def test_a_secret_is_read_from_data_and_from_string_data_which_wins() -> None:
    encoded = base64.b64encode(b"sk-encoded").decode()
    seen = world(secret("openai", data={"a": encoded, "b": encoded}, stringData={"b": "sk-plain"}))
    assert seen.secrets[Key(OPERATOR_NAMESPACE, "openai")].data == {"a": "sk-encoded", "b": "sk-plain"}


def test_a_secret_counts_in_the_operators_namespace_only() -> None:
    seen = world(
        secret("here", in_namespace=OPERATOR_NAMESPACE, stringData={"k": "v"}),
        secret("there", in_namespace="shop", stringData={"k": "v"}),
    )
    assert list(seen.secrets) == [Key(OPERATOR_NAMESPACE, "here")]


def test_a_secret_given_beside_the_files_wins_key_by_key() -> None:
    seen = world(
        secret("openai", stringData={"api-key": "sk-file", "other": "sk-other"}),
        secrets=[
            Secret(name="openai", key="api-key", value="sk-environment"),
            Secret(name="more", key="k", value="sk-more"),
        ],
    )
    assert seen.secrets[Key(OPERATOR_NAMESPACE, "openai")].data == {"api-key": "sk-environment", "other": "sk-other"}
    assert seen.secrets[Key(OPERATOR_NAMESPACE, "more")].data == {"k": "sk-more"}


def test_a_secret_never_shows_its_value() -> None:
    assert "sk-environment" not in repr(Secret(name="openai", key="api-key", value="sk-environment"))


def test_the_pod_is_one_that_the_first_policy_selects() -> None:
    seen = world(
        provider(),
        policy("z", namespace="till", selector={"matchLabels": {"app": "till", "tier": "web"}}),
        policy("a", namespace="shop"),
    )
    assert pod_of(seen, namespace=None, labels={}) == Pod(
        namespace="till", name="standalone", labels={"app": "till", "tier": "web"}
    )


def test_the_pod_of_a_policy_without_a_selector_has_no_labels() -> None:
    assert pod_of(world(policy()), namespace=None, labels={}) == Pod(namespace="shop", name="standalone", labels={})


def test_a_namespace_picks_the_first_policy_in_it() -> None:
    seen = world(policy(namespace="till"), policy(selector={"matchLabels": {"app": "web"}}))
    assert pod_of(seen, namespace="shop", labels={}).labels == {"app": "web"}


def test_labels_as_said_stand_for_those_of_the_policy() -> None:
    seen = world(policy(selector={"matchLabels": {"app": "web"}}))
    assert pod_of(seen, namespace=None, labels={"app": "other"}).labels == {"app": "other"}


def test_files_without_a_policy_give_no_pod() -> None:
    with pytest.raises(NoPodError, match=r"^the files hold no ModelRoutingPolicy: add one$"):
        pod_of(world(provider()), namespace=None, labels={})


def test_a_namespace_without_a_policy_gives_no_pod() -> None:
    with pytest.raises(NoPodError, match=r"^the files hold no ModelRoutingPolicy of namespace till: add one$"):
        pod_of(world(policy()), namespace="till", labels={})


def test_a_selector_of_expressions_asks_for_labels_and_takes_them() -> None:
    expression = {"key": "app", "operator": "In", "values": ["web", "till"]}
    seen = world(policy(selector={"matchExpressions": [expression]}))
    with pytest.raises(
        NoPodError,
        match=r"^policy shop/support selects pods by matchExpressions: say which pod to be, such as --labels app=web$",
    ):
        pod_of(seen, namespace=None, labels={})
    assert pod_of(seen, namespace=None, labels={"app": "till"}).labels == {"app": "till"}
