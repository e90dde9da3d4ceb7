"""The verdict on files as a whole."""

from pointsman.checking import Report, report
from pointsman.worlds import Generations, world_of
from pure.cli.resources import judged, namespace, offered, policy, provider, text, used, world


def checked(*resources: object) -> Report:
    manifests = judged({"all.yaml": text(*resources)})
    return report(manifests, world_of(manifests, secrets=(), generations=Generations(), version=1))


def problems(found: Report) -> dict[str, list[tuple[str, str]]]:
    return {
        str(finding): [(each.reason, str(each)) for each in finding.problems]
        for finding in found.findings
        if finding.problems
    }


def test_good_files_are_good_and_each_resource_is_named_as_kubectl_names_it() -> None:
    found = checked(provider(), policy())
    assert found.good
    assert [str(finding) for finding in found.findings] == [
        "modelprovider.pointsman.dev/openai",
        "modelroutingpolicy.pointsman.dev/shop/support",
    ]


def test_a_refused_resource_makes_the_files_bad_and_stands_in_the_report_once() -> None:
    found = checked(provider(), policy(defaultModel="tiny"))
    assert not found.good
    assert len(found.refused) == 1
    assert [finding.kind for finding in found.findings] == ["ModelProvider"]


def test_a_missing_provider_is_said() -> None:
    assert problems(checked(policy(models=[used("mini", "gpt-4o-mini", provider="azure")], routes=[]))) == {
        "modelroutingpolicy.pointsman.dev/shop/support": [
            (
                "ProviderNotFound",
                (
                    "spec.models[0].providerRef: there is no ModelProvider azure; create it, or name one that "
                    "`kubectl get modelproviders` lists"
                ),
            )
        ]
    }


def test_a_provider_that_does_not_allow_the_namespace_is_said() -> None:
    closed = provider(allowedNamespaces={"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}})
    only = policy(models=[used("mini", "gpt-4o-mini")], routes=[])
    assert problems(checked(closed, namespace("shop", ai="forbidden"), only)) == {
        "modelroutingpolicy.pointsman.dev/shop/support": [
            (
                "NamespaceNotAllowed",
                (
                    "spec.models[0].providerRef: ModelProvider openai does not allow namespace shop; "
                    "its allowedNamespaces must match the namespace's labels"
                ),
            )
        ]
    }
    assert checked(closed, namespace("shop", ai="allowed"), only).good


def test_a_model_that_the_provider_lacks_is_said_with_those_that_it_has() -> None:
    assert problems(checked(provider(), policy(models=[used("mini", "gpt-5")], routes=[]))) == {
        "modelroutingpolicy.pointsman.dev/shop/support": [
            (
                "ModelNotFound",
                "spec.models[0].model: ModelProvider openai has no model gpt-5; it has gpt-4o-mini, gpt-4o",
            )
        ]
    }


def test_each_policy_is_judged_even_when_another_would_win_its_pods() -> None:
    found = checked(provider(), policy("first"), policy("second", models=[used("mini", "gpt-5")], routes=[]))
    assert list(problems(found)) == ["modelroutingpolicy.pointsman.dev/shop/second"]


def test_a_route_that_none_of_its_models_can_serve_is_said() -> None:
    deaf = policy(routes=[{"name": "voice", "when": {"modality": {"in": ["Audio"]}}, "model": "flagship"}])
    [(reason, sentence)] = problems(checked(provider(), deaf))["modelroutingpolicy.pointsman.dev/shop/support"]
    assert reason == "IncapableModel"
    assert "route voice is for requests with Audio" in sentence
    hearing = provider(models=[offered("gpt-4o-mini"), offered("gpt-4o", modalities=["Text", "Audio"])])
    assert checked(hearing, deaf).good


def test_what_was_not_checked_is_named_and_not_held_against_the_files() -> None:
    found = checked({"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "faq"}})
    assert (found.good, found.others) == (True, ("ConfigMap faq",))


def test_a_missing_secret_is_no_fault_of_the_files() -> None:
    keyed = provider(auth=[{"secretKeyRef": {"name": "openai", "key": "api-key"}}])
    assert not world(keyed, policy()).secrets
    assert checked(keyed, policy()).good
