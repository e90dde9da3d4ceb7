"""Both charts on the cluster, as the tests of this tier install them, and what they put beside them."""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import yaml

from cluster.charts.rendering import CHART, CRD_CHART, SETS
from cluster.harness.cluster import Cluster
from cluster.harness.node.helm import Helm
from cluster.harness.node.places import Node
from cluster.harness.node.pods import RESTRICTED
from cluster.harness.processes import wait_until

INJECT = {"pointsman.dev/inject": "true"}
# What the stub provider takes, and none but the operator should hold.
KEY = "a-key-that-only-the-operator-holds"
LATER_KEY = "the-key-that-took-its-place"


@dataclass(frozen=True, kw_only=True)
class Installed:
    """Both charts on the cluster."""

    cluster: Cluster
    helm: Helm
    namespace: str
    provider: str
    values: Path

    def upgrade(self, *arguments: str) -> None:
        """Install the release, or bring it to these values, and wait until it works."""
        command = ("upgrade", "--install", self.namespace, CHART, f"--namespace={self.namespace}", "--wait")
        self.helm(*command, "--timeout=90s", f"--values={self.values}", *arguments)

    def app(self, name: str) -> str:
        """A namespace whose pods ask for a sidecar, with a policy for them."""
        namespace = self.cluster.namespace(name, labels={**RESTRICTED, **INJECT})
        models = [{"name": "mini", "providerRef": {"name": self.provider}, "model": "gpt-4o-mini"}]
        value = {
            "apiVersion": "pointsman.dev/v1alpha1",
            "kind": "ModelRoutingPolicy",
            "metadata": {"name": "support"},
            "spec": {"models": models, "defaultModel": "mini"},
        }
        self.cluster.apply(json.dumps(value), namespace=namespace)
        return namespace

    def wait_until_applied(self, namespace: str, *, max_output_tokens: int) -> None:
        """Change the policy, and wait until the one sidecar has applied that."""
        policy = ("mrp", "support", "-n", namespace)
        patch = json.dumps({"spec": {"limits": {"maxOutputTokens": max_output_tokens}}})
        self.cluster.kubectl("patch", *policy, "--type=merge", "-p", patch)

        def applied() -> bool:
            value = json.loads(self.cluster.kubectl("get", *policy, "-o", "json").stdout)
            status = value.get("status", {})
            current = status.get("observedGeneration") == value["metadata"]["generation"]
            return bool(current and status.get("sidecars", {}).get("summary") == "1/1")

        wait_until(applied, seconds=40, what="the sidecar has applied the change")

    def provide(self, *, url: str, key: str, allowed: object = None) -> str:
        """A provider at this URL, and its key in a Secret of the operator's namespace, both of one fresh name."""
        name = self.cluster.unique("stub")
        self.set_key(name, key)
        spec = {
            "baseURL": url,
            "auth": [{"secretKeyRef": {"name": name, "key": "key"}}],
            "allowedNamespaces": allowed or {"from": "All"},
            "models": [
                {
                    "name": "gpt-4o-mini",
                    "price": {"currency": "USD", "input": "0.15", "output": "0.60"},
                    "contextWindow": 128000,
                    "maxOutputTokens": 16384,
                }
            ],
        }
        head = {"apiVersion": "pointsman.dev/v1alpha1", "kind": "ModelProvider", "metadata": {"name": name}}
        self.cluster.apply(json.dumps({**head, "spec": spec}))
        self.cluster.delete_at_end(f"modelprovider/{name}")
        return name

    def set_key(self, name: str, key: str) -> None:
        """Put a key into a Secret of the operator's namespace, in place of one that may be there."""
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name}, "stringData": {"key": key}}
        self.cluster.apply(json.dumps(secret), namespace=self.namespace)


@contextmanager
def installing(node: Node, *, images: Mapping[str, str], folder: Path) -> Iterator[Installed]:
    """Both charts installed, in a namespace under Pod Security `restricted`, with a provider from values."""
    cluster = node.cluster
    namespace = cluster.namespace("pointsman", labels=RESTRICTED)
    provider = cluster.unique("openai")
    (spec,) = SETS["providers"].values["providers"].values()
    values = folder / "values.yaml"
    parts = {
        plane: dict(zip(("repository", "tag"), name.rsplit(":", 1), strict=True)) for plane, name in images.items()
    }
    anywhere = {**spec, "auth": [], "allowedNamespaces": {"from": "All"}}
    given = {
        "image": parts["operator"],
        "sidecar": {"image": parts["sidecar"]},
        "providers": {provider: anywhere},
    }
    values.write_text(yaml.safe_dump(given))
    definitions = f"{namespace}-crds"
    node.helm("upgrade", "--install", definitions, CRD_CHART, f"--namespace={namespace}", "--take-ownership", "--wait")
    made = Installed(cluster=cluster, helm=node.helm, namespace=namespace, provider=provider, values=values)
    made.upgrade()
    yield made
    for release in (namespace, definitions):
        node.helm("uninstall", release, f"--namespace={namespace}", "--ignore-not-found", "--wait")
