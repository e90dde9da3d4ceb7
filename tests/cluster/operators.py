"""An operator that wants proof, as a real process with the rights that the chart gives, and pods with real tokens."""

import base64
import json
import os
import sys
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from cluster.charts.rights import rights
from cluster.harness.cluster import Cluster
from cluster.harness.processes import Process

NAME = "localhost"
AUDIENCE = "pointsman.dev"


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A running operator."""

    cluster: Cluster
    process: Process
    namespace: str
    address: str

    def metrics(self) -> str:
        """What Prometheus would be served now."""
        (line,) = [text for text in self.process.log.read_text().splitlines() if '"event": "ready"' in text]
        with urllib.request.urlopen(f"http://{json.loads(line)['metrics_listen']}/metrics", timeout=5) as answer:
            text: str = answer.read().decode()
        return text

    def ca(self) -> bytes:
        """The CA that signs now, from its Secret."""
        secret = self.cluster.kubectl("get", "secret", "pointsman-ca", "-n", self.namespace, "-o", "json").stdout
        return base64.b64decode(json.loads(secret)["data"]["ca.crt"])


def operators_namespace(cluster: Cluster) -> str:
    """A namespace whose service account `operator` has the rights that the chart gives."""
    namespace = cluster.namespace("pointsman-system")
    cluster.kubeconfig_for("operator", namespace=namespace)
    cluster.apply(rights(namespace=namespace))
    cluster.delete_at_end(f"clusterrole/{namespace}", f"clusterrolebinding/{namespace}")
    return namespace


def start_operator(
    cluster: Cluster,
    folder: Path,
    *,
    namespace: str = "",
    listen: str = "127.0.0.1:0",
    name: str = "operator",
    options: Sequence[str] = (),
) -> Operator:
    """An operator, by default in a namespace of its own, which has read the cluster."""
    namespace = namespace or operators_namespace(cluster)
    kubeconfig = cluster.kubeconfig_for("operator", namespace=namespace)
    log = folder / f"{name}.log"
    process = Process(
        "pointsman-operator",
        [
            *(sys.executable, "-m", "pointsman_operator"),
            *(f"--kubeconfig={kubeconfig}", f"--namespace={namespace}"),
            *(f"--listen={listen}", "--metrics-listen=127.0.0.1:0", *options),
        ],
        log=log,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    process.wait_until_ready(lambda: '"event": "ready"' in log.read_text(), seconds=20)
    (ready,) = [json.loads(line) for line in log.read_text().splitlines() if '"event": "ready"' in line]
    return Operator(cluster=cluster, process=process, namespace=namespace, address=ready["listen"])


@dataclass(frozen=True, kw_only=True)
class Pod:
    """A pod, which need not run to have tokens."""

    cluster: Cluster
    namespace: str
    name: str

    def token(self, *, audience: str = AUDIENCE) -> str:
        """A token as the kubelet projects it into the pod."""
        uid = self.cluster.kubectl("get", "pod", self.name, "-n", self.namespace, "-o", "jsonpath={.metadata.uid}")
        bound = ("--bound-object-kind=Pod", f"--bound-object-name={self.name}", f"--bound-object-uid={uid.stdout}")
        return create_token(self.cluster, self.namespace, f"--audience={audience}", *bound)

    def label(self, *labels: str) -> None:
        """Set labels, each as key=value, or remove them, as key-."""
        self.cluster.kubectl("label", "--overwrite", "pod", self.name, "-n", self.namespace, *labels)

    def delete(self) -> None:
        """Delete it."""
        self.cluster.kubectl("delete", "pod", self.name, "-n", self.namespace, "--force", "--grace-period=0")


def create_token(cluster: Cluster, namespace: str, *options: str, account: str = "app") -> str:
    """A token of a service account, by default that of pods."""
    return cluster.kubectl("create", "token", account, "-n", namespace, *options).stdout.strip()


def create_pod(cluster: Cluster, namespace: str, name: str = "app-1", **labels: str) -> Pod:
    """A pod that carries our label, as an injected one does, and these."""
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app"}}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {"pointsman.dev/injected": "true", **labels}},
        "spec": {"serviceAccountName": "app", "containers": [{"name": "app", "image": "app"}]},
    }
    for value in (account, pod):
        cluster.apply(json.dumps(value), namespace=namespace)
    return Pod(cluster=cluster, namespace=namespace, name=name)
