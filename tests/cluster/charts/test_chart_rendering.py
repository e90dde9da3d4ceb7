"""What the charts render and what they refuse, by Helm alone."""

import json
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.charts.rendering import (
    CHART,
    CRD_CHART,
    ROOT,
    SETS,
    documents,
    golden,
    golden_path,
    rendered,
    template,
)
from cluster.harness.node.helm import Helm

CRDS = ROOT / "crds"


@pytest.fixture(scope="module")
def default(helm: Helm) -> dict[str, Any]:
    """The documents of the default values, read."""
    return {name: yaml.safe_load(part) for name, part in documents(rendered(helm, SETS["default"])).items()}


@pytest.mark.parametrize("name", SETS)
def test_the_manifests_are_those_of_the_golden_file(helm: Helm, name: str) -> None:
    default = None if name == "default" else rendered(helm, SETS["default"])
    assert golden(rendered(helm, SETS[name]), default=default) == golden_path(name).read_text(encoding="utf-8"), (
        "if this is meant: PYTHONPATH=tests python -m cluster.charts.rendering"
    )


@pytest.mark.parametrize("chart", [CHART, CRD_CHART], ids=lambda chart: chart.name)
def test_helm_lint_finds_nothing_to_warn_of(helm: Helm, chart: Path) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", chart).stdout


def test_the_charts_are_of_the_projects_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["version"]
    for chart in (CHART, CRD_CHART):
        said = yaml.safe_load((chart / "Chart.yaml").read_text(encoding="utf-8"))
        assert (said["version"], said["appVersion"]) == (project, project), chart.name


def test_the_crd_chart_brings_the_very_crds_and_keeps_them(helm: Helm) -> None:
    brought = documents(template(helm, CRD_CHART, values={}).stdout)

    expected = {}
    for path in CRDS.glob("*.yaml"):
        value = yaml.safe_load(path.read_text(encoding="utf-8"))
        value["metadata"]["annotations"] = {"helm.sh/resource-policy": "keep"}
        expected[f"CustomResourceDefinition/{path.stem}"] = value
    assert {name: yaml.safe_load(part) for name, part in brought.items()} == expected


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ({"replicas": -1}, "at '/replicas': minimum: got -1, want 0"),
        ({"replica": 1}, "at '': additional properties 'replica' not allowed"),
        ({"sidecar": {"imagee": {}}}, "at '/sidecar': additional properties 'imagee' not allowed"),
        (
            {"image": {"pullPolicy": "Sometimes"}},
            "at '/image/pullPolicy': value must be one of 'Always', 'IfNotPresent', 'Never'",
        ),
        ({"injection": {"timeoutSeconds": 60}}, "at '/injection/timeoutSeconds': maximum: got 60, want 30"),
        ({"providers": {"openai": {"models": []}}}, "at '/providers/openai': missing property 'allowedNamespaces'"),
        ({"tls": {"certManager": {"enabled": True}}}, "at '/tls/certManager/issuerRef': missing property 'name'"),
        (
            {"tls": {"secretName": "mine", "certManager": {"enabled": True, "issuerRef": {"name": "internal"}}}},
            "tls.secretName and tls.certManager.enabled both say where the certificate comes from: leave one out",
        ),
        ({"ledger": {"redis": {"url": "redis://:hunter2@redis"}}}, "a password belongs into the Secret ledger.redis"),
        (
            {"ledger": {"redis": {"url": "redis://redis", "tlsSecretName": "redis"}}},
            "ledger.redis.tlsSecretName has no use with redis://, which is plain text",
        ),
        (
            {"ledger": {"redis": {"url": "redis://me@redis"}}},
            "ledger.redis.url names a user: give the password too",
        ),
        (
            {"ledger": {"redis": {"awaitImport": True}}},
            "ledger.redis.url is empty, without which nothing else of ledger.redis does anything",
        ),
        (
            {"monitoring": {"podMonitor": {"enabled": True}}},
            "monitoring.podMonitor.enabled needs monitoring.coreos.com/v1/PodMonitor, which this cluster does not know",
        ),
        (
            {"providers": {"openai": {"allowedNamespaces": {"from": "All"}, "models": []}}},
            "which this cluster does not know: install the chart pointsman-crds first",
        ),
    ],
    ids=lambda value: json.dumps(value) if isinstance(value, dict) else "",
)
def test_values_that_cannot_be_obeyed_are_refused_with_a_sentence(
    helm: Helm, values: dict[str, Any], sentence: str
) -> None:
    answer = template(helm, CHART, values=values, check=False)

    assert answer.returncode == 1
    assert sentence in answer.stderr


def test_a_kubernetes_without_native_sidecars_is_refused(helm: Helm) -> None:
    answer = template(helm, CHART, values={}, arguments=["--kube-version=1.28.9"], check=False)

    assert "chart requires kubeVersion: >=1.29.0-0 which is incompatible with Kubernetes v1.28.9" in answer.stderr


def test_a_cluster_that_does_not_know_the_kinds_yet_is_refused_at_once(helm: Helm) -> None:
    def answer(*kinds: str) -> str:
        arguments = [f"--api-versions={kind}" for kind in ("v1/Pod", *kinds)]
        return template(helm, CHART, values={}, arguments=arguments, check=False).stderr

    names = ("ModelProvider", "ModelRoutingPolicy", "TokenQuota")
    provider, policy, quota = (f"pointsman.dev/v1alpha1/{kind}" for kind in names)
    sentence = (
        "this cluster does not know the kind {} of pointsman.dev/v1alpha1: install the chart pointsman-crds first"
    )
    assert sentence.format("ModelProvider") in answer()
    assert sentence.format("ModelRoutingPolicy") in answer(provider)
    assert sentence.format("TokenQuota") in answer(provider, policy)
    assert answer(provider, policy, quota) == ""


def test_a_chart_that_brings_both_at_once_is_left_to_itself(helm: Helm, tmp_path: Path) -> None:
    names = [chart.name for chart in (CHART, CRD_CHART)]
    dependencies = [{"name": name, "version": "*"} for name in names]
    head = {"apiVersion": "v2", "name": "platform", "version": "1.0.0", "dependencies": dependencies}
    (tmp_path / "Chart.yaml").write_text(yaml.safe_dump(head))
    (tmp_path / "charts").mkdir()
    for chart in (CHART, CRD_CHART):
        (tmp_path / "charts" / chart.name).symlink_to(chart)

    answer = template(helm, tmp_path, values={}, arguments=["--api-versions=v1/Pod"])

    assert "CustomResourceDefinition/modelproviders.pointsman.dev" in documents(answer.stdout)


def test_every_value_is_in_the_schema_and_the_schema_knows_no_other() -> None:
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))

    def check(values: dict[str, Any], part: dict[str, Any], path: str) -> None:
        part = schema["$defs"][part["$ref"].removeprefix("#/$defs/")] if "$ref" in part else part
        if "properties" not in part:
            return
        assert part["additionalProperties"] is False, path
        known = set(part["properties"]) - {"global"}
        if values:  # an empty one is for the user to fill
            assert set(values) == known or path.endswith("resources"), path
        for name, value in values.items():
            if isinstance(value, dict):
                check(value, part["properties"][name], f"{path}.{name}")

    check(yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8")), schema, "values")


def test_no_right_on_secrets_reaches_beyond_the_operators_namespace(default: dict[str, Any]) -> None:
    for name, value in default.items():
        if name.startswith("ClusterRole/"):
            for rule in value["rules"]:
                assert not {"secrets", "*"} & set(rule["resources"]), name
                assert "*" not in rule["verbs"], name


def test_only_opted_in_pods_can_be_held_back_by_a_webhook(default: dict[str, Any]) -> None:
    webhooks = default["MutatingWebhookConfiguration/pointsman"]["webhooks"]
    inject = "pointsman.dev/inject"
    never = {"key": "kubernetes.io/metadata.name", "operator": "NotIn", "values": ["kube-system", "pointsman-system"]}
    for webhook in webhooks:
        by_label = (webhook["objectSelector"].get("matchLabels"), webhook["namespaceSelector"].get("matchLabels"))
        assert {inject: "true"} in by_label
        assert webhook["namespaceSelector"]["matchExpressions"] == [never]
        assert "caBundle" not in webhook["clientConfig"]
    (validating,) = default["ValidatingWebhookConfiguration/pointsman"]["webhooks"]
    assert validating["failurePolicy"] == "Ignore"
