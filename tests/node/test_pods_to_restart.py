"""A deployment that is older than its namespace's label is found, and well after the command that the status names."""

import json
from typing import Any

from cluster.harness.cluster import Cluster
from cluster.harness.node.pods import container, python
from cluster.harness.processes import wait_until
from node.chart import INJECT, Installed

WAITS = python("import signal; signal.sigwait([signal.SIGTERM])")
DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: web}
spec:
  selector: {matchLabels: {app: web}}
  template:
    metadata: {labels: {app: web}}
    spec:
      terminationGracePeriodSeconds: 1
      containers:
"""


def status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    value = json.loads(cluster.kubectl("get", "mrp", "support", "-n", namespace, "-o", "json").stdout)
    found: dict[str, Any] = value.get("status", {})
    return found


def injected(cluster: Cluster, namespace: str) -> tuple[str, str]:
    conditions = status(cluster, namespace).get("conditions", [])
    found = [each for each in conditions if each["type"] == "Injected"]
    return (found[0]["status"], found[0]["message"]) if found else ("", "")


def test_a_deployment_without_sidecars_is_shown_and_well_after_a_restart(
    installed: Installed, images: dict[str, str]
) -> None:
    cluster = installed.cluster
    namespace = installed.app("late")
    (label,) = INJECT
    cluster.kubectl("label", "namespace", namespace, f"{label}-")
    indented = container("app", images["sidecar"], WAITS).replace("\n", "\n      ")
    cluster.apply(f"{DEPLOYMENT}      {indented}\n", namespace=namespace)
    cluster.kubectl("rollout", "status", "deployment/web", "-n", namespace, "--timeout=60s", seconds=65)

    cluster.kubectl("label", "namespace", namespace, f"{label}=true")
    wait_until(lambda: injected(cluster, namespace)[0] == "False", seconds=30, what="the status shows it")

    message = injected(cluster, namespace)[1]
    assert message.startswith("Pod web-")
    assert f"kubectl rollout restart deployment/NAME -n {namespace}" in message
    assert status(cluster, namespace)["pods"]["summary"] == "0/1"

    cluster.kubectl("rollout", "restart", "deployment/web", "-n", namespace)
    wait_until(lambda: injected(cluster, namespace)[0] == "True", seconds=60, what="the one made again is well")
    assert status(cluster, namespace)["pods"]["summary"] == "1/1"
