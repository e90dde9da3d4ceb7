"""From `helm install` on an empty cluster to the first routed answer: the documented sequence, as it is documented."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pytest
import yaml

from cluster.charts.rendering import CHART, CRD_CHART, ROOT
from cluster.harness.node.first_answer import first_answer
from cluster.harness.node.images import Image
from cluster.harness.node.machine import report_on_stderr
from cluster.harness.node.places import Node
from cluster.harness.processes import wait_until

SYSTEM, SHOP = "--namespace=pointsman-system", "--namespace=shop"
APP = ("logs", "deployment/support", "--container=app", SHOP)
APP_FOLDER = ROOT / "examples" / "kubernetes" / "app"
QUICKSTART_POLICY = ROOT / "examples" / "quickstart" / "policy.yaml"
POLICY = ("mrp", "support", SHOP)


@dataclass(frozen=True, kw_only=True)
class Walked:
    """The cluster after the sequence, and what was seen of it."""

    node: Node
    seen: str

    def get(self, *what: str) -> str:
        """What kubectl answers."""
        return self.node.cluster.kubectl("get", *what).stdout

    def app_says(self) -> list[str]:
        """The app's log."""
        return self.node.cluster.kubectl(*APP).stdout.splitlines()

    def wait_until_applied(self) -> None:
        """Wait until the app's sidecar has applied the policy as it is now."""

        def applied() -> bool:
            value = json.loads(self.get(*POLICY, "-o", "json"))
            status = value.get("status", {})
            current = status.get("observedGeneration") == value["metadata"]["generation"]
            return bool(current and status.get("sidecars", {}).get("summary") == "1/1")

        wait_until(applied, seconds=60, what="the app's sidecar has applied the policy")


@pytest.fixture(scope="module")
def walked(empty_node: Node, built_images: Mapping[str, Image]) -> Walked:
    """The sequence, gone through once."""
    return Walked(node=empty_node, seen=first_answer(empty_node, built_images, report=report_on_stderr))


def test_the_sequence_ends_with_answers_of_the_models_that_the_policy_chose(walked: Walked) -> None:
    assert "\nreturns: gpt-4o-mini answers: [gpt-4o-mini]" in walked.seen
    assert "\nlegal: gpt-4o answers: [gpt-4o]" in walked.seen
    assert "\n$ helm upgrade --install pointsman charts/pointsman --namespace pointsman-system --wait\n" in walked.seen


def test_the_app_knows_of_no_sidecar_and_has_one(walked: Walked) -> None:
    deployment = walked.get("deployment", "support", SHOP, "-o", "yaml")
    pods = json.loads(walked.get("pods", SHOP, "-l", "app=support", "-o", "json"))["items"]

    assert "pointsman.dev" not in deployment
    assert [pod["spec"]["initContainers"][0]["name"] for pod in pods] == ["pointsman-sidecar"]


def test_the_policys_status_counts_the_apps_sidecar(walked: Walked) -> None:
    walked.wait_until_applied()


def test_every_pod_of_the_example_passes_pod_security_restricted(walked: Walked) -> None:
    asked = walked.node.cluster.kubectl(
        *("label", "--dry-run=server", "--overwrite", "namespace", "pointsman-system", "shop", "stub-provider"),
        "pod-security.kubernetes.io/enforce=restricted",
    )

    assert "Warning" not in asked.stderr


def test_policies_and_running_apps_survive_an_uninstall_and_are_taken_up_by_the_next_install(walked: Walked) -> None:
    helm, kubectl = walked.node.helm, walked.node.cluster.kubectl
    pod = ("pods", SHOP, "-l", "app=support", "-o", "jsonpath={.items[*].metadata.uid}")
    uid = ("-o", "jsonpath={.metadata.uid}")
    before = walked.get(*pod), walked.get(*POLICY, *uid)

    for release in ("pointsman", "pointsman-crds"):
        helm("uninstall", release, SYSTEM, "--wait")
    answered = len(walked.app_says())
    wait_until(
        lambda: len(walked.app_says()) > answered + 1, seconds=30, what="the app is answered without an operator"
    )
    assert "no answer" not in "\n".join(walked.app_says()[answered:])
    for release, chart in {"pointsman-crds": CRD_CHART, "pointsman": CHART}.items():
        helm("install", release, chart, SYSTEM, "--wait")

    assert (walked.get(*pod), walked.get(*POLICY, *uid)) == before
    kubectl("patch", *POLICY, "--type=merge", "-p", json.dumps({"spec": {"limits": {"maxOutputTokens": 9}}}))
    walked.wait_until_applied()


def test_an_app_that_was_there_before_is_routed_once_its_namespace_has_the_label(walked: Walked) -> None:
    cluster, namespace = walked.node.cluster, walked.node.cluster.namespace("existing", labels={"ai": "allowed"})
    here = ("deployment/support", f"--namespace={namespace}")
    (policy,) = (value for value in documents(QUICKSTART_POLICY.read_text()) if value["kind"] != "Namespace")
    for value in (policy, *documents(cluster.kubectl("kustomize", APP_FOLDER).stdout)):
        value["metadata"]["namespace"] = namespace
        if value["kind"] == "Deployment":
            (container,) = value["spec"]["template"]["spec"]["containers"]
            container["env"] = [{"name": "OPENAI_API_KEY", "value": "its-own-key"}]
        cluster.apply(json.dumps(value))
    before = cluster.kubectl("get", *here, "-o", "jsonpath={.spec.template.spec}").stdout

    def says() -> str:
        return cluster.kubectl("logs", *here, "--container=app", check=False).stdout

    # It looks for OpenAI itself, to whom it has no way here, or no key that fits.
    wait_until(lambda: "no answer yet" in says(), seconds=60, what="the app has found no answer")
    cluster.kubectl("label", "namespace", namespace, "pointsman.dev/inject=true")
    cluster.kubectl("rollout", "restart", *here)
    cluster.kubectl("rollout", "status", *here, "--timeout=90s", seconds=95)

    wait_until(lambda: "returns: gpt-4o-mini answers" in says(), seconds=40, what="the app is routed")
    assert cluster.kubectl("get", *here, "-o", "jsonpath={.spec.template.spec}").stdout == before


def documents(text: str) -> list[dict[str, Any]]:
    """The documents of a YAML text."""
    return list(yaml.safe_load_all(text))


def test_the_sequence_can_be_gone_through_again(walked: Walked) -> None:
    again = first_answer(walked.node, {}, report=report_on_stderr)

    assert "deployment.apps/support unchanged" in again
