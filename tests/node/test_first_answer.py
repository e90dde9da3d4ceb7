"""From `helm install` on an empty cluster to the first routed answer: the documented sequence, as it is documented."""

import json
from collections.abc import Mapping
from dataclasses import dataclass

import pytest

from cluster.charts.rendering import CHART, CRD_CHART
from cluster.harness.node.first_answer import first_answer
from cluster.harness.node.images import Image
from cluster.harness.node.machine import report_on_stderr
from cluster.harness.node.places import Node
from cluster.harness.processes import wait_until

SYSTEM, SHOP = "--namespace=pointsman-system", "--namespace=shop"
APP = ("logs", "deployment/support", "--container=app", SHOP)
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
    assert "\nreturns: mini answers: [gpt-4o-mini]" in walked.seen
    assert "\nlegal: flagship answers: [gpt-4o]" in walked.seen
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


def test_the_sequence_can_be_gone_through_again(walked: Walked) -> None:
    again = first_answer(walked.node, {}, report=report_on_stderr)

    assert "deployment.apps/support unchanged" in again
