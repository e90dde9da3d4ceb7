"""What is made of the documents of files: which are taken, which are refused and how, which are no business of ours."""

from typing import Any

import pytest

from pointsman.manifests import Manifests
from pure.cli.resources import judged, namespace, policy, provider, secret, text


def called(manifests: Manifests) -> list[tuple[str, str]]:
    return [(each.value["kind"], each.value["metadata"]["name"]) for each in manifests.accepted]


def answers(manifests: Manifests) -> list[str]:
    return [each.answer for each in manifests.refused]


def test_our_resources_namespaces_and_secrets_are_taken_in_the_order_of_the_files() -> None:
    manifests = judged({"a.yaml": text(secret("openai"), provider()), "b.yaml": text(policy(), namespace("shop"))})
    assert called(manifests) == [
        ("Secret", "openai"),
        ("ModelProvider", "openai"),
        ("ModelRoutingPolicy", "support"),
        ("Namespace", "shop"),
    ]
    assert manifests.of("ModelProvider")[0]["metadata"]["name"] == "openai"
    assert (manifests.refused, manifests.others) == ((), ())


def test_what_is_taken_has_the_defaults_of_its_definition() -> None:
    [stored] = judged({"a.yaml": text(policy())}).of("ModelRoutingPolicy")
    assert stored["spec"]["allowPinning"] is False
    assert stored["spec"]["resilience"]["timeouts"]["total"] == "120s"


def test_other_kinds_are_named_and_not_judged() -> None:
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "web"}, "spec": 5}
    bare = {"apiVersion": "v1", "kind": "Secret"}
    manifests = judged({"a.yaml": text(deployment, bare)})
    assert manifests.others == ("Deployment web", "Secret None")
    assert (manifests.accepted, manifests.refused) == ((), ())


def test_a_refused_resource_is_not_taken_and_does_not_keep_others_out() -> None:
    manifests = judged({"a.yaml": text(policy("bad", defaultModel="tiny"), policy("good"))})
    assert called(manifests) == [("ModelRoutingPolicy", "good")]
    assert answers(manifests) == [
        (
            'The ModelRoutingPolicy "bad" is invalid: '
            'spec.defaultModel: Invalid value: "object": defaultModel tiny is not the name of one of models'
        )
    ]


@pytest.mark.parametrize("version", ["pointsman.dev/v2", "pointsman.dev", "pointsmen.dev/v1alpha1", "v1"])
def test_a_kind_of_ours_under_a_wrong_version_is_refused_and_not_passed_over(version: str) -> None:
    [answer] = answers(judged({"a.yaml": text({**policy(), "apiVersion": version})}))
    assert f'no matches for kind "ModelRoutingPolicy" in version "{version}"' in answer


@pytest.mark.parametrize("value", [[], 5, "just text", {}, {"kind": "ModelRoutingPolicy"}, {"apiVersion": 5}])
def test_what_is_no_resource_is_refused_as_kubectl_refuses_it(value: object) -> None:
    [answer] = answers(judged({"a.yaml": text(value)}))
    assert answer.startswith('error: error validating "a.yaml": error validating data: ')


def test_a_resource_that_stands_twice_is_refused_with_both_places() -> None:
    manifests = judged({"a.yaml": text(provider(), policy()), "b.yaml": text(policy())})
    assert called(manifests) == [("ModelProvider", "openai"), ("ModelRoutingPolicy", "support")]
    line = 2 + text(provider()).count("\n")
    assert answers(manifests) == [
        f"ModelRoutingPolicy support stands twice: in a.yaml:{line} and in b.yaml:1; remove one"
    ]


def test_the_same_name_in_two_namespaces_or_of_two_kinds_is_not_twice() -> None:
    assert answers(judged({"a.yaml": text(policy("x"), policy("x", namespace="other"), provider("x"))})) == []


def test_a_resource_without_a_namespace_is_where_kubectl_would_put_it() -> None:
    manifests = judged(
        {"a.yaml": text(policy("one", namespace=None), policy("two", namespace=""), policy("three"))},
        namespace="till",
    )
    assert [each["metadata"]["namespace"] for each in manifests.of("ModelRoutingPolicy")] == ["till", "till", "shop"]


def test_the_default_namespace_counts_when_a_resource_stands_twice() -> None:
    [answer] = answers(judged({"a.yaml": text(policy(namespace=None), policy(namespace="till"))}, namespace="till"))
    assert "stands twice" in answer


def test_a_provider_belongs_to_no_namespace_whatever_the_file_says() -> None:
    value = provider()
    value["metadata"]["namespace"] = "shop"
    [stored] = judged({"a.yaml": text(value)}).of("ModelProvider")
    assert "namespace" not in stored["metadata"]


def test_a_label_of_a_namespace_that_is_no_text_is_refused_as_kubectl_refuses_it() -> None:
    assert answers(judged({"a.yaml": text(namespace("shop", ai=True))})) == [
        (
            'error: unable to decode "a.yaml": '
            "json: cannot unmarshal bool into Go struct field ObjectMeta.metadata.labels of type string"
        )
    ]


def test_nulls_in_a_namespace_are_left_out() -> None:
    [stored] = judged({"a.yaml": text(namespace("shop", ai=None, team="till"))}).of("Namespace")
    assert stored["metadata"]["labels"] == {"team": "till"}


@pytest.mark.parametrize(
    ("fields", "wrong"), [({"data": {"k": 5}}, "data"), ({"data": "k"}, "data"), ({"stringData": ["k"]}, "stringData")]
)
def test_a_secret_whose_values_are_no_texts_is_refused_with_its_place(fields: dict[str, Any], wrong: str) -> None:
    assert answers(judged({"a.yaml": text(secret("openai", **fields))})) == [
        f"Secret openai in a.yaml:1: {wrong} must hold a text, in quotes, for each key"
    ]


def test_what_was_given_is_left_as_it_was() -> None:
    manifests = judged({"a.yaml": text(policy("bad", namespace=None, defaultModel="tiny"))}, namespace="till")
    assert manifests.refused[0].document.value == policy("bad", namespace=None, defaultModel="tiny")
