"""Pods that asked for a sidecar and lack one, or have an old one, on a real API server: counted, named, left alone."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from cluster.harness.cluster import Cluster
from cluster.operators import Operator, start_operator
from cluster.planes import eventually
from pointsman_operator.inject import fingerprint
from pointsman_operator.settings import read_settings

Json = dict[str, Any]
ASKS = {"pointsman.dev/inject": "true"}
HAS = {"pointsman.dev/injected": "true"}
# It injects by settings of its own; no webhook is registered, as if it had been absent.
OPTIONS = (
    "--webhook-listen=127.0.0.1:0",
    "--sidecar-image=registry.example/pointsman-sidecar:0.1.0",
    "--sidecar-operator=pointsman.example:9443",
    "--relist-interval=1",
)


@pytest.fixture(scope="module")
def operator(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator that would inject."""
    del crds
    running = start_operator(cluster, tmp_path_factory.mktemp("operator"), options=OPTIONS)
    yield running
    running.process.stop()


@pytest.fixture
def shop(cluster: Cluster, operator: Operator) -> str:
    """A namespace with a policy for all of its pods; it asks for nothing."""
    del operator
    namespace = cluster.namespace("shop")
    spec = {"models": [{"name": "mini", "providerRef": {"name": "none"}, "model": "m"}], "defaultModel": "mini"}
    value = {"apiVersion": "pointsman.dev/v1alpha1", "kind": "ModelRoutingPolicy", "metadata": {"name": "support"}}
    account = {"apiVersion": "v1", "kind": "ServiceAccount", "metadata": {"name": "app"}}
    for each in ({**value, "spec": spec}, account):
        cluster.apply(json.dumps(each), namespace=namespace)
    return namespace


def today() -> str:
    settings = read_settings([*OPTIONS, "--namespace=x"], environ={}, own_namespace_file=Path("/nowhere"))
    assert settings.webhooks is not None
    assert settings.webhooks.sidecar is not None
    return fingerprint(settings.webhooks.sidecar)


def make(
    cluster: Cluster, namespace: str, name: str, labels: Mapping[str, str], injection: str = "", **metadata: Any
) -> None:
    annotations = {"pointsman.dev/injection": injection} if injection else {}
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {**labels}, "annotations": annotations, **metadata},
        "spec": {"serviceAccountName": "app", "containers": [{"name": "app", "image": "app"}]},
    }
    cluster.apply(json.dumps(pod), namespace=namespace)


def status(cluster: Cluster, namespace: str) -> Json:
    value = json.loads(cluster.kubectl("get", "mrp", "support", "-n", namespace, "-o", "json").stdout)
    found: Json = value.get("status", {})
    return found


def summary(cluster: Cluster, namespace: str) -> str:
    pods: Json = status(cluster, namespace).get("pods", {})
    return str(pods.get("summary", ""))


def injected(cluster: Cluster, namespace: str) -> tuple[str, str, str]:
    conditions = status(cluster, namespace)["conditions"]
    (found,) = [each for each in conditions if each["type"] == "Injected"]
    return found["status"], found["reason"], found["message"]


def test_pods_that_asked_are_counted_by_what_they_have(cluster: Cluster, operator: Operator, shop: str) -> None:
    make(cluster, shop, "current", HAS, today())
    make(cluster, shop, "old", HAS, "yesterday")
    make(cluster, shop, "lacking", ASKS)
    make(cluster, shop, "bystander", {})

    eventually(lambda: summary(cluster, shop) == "1/3", "the three that asked are counted")

    assert injected(cluster, shop)[:2] == ("False", "Uninjected")
    assert injected(cluster, shop)[2].startswith(
        "Pod lacking asked for a sidecar and has none. Pod old has a sidecar of other settings than it would get today."
    )
    metrics = operator.metrics()
    for state in ("current", "outdated", "uninjected"):
        assert f'pointsman_operator_pods{{namespace="{shop}",state="{state}"}} 1.0' in metrics
    wide = cluster.kubectl("get", "mrp", "-n", shop, "-o", "wide").stdout
    assert "INJECTED" in wide
    assert "1/3" in wide


def test_a_namespace_that_begins_to_ask_shows_which_pods_are_to_be_made_again(
    cluster: Cluster, operator: Operator, shop: str
) -> None:
    del operator
    make(cluster, shop, "older", {})
    make(cluster, shop, "declines", {"pointsman.dev/inject": "false"})
    make(cluster, shop, "ended", {})
    done = json.dumps({"status": {"phase": "Succeeded"}})
    cluster.kubectl("patch", "pod", "ended", "-n", shop, "--subresource=status", "--type=merge", "-p", done)
    eventually(lambda: summary(cluster, shop) == "0/0", "nobody asks")

    cluster.kubectl("label", "namespace", shop, "pointsman.dev/inject=true")

    eventually(lambda: summary(cluster, shop) == "0/1", "the older one is found")
    assert "Pod older asked for a sidecar and has none." in injected(cluster, shop)[2]
    uid = ("get", "pod", "older", "-n", shop, "-o", "jsonpath={.metadata.uid} {.metadata.deletionTimestamp}")
    assert cluster.kubectl(*uid).stdout.split()[1:] == []  # it is left alone

    cluster.kubectl("delete", "pod", "older", "-n", shop, "--force", "--grace-period=0")
    make(cluster, shop, "newer", HAS, today())

    eventually(lambda: summary(cluster, shop) == "1/1", "the one made again is well")
    assert injected(cluster, shop)[:2] == ("True", "AllCurrent")


def test_a_status_is_not_written_again_while_nothing_changes(cluster: Cluster, operator: Operator, shop: str) -> None:
    make(cluster, shop, "lacking", ASKS)
    eventually(lambda: summary(cluster, shop) == "0/1", "it is found")
    version = ("get", "mrp", "support", "-n", shop, "-o", "jsonpath={.metadata.resourceVersion}")
    before = cluster.kubectl(*version).stdout
    lab = cluster.namespace("lab")
    make(cluster, lab, "another", ASKS)  # which only a later look finds

    again = f'pointsman_operator_pods{{namespace="{lab}",state="uninjected"}} 1.0'
    eventually(lambda: again in operator.metrics(), "they have been looked for again")

    assert cluster.kubectl(*version).stdout == before
