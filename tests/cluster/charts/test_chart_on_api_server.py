"""The charts on a real API server: what it makes of the manifests, and what Helm does to them over a release's life.

There are no controllers here: that the operator's pod runs and that roles aggregate is the node tier's to show.
"""

import dataclasses
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from cluster.charts.rendering import CHART, CRD_CHART, SETS, ValueSet, documents, rendered
from cluster.harness.cluster import Cluster
from cluster.harness.node.helm import Helm

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
POLICY = """
apiVersion: pointsman.dev/v1alpha1
kind: ModelRoutingPolicy
metadata: {name: support}
spec:
  models: [{name: mini, providerRef: {name: PROVIDER}, model: gpt-4o-mini}]
  defaultModel: mini
"""
QUOTA = """
apiVersion: pointsman.dev/v1alpha1
kind: TokenQuota
metadata: {name: month}
spec: {window: Month, limit: {tokens: 5}}
"""


@dataclasses.dataclass(frozen=True, kw_only=True)
class Release:
    """A release in a namespace of its own, whose cluster-wide names are its own too."""

    helm: Helm
    cluster: Cluster
    name: str
    provider: str
    values: Path

    def __call__(self, command: str, *arguments: str | Path) -> str:
        """Run Helm on the release."""
        return self.helm(command, self.name, *arguments, f"--namespace={self.name}").stdout

    def apply(self, *arguments: str | Path) -> str:
        """Install it, or upgrade it."""
        return self("upgrade", "--install", CHART, f"--values={self.values}", *arguments)

    def get(self, kind: str, name: str, *, namespace: str = "") -> Any:
        """An object as it stands; None where there is none."""
        where = [f"--namespace={namespace}"] if namespace else []
        text = self.cluster.kubectl("get", kind, name, "-o", "json", "--ignore-not-found", *where).stdout
        return json.loads(text) if text else None


@pytest.fixture
def release(helm: Helm, cluster: Cluster, crds: None, tmp_path: Path) -> Iterator[Release]:  # noqa: ARG001 - served first
    """A release that is not installed yet, and is gone at the end."""
    namespace = cluster.namespace("pointsman", RESTRICTED)
    provider = cluster.unique("openai")
    (spec,) = SETS["providers"].values["providers"].values()
    values = tmp_path / "values.yaml"
    values.write_text(yaml.safe_dump({"providers": {provider: spec}}))
    on_cluster = dataclasses.replace(helm, kubeconfig=cluster.kubeconfig)
    made = Release(helm=on_cluster, cluster=cluster, name=namespace, provider=provider, values=values)
    yield made
    made("uninstall", "--ignore-not-found")


@pytest.mark.parametrize("name", SETS)
def test_the_server_takes_the_manifests_as_they_are_and_warns_of_nothing(
    helm: Helm,
    cluster: Cluster,
    crds: None,  # noqa: ARG001 - served before it is needed
    name: str,
) -> None:
    namespace = cluster.namespace("charts", RESTRICTED)
    found = documents(rendered(helm, SETS[name], namespace=namespace))
    # Kinds of the Prometheus operator and of cert-manager are not known here.
    known = [part for part in found.values() if "monitoring.coreos.com" not in part and "cert-manager.io" not in part]

    answer = cluster.kubectl(
        "apply", "--dry-run=server", "--validate=strict", "--warnings-as-errors", "-f", "-", stdin="---\n".join(known)
    )

    assert len(answer.stdout.splitlines()) == len(known)


def test_the_operators_pod_passes_pod_security_restricted(helm: Helm, cluster: Cluster) -> None:
    namespace = cluster.namespace("charts", RESTRICTED)
    value_set = ValueSet(values={"tls": {"secretName": "certificate"}})  # which mounts a volume too
    found = documents(rendered(helm, value_set, namespace=namespace))
    cluster.apply(found["ServiceAccount/pointsman"])
    template = yaml.safe_load(found["Deployment/pointsman"])["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **template}
    pod["metadata"] = {**pod["metadata"], "name": "operator", "namespace": namespace}

    cluster.apply(json.dumps(pod))
    pod["metadata"]["name"] = "worse"
    pod["spec"]["containers"][0]["securityContext"]["allowPrivilegeEscalation"] = True
    refused = cluster.apply(json.dumps(pod), check=False)

    assert 'violates PodSecurity "restricted:latest"' in refused.stderr  # so that the first was really looked at


def test_an_upgrade_and_a_rollback_leave_the_ca_bundle_and_the_providers_where_they_are(release: Release) -> None:
    notes = release.apply()
    webhooks = release.get("mutatingwebhookconfiguration", release.name)["webhooks"]
    release.cluster.kubectl(
        *("patch", "mutatingwebhookconfiguration", release.name, "--type=json", "-p"),
        json.dumps([{"op": "add", "path": "/webhooks/0/clientConfig/caBundle", "value": "Q0E="}]),
    )
    before = release.get("modelprovider", release.provider)["metadata"]

    release.apply("--set=logLevel=debug", "--set=injection.timeoutSeconds=9")
    upgraded = release.get("mutatingwebhookconfiguration", release.name)["webhooks"]
    release("rollback", "1")
    after = release.get("mutatingwebhookconfiguration", release.name)["webhooks"]

    assert f"kubectl rollout status deployment/{release.name} --namespace {release.name}" in notes
    assert "kubectl get modelproviders" in notes
    assert "caBundle" not in webhooks[0]["clientConfig"]
    assert (upgraded[0]["timeoutSeconds"], upgraded[0]["clientConfig"].get("caBundle")) == (9, "Q0E=")
    assert (after[0]["timeoutSeconds"], after[0]["clientConfig"].get("caBundle")) == (5, "Q0E=")
    # A provider that was deleted and made anew would have taken its key from every sidecar meanwhile.
    assert release.get("modelprovider", release.provider)["metadata"] == before


def test_policies_survive_an_uninstall_of_both_charts(release: Release) -> None:
    crds_of = ("--install", CRD_CHART, "--take-ownership")
    definitions = f"{release.name}-crds"
    release.helm("upgrade", definitions, *crds_of, f"--namespace={release.name}")
    release.apply()
    release.cluster.apply(POLICY.replace("PROVIDER", release.provider), namespace=release.name)
    before = release.get("modelroutingpolicy", "support", namespace=release.name)["metadata"]["uid"]

    release("uninstall")
    kept = release.helm("uninstall", definitions, f"--namespace={release.name}")
    release.helm("upgrade", definitions, *crds_of, f"--namespace={release.name}")
    release.apply()

    assert "modelroutingpolicies.pointsman.dev" in kept.stdout + kept.stderr
    assert release.get("modelroutingpolicy", "support", namespace=release.name)["metadata"]["uid"] == before
    release.helm("uninstall", definitions, f"--namespace={release.name}")


def test_an_uninstall_leaves_nothing_in_the_whole_cluster(release: Release) -> None:
    release.apply()
    kinds = (
        "clusterroles,clusterrolebindings,mutatingwebhookconfigurations,validatingwebhookconfigurations,modelproviders"
    )
    label = f"app.kubernetes.io/instance={release.name}"
    before = release.cluster.kubectl("get", kinds, "-l", label, "-o", "name").stdout.split()

    release("uninstall")

    assert len(before) == 8
    assert release.cluster.kubectl("get", kinds, "-l", label, "-o", "name").stdout == ""


def test_whoever_may_edit_a_namespace_may_edit_policies_and_neither_provider_nor_quota(release: Release) -> None:
    release.apply()
    kubectl = release.cluster.kubectl_as(release.cluster.kubeconfig_for("editor", namespace=release.name))
    release.cluster.kubectl(
        *("create", "rolebinding", "editor", f"--clusterrole={release.name}-edit"),
        *(f"--serviceaccount={release.name}:editor", f"--namespace={release.name}"),
    )

    def may(verb: str, resource: str, namespace: str, *more: str) -> bool:
        answer = kubectl("auth", "can-i", verb, resource, f"--namespace={namespace}", *more, check=False)
        return answer.stdout.strip() == "yes"

    changes = ("create", "update", "patch", "delete", "deletecollection")
    assert may("update", "modelroutingpolicies.pointsman.dev", release.name)
    assert not may("update", "modelroutingpolicies.pointsman.dev", "default")
    assert not may("patch", "modelroutingpolicies.pointsman.dev", release.name, "--subresource=status")
    assert not may("update", "modelproviders.pointsman.dev", release.name)
    assert not any(may(verb, "tokenquotas.pointsman.dev", release.name) for verb in changes)


def test_whoever_sets_budgets_may_edit_quotas_and_no_policy(release: Release) -> None:
    release.apply()
    kubectl = release.cluster.kubectl_as(release.cluster.kubeconfig_for("treasurer", namespace=release.name))
    release.cluster.kubectl(
        *("create", "rolebinding", "treasurer", f"--clusterrole={release.name}-quota-admin"),
        *(f"--serviceaccount={release.name}:treasurer", f"--namespace={release.name}"),
    )

    applied = kubectl("apply", "-f", "-", f"--namespace={release.name}", stdin=QUOTA)
    refused = kubectl("apply", "-f", "-", f"--namespace={release.name}", stdin=POLICY, check=False)

    assert "tokenquota.pointsman.dev/month created" in applied.stdout
    assert "modelroutingpolicies.pointsman.dev" in refused.stderr
    assert "orbidden" in refused.stderr
    labels = release.get("clusterrole", f"{release.name}-quota-admin")["metadata"]["labels"]
    assert not [label for label in labels if label.startswith("rbac.authorization.k8s.io/aggregate-to-")]
