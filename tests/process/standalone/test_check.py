"""`pointsman check` says what a cluster would say."""

import json
from collections.abc import Iterable
from pathlib import Path

import pytest
import yaml

from cases.reading import Case, cases
from process.standalone.processes import Ended, Invoke, command, lay
from pure.cli.resources import Json, namespace, offered, policy, provider, quota, text, used

OURS = ("modelprovider", "modelroutingpolicy", "tokenquota")


def of_our_kinds(verdict: str) -> list[Case]:
    return [case for kind in OURS for case in cases(verdict=verdict, kind=kind)]


def test_good_files_are_good(tmp_path: Path) -> None:
    file = lay(tmp_path / "all.yaml", provider(), policy(), {"apiVersion": "v1", "kind": "ConfigMap"})
    assert command("check", "-f", file) == Ended(
        code=0,
        out="modelprovider.pointsman.dev/openai valid\n"
        "modelroutingpolicy.pointsman.dev/shop/support valid\n"
        "ConfigMap None not checked: it is not of the group pointsman.dev\n",
        err="",
    )


def test_one_cause_is_said_in_the_line_of_kubectl(tmp_path: Path) -> None:
    file = lay(tmp_path / "all.yaml", provider(), policy(defaultModel="tiny"))
    assert command("check", "-f", file) == Ended(
        code=1,
        out="modelprovider.pointsman.dev/openai valid\n",
        err='The ModelRoutingPolicy "support" is invalid: '
        'spec.defaultModel: Invalid value: "object": defaultModel tiny is not the name of one of models\n',
    )


def test_several_causes_and_resources_are_said_in_the_lists_of_kubectl(tmp_path: Path) -> None:
    lay(tmp_path / "a.yaml", policy(defaultModel="tiny", limits={"maxOutputTokens": 0}))
    lay(tmp_path / "b.yml", policy(fallback=["mini"]))
    (tmp_path / "c.json").write_text(json.dumps({**provider(), "kind": "ModelProvidr"}), encoding="utf-8")
    (tmp_path / "notes.txt").write_text("not for us", encoding="utf-8")
    (tmp_path / "folder.yaml").mkdir()
    assert command("check", "-f", tmp_path) == Ended(
        code=1,
        out="",
        err='The ModelRoutingPolicy "support" is invalid: \n'
        "* spec.limits.maxOutputTokens: Invalid value: 0: spec.limits.maxOutputTokens in body should be greater than "
        "or equal to 1\n"
        '* spec.defaultModel: Invalid value: "object": defaultModel tiny is not the name of one of models\n'
        f'Error from server (BadRequest): error when creating "{tmp_path}/b.yml": ModelRoutingPolicy in version '
        '"v1alpha1" cannot be handled as a ModelRoutingPolicy: strict decoding error: unknown field "spec.fallback"\n'
        f'error: resource mapping not found for name: "openai" namespace: "" from "{tmp_path}/c.json": '
        'no matches for kind "ModelProvidr" in version "pointsman.dev/v1alpha1"\n'
        "ensure CRDs are installed first\n",
    )


def test_several_files_and_folders_are_one_set(tmp_path: Path, invoke: Invoke) -> None:
    folder = tmp_path / "providers"
    folder.mkdir()
    lay(folder / "openai.yaml", provider())
    file = lay(tmp_path / "policy.yaml", policy())
    assert invoke("check", "-f", file, "-f", folder).code == 0
    assert invoke("check", "-f", file).code == 1


def test_standard_input_is_read_and_called_as_kubectl_calls_it(tmp_path: Path) -> None:
    file = lay(tmp_path / "provider.yaml", provider())
    good = command("check", "-f", "-", "-f", file, stdin=text(policy()))
    assert (good.code, good.err) == (0, "")
    assert "modelroutingpolicy.pointsman.dev/shop/support valid" in good.out
    unreadable = command("check", "-f", "-", stdin="a: b: c")
    assert unreadable == Ended(
        code=2, out="", err="pointsman: STDIN:1:5: mapping values are not allowed in this context\n"
    )
    assert 'from "STDIN"' in command("check", "-f", "-", stdin=text({**policy(), "kind": "Policy"})).err


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        (
            [policy(models=[used("mini", "gpt-4o", provider="azure")], routes=[])],
            (
                "ProviderNotFound: spec.models[0].providerRef: there is no ModelProvider azure; create it, or name "
                "one that `kubectl get modelproviders` lists"
            ),
        ),
        (
            [
                provider(allowedNamespaces={"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}}),
                namespace("shop", ai="forbidden"),
                policy(models=[used("mini", "gpt-4o")], routes=[]),
            ],
            (
                "NamespaceNotAllowed: spec.models[0].providerRef: ModelProvider openai does not allow namespace shop; "
                "its allowedNamespaces must match the namespace's labels"
            ),
        ),
        (
            [provider(models=[offered("gpt-4o")]), policy(models=[used("mini", "gpt-5")], routes=[])],
            "ModelNotFound: spec.models[0].model: ModelProvider openai has no model gpt-5; it has gpt-4o",
        ),
    ],
    ids=["no provider", "not allowed", "no such model"],
)
def test_a_policy_that_would_not_be_ready_says_why(
    resources: list[Json], sentence: str, tmp_path: Path, invoke: Invoke
) -> None:
    ended = invoke("check", "-f", lay(tmp_path / "all.yaml", *resources))
    assert ended.code == 1
    assert ended.err == f"modelroutingpolicy.pointsman.dev/shop/support not ready: {sentence}\n"


@pytest.mark.parametrize(
    ("spec", "sentence"),
    [
        (
            {"timeZone": "Europe/Atlantis"},
            (
                "UnknownTimeZone: spec.timeZone: there is no time zone 'Europe/Atlantis': write one of the IANA "
                "database, such as Europe/Berlin or UTC"
            ),
        ),
        (
            {
                "models": [{"providerRef": {"name": "openai"}, "model": "gpt-4o"}],
                "limit": {"cost": {"amount": "5", "currency": "EUR"}},
            },
            (
                "TwoCurrencies: spec.models[0]: ModelProvider openai prices gpt-4o in USD and the limit is in EUR: "
                "money in two currencies cannot be added; give the model a quota of its own"
            ),
        ),
    ],
    ids=["no such time zone", "two currencies"],
)
def test_a_quota_that_would_not_be_ready_says_why(spec: Json, sentence: str, tmp_path: Path, invoke: Invoke) -> None:
    ended = invoke("check", "-f", lay(tmp_path / "all.yaml", provider(), policy(), quota(**spec)))
    assert ended.code == 1
    assert ended.err == f"tokenquota.pointsman.dev/shop/month not ready: {sentence}\n"


def test_a_good_quota_is_good(tmp_path: Path, invoke: Invoke) -> None:
    ended = invoke("check", "-f", lay(tmp_path / "all.yaml", provider(), policy(), quota()))
    assert (ended.code, ended.out.splitlines()[-1]) == (0, "tokenquota.pointsman.dev/shop/month valid")


def test_the_namespace_of_what_names_none_can_be_said(tmp_path: Path, invoke: Invoke) -> None:
    file = lay(tmp_path / "all.yaml", provider(), policy(namespace=None))
    assert "modelroutingpolicy.pointsman.dev/default/support valid" in invoke("check", "-f", file).out
    assert "modelroutingpolicy.pointsman.dev/till/support valid" in invoke("check", "-f", file, "-n", "till").out


def test_json_says_the_same_for_programs(tmp_path: Path, invoke: Invoke) -> None:
    lay(tmp_path / "a.yaml", policy(models=[used("mini", "gpt-4o")], routes=[]), {"apiVersion": "v1", "kind": "Pod"})
    lay(tmp_path / "b.yaml", policy("bad", defaultModel="[/tiny]"))
    ended = invoke("check", "-f", tmp_path, "-o", "json")
    assert (ended.code, ended.err) == (1, "")
    said = json.loads(ended.out)
    [resource] = said["resources"]
    [problem] = resource.pop("problems")
    assert resource == {"kind": "ModelRoutingPolicy", "namespace": "shop", "name": "support"}
    assert (problem["reason"], problem["path"]) == ("ProviderNotFound", "spec.models[0].providerRef")
    assert problem["message"].startswith("there is no ModelProvider openai")
    assert (said["valid"], said["notChecked"]) == (False, ["Pod None"])
    assert [" ".join(refused.split()[:4]) for refused in said["refused"]] == ['The ModelRoutingPolicy "bad" is']

    good = invoke("check", "-f", lay(tmp_path / "good.yaml", provider()), "-o", "json")
    assert (good.code, json.loads(good.out)["valid"]) == (0, True)


def test_what_files_say_is_printed_as_it_is(tmp_path: Path, invoke: Invoke) -> None:
    """Neither as markup nor as emoji, and however long it is."""
    odd = {"apiVersion": "v1", "kind": "[/bold]", "metadata": {"name": ":smile:"}}
    long = policy(models=[used("mini", "x" * 120)], routes=[])
    ended = invoke("check", "-f", lay(tmp_path / "all.yaml", provider(), long, odd))
    assert "[/bold] :smile: not checked" in ended.out
    assert f"ModelProvider openai has no model {'x' * 120}; it has gpt-4o-mini, gpt-4o\n" in ended.err
    (tmp_path / "late.yaml").write_text("\n" * 99 + "a: b: c", encoding="utf-8")
    assert ":100:5: mapping values" in invoke("check", "-f", tmp_path / "late.yaml").err


def test_there_are_the_cases_that_are_promised() -> None:
    assert len(of_our_kinds("invalid")) >= 40
    assert len(of_our_kinds("valid")) >= 5


@pytest.mark.parametrize("case", of_our_kinds("invalid"), ids=lambda case: f"{case.kind}/{case.path.stem}")
def test_what_kubectl_refuses_is_refused_with_its_sentences(case: Case, invoke: Invoke) -> None:
    ended = invoke("check", "-f", case.path)
    assert ended.code == 1
    assert [sentence for sentence in case.refused if sentence not in ended.err] == []


@pytest.mark.parametrize("stem", ["several-mistakes", "fields-unknown", "default-model-unknown"])
def test_a_process_of_its_own_says_the_same(stem: str, invoke: Invoke) -> None:
    [case] = [case for case in of_our_kinds("invalid") if case.path.stem == stem]
    assert command("check", "-f", case.path) == invoke("check", "-f", case.path)


def providers_for(documents: Iterable[Json]) -> list[Json]:
    """What the policies and quotas among the documents refer to."""
    wanted: dict[str, set[str]] = {}
    for document in documents:
        if document["kind"] != "ModelProvider":
            for each in document["spec"].get("models", ()):
                wanted.setdefault(each["providerRef"]["name"], set()).add(each["model"])
    everything = ["Text", "Image", "Audio"]
    return [
        provider(name, models=[offered(model, modalities=everything) for model in sorted(models)])
        for name, models in wanted.items()
    ]


@pytest.mark.parametrize("case", of_our_kinds("valid"), ids=lambda case: f"{case.kind}/{case.path.stem}")
def test_what_kubectl_takes_is_good(case: Case, tmp_path: Path, invoke: Invoke) -> None:
    wanted = providers_for(each for each in yaml.safe_load_all(case.text) if each)
    beside = ["-f", str(lay(tmp_path / "providers.yaml", *wanted))] if wanted else []
    ended = invoke("check", "-f", case.path, *beside)
    assert (ended.code, ended.err) == (0, "")
