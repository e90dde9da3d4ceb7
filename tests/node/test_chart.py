"""The charts on a cluster whose pods run: from `helm install` to an app that is routed, and on to the next version."""

import json
import sys
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import yaml

from cluster.charts.rendering import CHART, CRD_CHART, SETS
from cluster.harness.cluster import Cluster
from cluster.harness.node.helm import Helm
from cluster.harness.node.own import OwnNode
from cluster.harness.node.places import Node
from cluster.harness.node.pods import RESTRICTED, container, output_of, pod, python, wait_ready
from cluster.harness.node.world import ADDRESS
from cluster.harness.processes import Process, wait_until

INJECT = {"pointsman.dev/inject": "true"}
# An app that knows nothing but the address that it is told. It asks what would be done: there is no provider here.
APP = python("""
    import os, time, grpc
    from pointsman_api.v1 import completions_pb2 as api, completions_pb2_grpc

    message = api.Message(role=api.ROLE_USER, content=[api.ContentPart(text="May I return it?")])
    with grpc.insecure_channel(os.environ["POINTSMAN_ADDRESS"]) as channel:
        completions = completions_pb2_grpc.CompletionsStub(channel)
        deadline = time.monotonic() + 30
        while True:
            try:
                decision = completions.Explain(api.CompleteRequest(messages=[message])).decision
                break
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE or time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
    print(decision.model, decision.provider_model)
""")
# One that knows OpenAI's client and nothing of Pointsman. It waits for a policy as that client does by itself.
ASKS = python("""
    import openai

    raw = openai.OpenAI(max_retries=10).chat.completions.with_raw_response.create(
        model="gpt-4o", messages=[{"role": "user", "content": "May I return it?"}]
    )
    print(raw.headers["x-pointsman-model"], raw.parse().choices[0].message.content.split()[0])
""")
KEY = "a-key-that-only-the-operator-holds"
STUB_PORT = 18090
WAITS = python("import signal; signal.sigwait([signal.SIGTERM])")


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


@pytest.fixture(scope="module")
def installed(
    node: Node, cluster: Cluster, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    """Both charts installed, in a namespace under Pod Security `restricted`, with a provider from values."""
    namespace = cluster.namespace("pointsman", labels=RESTRICTED)
    provider = cluster.unique("openai")
    (spec,) = SETS["providers"].values["providers"].values()
    values = tmp_path_factory.mktemp("chart") / "values.yaml"
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
    node.helm("upgrade", "--install", definitions, CRD_CHART, f"--namespace={namespace}", "--take-ownership")
    made = Installed(cluster=cluster, helm=node.helm, namespace=namespace, provider=provider, values=values)
    made.upgrade()
    yield made
    for release in (namespace, definitions):
        node.helm("uninstall", release, f"--namespace={namespace}", "--ignore-not-found", "--wait")


@pytest.fixture
def stub_url(own_node: OwnNode, tmp_path: Path) -> Iterator[str]:
    """A stub provider that pods can reach, as they would reach one outside of the cluster."""
    log = tmp_path / "stub.log"
    command = [sys.executable, "-m", "pointsman_stub", "--host", ADDRESS, "--port", str(STUB_PORT), "--api-key", KEY]
    stub = Process("stub", own_node.enter(command), log=log)
    try:
        stub.wait_until_ready(lambda: "listening on" in log.read_text(), seconds=20)
        yield f"http://{ADDRESS}:{STUB_PORT}/v1"
    finally:
        stub.stop()


def test_an_app_in_a_labelled_namespace_is_routed_by_its_policy(installed: Installed, images: dict[str, str]) -> None:
    namespace = installed.app("shop")

    said = output_of(installed.cluster, namespace, "containers:\n" + container("app", images["sidecar"], APP))

    assert said == "mini gpt-4o-mini\n"


def test_an_app_is_answered_with_a_key_that_its_namespace_never_holds(
    installed: Installed, stub_url: str, images: dict[str, str]
) -> None:
    cluster, provider = installed.cluster, installed.cluster.unique("stub")
    cluster.kubectl("create", "secret", "generic", provider, f"--from-literal=key={KEY}", "-n", installed.namespace)
    spec = {
        "baseURL": stub_url,
        "auth": [{"secretKeyRef": {"name": provider, "key": "key"}}],
        "allowedNamespaces": {"from": "All"},
        "models": [
            {
                "name": "gpt-4o-mini",
                "price": {"currency": "USD", "input": "0.15", "output": "0.60"},
                "contextWindow": 128000,
                "maxOutputTokens": 16384,
            }
        ],
    }
    head = {"apiVersion": "pointsman.dev/v1alpha1", "kind": "ModelProvider", "metadata": {"name": provider}}
    cluster.apply(json.dumps({**head, "spec": spec}))
    cluster.delete_at_end(f"modelprovider/{provider}")
    namespace = replace(installed, provider=provider).app("answers")

    said = output_of(cluster, namespace, "containers:\n" + container("app", images["sidecar"], ASKS))

    assert said == "mini [gpt-4o-mini]\n"
    held = cluster.kubectl("get", "pods,secrets,configmaps,mrp", "-n", namespace, "-o", "yaml").stdout
    logged = cluster.kubectl("logs", "once", "-c", "pointsman-sidecar", "-n", namespace).stdout
    assert KEY not in held
    assert KEY not in logged


def test_an_upgrade_and_a_rollback_leave_a_running_app_connected(installed: Installed, images: dict[str, str]) -> None:
    namespace = installed.app("steady")
    app = pod("app", "containers:\n" + container("app", images["sidecar"], WAITS))
    installed.cluster.apply(app, namespace=namespace)
    wait_ready(installed.cluster, namespace, "app")
    installed.wait_until_applied(namespace, max_output_tokens=7)

    installed.upgrade("--set=logLevel=debug")
    installed.wait_until_applied(namespace, max_output_tokens=8)
    installed.helm("rollback", installed.namespace, f"--namespace={installed.namespace}", "--wait")
    installed.wait_until_applied(namespace, max_output_tokens=9)


def test_whoever_may_edit_a_namespace_by_kubernetes_own_role_may_edit_its_policies(installed: Installed) -> None:
    namespace = installed.cluster.namespace("team")
    as_editor = installed.cluster.kubectl_as(installed.cluster.kubeconfig_for("editor", namespace=namespace))
    binding = ("create", "rolebinding", "editor", "--clusterrole=edit", f"--serviceaccount={namespace}:editor")
    installed.cluster.kubectl(*binding, "-n", namespace)

    def may(verb: str, resource: str) -> bool:
        question = ("auth", "can-i", verb, f"{resource}.pointsman.dev", "-n", namespace)
        return as_editor(*question, check=False).stdout.strip() == "yes"

    wait_until(lambda: may("create", "modelroutingpolicies"), seconds=20, what="an editor may create a policy")
    assert may("get", "modelroutingpolicies")
    assert not may("create", "modelproviders")
