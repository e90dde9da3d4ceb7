"""The webhooks as a real API server calls them, registered with selectors and policies as the chart gives them."""

import base64
import json
import os
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import pytest

from cluster.charts.rights import rights
from cluster.harness.cluster import Cluster
from cluster.harness.processes import Process
from cluster.planes import eventually, free_address
from pure.operator import golden_pods
from pure.operator.pods import SETTINGS, Json, pod

INJECTED = [name for name in golden_pods.NAMES if "pod" in golden_pods.golden(name)]
ASKING = {"pointsman.dev/inject": "true"}

CONFIGURATIONS = """
apiVersion: admissionregistration.k8s.io/v1
kind: MutatingWebhookConfiguration
metadata: {{name: {name}}}
webhooks:
- name: by-pod.inject.pointsman.dev
  clientConfig: {{url: "https://{address}/mutate-pods/by-pod"}}
  rules: [{{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods], scope: Namespaced}}]
  objectSelector: {{matchLabels: {{pointsman.dev/inject: "true"}}}}
  namespaceSelector:
    matchExpressions: [{{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, {name}]}}]
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
  timeoutSeconds: 5
- name: by-namespace.inject.pointsman.dev
  clientConfig: {{url: "https://{address}/mutate-pods/by-namespace"}}
  rules: [{{operations: [CREATE], apiGroups: [""], apiVersions: [v1], resources: [pods], scope: Namespaced}}]
  objectSelector:
    matchExpressions: [{{key: pointsman.dev/inject, operator: NotIn, values: ["true", "false"]}}]
  namespaceSelector:
    matchLabels: {{pointsman.dev/inject: "true"}}
    matchExpressions: [{{key: kubernetes.io/metadata.name, operator: NotIn, values: [kube-system, {name}]}}]
  failurePolicy: Fail
  sideEffects: None
  admissionReviewVersions: [v1]
  timeoutSeconds: 5
---
apiVersion: admissionregistration.k8s.io/v1
kind: ValidatingWebhookConfiguration
metadata: {{name: {name}}}
webhooks:
- name: validate.pointsman.dev
  clientConfig: {{url: "https://{address}/validate"}}
  rules:
  - operations: [CREATE, UPDATE]
    apiGroups: [pointsman.dev]
    apiVersions: [v1alpha1]
    resources: [modelproviders, modelroutingpolicies, tokenquotas]
  failurePolicy: Ignore
  sideEffects: None
  admissionReviewVersions: [v1]
  timeoutSeconds: 5
"""


@dataclass(kw_only=True)
class Operator:
    """An operator that serves the webhooks at one address, however often it is started."""

    cluster: Cluster
    namespace: str
    kubeconfig: Path
    address: str
    folder: Path
    _process: Process | None = None
    _starts: int = field(default=0)

    def start(self) -> None:
        """Start it, and wait until it is ready."""
        self._starts += 1
        log = self.folder / f"operator-{self._starts}.log"
        kinds = ("mutatingwebhookconfigurations", "validatingwebhookconfigurations")
        arguments = {
            "kubeconfig": self.kubeconfig,
            "namespace": self.namespace,
            "listen": "127.0.0.1:0",
            "metrics-listen": "127.0.0.1:0",
            "webhook-listen": self.address,
            "webhook-configurations": ",".join(f"{kind}/{self.namespace}" for kind in kinds),
            "sidecar-image": SETTINGS.image,
            "sidecar-operator": SETTINGS.operator,
            "sidecar-after": ",".join(SETTINGS.after),
        }
        self._process = Process(
            "pointsman-operator",
            [sys.executable, "-m", "pointsman_operator", *(f"--{name}={value}" for name, value in arguments.items())],
            log=log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        self._process.wait_until_ready(lambda: '"event": "ready"' in log.read_text(), seconds=30)

    def stop(self) -> None:
        """Stop it."""
        if self._process is not None:
            self._process.stop()

    def bundles(self) -> set[str]:
        """The CAs that the API server trusts for our webhooks; an empty one where it was told none."""
        found = [
            json.loads(self.cluster.kubectl("get", f"{kind}webhookconfiguration/{self.namespace}", "-o", "json").stdout)
            for kind in ("mutating", "validating")
        ]
        encoded = [webhook["clientConfig"].get("caBundle", "") for each in found for webhook in each["webhooks"]]
        return {base64.b64decode(each).decode() for each in encoded}


@pytest.fixture(scope="module")
def operator(
    cluster: Cluster,
    crds: None,  # noqa: ARG001 - served before they are needed
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[Operator]:
    """An operator whose webhooks the API server calls."""
    if cluster.api_server is None:
        pytest.skip("an API server that is not on this machine cannot call what listens on its loopback")
    namespace = cluster.namespace("pointsman-system")
    made = Operator(
        cluster=cluster,
        namespace=namespace,
        kubeconfig=cluster.kubeconfig_for("operator", namespace=namespace),
        address=free_address(),
        folder=tmp_path_factory.mktemp("operator"),
    )
    cluster.apply(rights(namespace=namespace))
    cluster.apply(CONFIGURATIONS.format(name=namespace, address=f"localhost:{made.address.rpartition(':')[2]}"))
    webhooks = [f"{kind}webhookconfiguration/{namespace}" for kind in ("mutating", "validating")]
    cluster.delete_at_end(f"clusterrole/{namespace}", f"clusterrolebinding/{namespace}")
    try:
        made.start()
        eventually(lambda: "" not in made.bundles(), "a webhook has no caBundle")
        called(cluster)
        yield made
    finally:
        made.stop()
        # At once, and not at the end of the run: nobody answers any more, and other tests create things too.
        cluster.kubectl("delete", *webhooks)


def called(cluster: Cluster) -> None:
    """Wait until the API server calls the webhooks and trusts them."""
    namespace = cluster.namespace("called")

    def injects() -> bool:
        return "pointsman-sidecar" in create(cluster, pod(), namespace, "--dry-run=server", "-o=json").stdout

    eventually(injects, "the API server does not call the webhook")


def create(cluster: Cluster, value: Json, namespace: str, *options: str) -> CompletedProcess[str]:
    """`kubectl create` an object; a refusal is returned."""
    value = {"apiVersion": "v1", "kind": "Pod", **value}
    value["metadata"] = {key: each for key, each in value["metadata"].items() if key != "namespace"}
    # As an admission plugin does that this tier's API server runs without; it does so before any webhook is asked.
    value["spec"] = {"serviceAccountName": "default", **value["spec"]}
    return cluster.kubectl("create", "-n", namespace, "-f", "-", *options, stdin=json.dumps(value), check=False)


def created(cluster: Cluster, value: Json, namespace: str) -> Json:
    """Create a pod, and return it as it is stored."""
    done = create(cluster, value, namespace, "-o=json")
    assert done.returncode == 0, done.stderr
    name = json.loads(done.stdout)["metadata"]["name"]
    stored: Json = json.loads(cluster.kubectl("get", "pod", name, "-n", namespace, "-o", "json").stdout)
    return stored


def differences(golden: Any, stored: Any, at: str = "") -> list[str]:
    """Where a stored object differs from what its golden file says; what the API server fills in is no difference."""
    if isinstance(golden, dict) and isinstance(stored, dict):
        return [each for key in golden for each in differences(golden[key], stored.get(key), f"{at}.{key}")]
    if isinstance(golden, list) and isinstance(stored, list) and len(golden) == len(stored):
        pairs = enumerate(zip(golden, stored, strict=True))
        return [each for index, (one, other) in pairs for each in differences(one, other, f"{at}[{index}]")]
    return [] if golden == stored else [f"{at}: {golden!r}, and not {stored!r}"]


@pytest.mark.parametrize("name", INJECTED)
def test_the_api_server_accepts_the_injected_pod_and_stores_it_as_its_golden_file_says(
    operator: Operator, cluster: Cluster, name: str
) -> None:
    given, expected = golden_pods.case(name), golden_pods.golden(name)["pod"]
    del expected["metadata"]["annotations"]["pointsman.dev/injection"]  # covers the CA, which is this run's own
    (bundle,) = operator.bundles()
    expected = json.loads(json.dumps(expected).replace(json.dumps(SETTINGS.operator_ca), json.dumps(bundle)))

    stored = created(cluster, given["pod"], cluster.namespace("shop", given.get("namespaceLabels")))

    assert differences(expected, stored) == []


def test_the_injected_pod_passes_where_the_restricted_standard_is_enforced(
    operator: Operator,  # noqa: ARG001 - called by the API server
    cluster: Cluster,
) -> None:
    namespace = cluster.namespace("shop", {"pod-security.kubernetes.io/enforce": "restricted"})
    security = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    app = {"name": "web", "image": "web", "securityContext": security}

    stored = created(
        cluster,
        pod(
            containers=[app],
            securityContext={"runAsUser": 1000, "runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
        ),
        namespace,
    )

    assert stored["metadata"]["labels"]["pointsman.dev/injected"] == "true"


def test_kubectl_shows_why_a_pod_is_refused_and_what_of_it_was_kept(operator: Operator, cluster: Cluster) -> None:
    del operator
    namespace = cluster.namespace("shop")
    refused = create(cluster, pod(hostNetwork=True), namespace)
    own = [{"name": "POINTSMAN_ADDRESS", "value": "gateway:1"}]
    warned = create(cluster, pod(containers=[{"name": "web", "image": "web", "env": own}]), namespace)

    assert refused.returncode != 0
    assert 'admission webhook "by-pod.inject.pointsman.dev" denied the request: the pod is on its' in refused.stderr
    assert warned.returncode == 0
    assert "Warning: container web sets POINTSMAN_ADDRESS itself, which is kept" in warned.stderr


def test_while_the_webhooks_are_away_only_pods_that_ask_are_held_back(operator: Operator, cluster: Cluster) -> None:
    quiet, asking = cluster.namespace("quiet"), cluster.namespace("asking", ASKING)
    operator.stop()
    try:
        held_back = [create(cluster, pod(), quiet), create(cluster, pod(labels={}), asking)]
        plain = created(cluster, pod(labels={"app": "web"}), quiet)
        declining = created(cluster, pod(labels={"pointsman.dev/inject": "false"}), asking)
        in_system = created(cluster, pod(), operator.namespace)
        policy = apply_policy(cluster, quiet, selector={"matchLabels": {"app": "-web-"}})
    finally:
        operator.start()
        called(cluster)

    for each in held_back:
        assert each.returncode != 0
        assert "failed calling webhook" in each.stderr
    for stored in (plain, declining, in_system):
        assert "initContainers" not in stored["spec"]
        assert "pointsman.dev/injected" not in stored["metadata"]["labels"]
    # Its condition says what the webhook would have said.
    assert policy.returncode == 0, policy.stderr
    assert created(cluster, {**pod(labels={}), "metadata": {"name": "later"}}, asking)["spec"]["initContainers"]


def test_a_policy_that_nothing_else_can_mend_is_refused_as_its_schema_would_refuse_it(
    operator: Operator,  # noqa: ARG001 - called by the API server
    cluster: Cluster,
) -> None:
    refused = apply_policy(cluster, cluster.namespace("shop"), selector={"matchLabels": {"app": "-web-"}})

    assert refused.returncode != 0
    assert 'The ModelRoutingPolicy "support" is invalid: spec.selector.matchLabels[app]: ' in refused.stderr
    assert "'-web-' cannot be the value of a label" in refused.stderr


def test_a_policy_that_waits_for_its_provider_is_stored_with_a_warning(
    operator: Operator,  # noqa: ARG001 - called by the API server
    cluster: Cluster,
) -> None:
    warned = apply_policy(cluster, cluster.namespace("shop"))

    assert warned.returncode == 0, warned.stderr
    assert (
        "Warning: not ready: ProviderNotFound: spec.models[0].providerRef: there is no ModelProvider nobody"
        in warned.stderr
    )


def test_a_quota_whose_time_zone_or_currency_cannot_be_is_refused(
    operator: Operator,  # noqa: ARG001 - called by the API server
    cluster: Cluster,
) -> None:
    namespace, name = cluster.namespace("shop"), cluster.unique("openai")
    price = {"currency": "USD", "input": "0.15", "output": "0.60"}
    offered = {"name": "gpt-4o-mini", "price": price, "contextWindow": 128000, "maxOutputTokens": 16384}
    provider = {"allowedNamespaces": {"from": "All"}, "models": [offered]}
    apply(cluster, "ModelProvider", name, spec=provider)
    cluster.delete_at_end(f"modelprovider/{name}")
    money = {"cost": {"amount": "50.00", "currency": "EUR"}}
    models = [{"providerRef": {"name": name}, "model": "gpt-4o-mini"}]

    def quota(**spec: object) -> CompletedProcess[str]:
        return apply(cluster, "TokenQuota", "month", namespace=namespace, spec={"window": "Day", **spec})

    # The provider reaches the operator by its watch.
    deadline = time.monotonic() + 15
    while (currencies := quota(limit=money, models=models)).returncode == 0 and time.monotonic() < deadline:
        cluster.kubectl("delete", "tokenquota", "month", "-n", namespace)
    zone = quota(limit={"tokens": 5}, timeZone="Europe/Atlantis")

    assert 'The TokenQuota "month" is invalid: spec.models[0]: ' in currencies.stderr
    assert "money in two currencies cannot be added; give the model a quota of its own" in currencies.stderr
    assert 'The TokenQuota "month" is invalid: spec.timeZone: there is no time zone' in zone.stderr


def apply(
    cluster: Cluster, kind: str, name: str, *, spec: object, namespace: str | None = None
) -> CompletedProcess[str]:
    """Apply one of our resources; a refusal is returned."""
    value = {"apiVersion": "pointsman.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    return cluster.apply(json.dumps(value), namespace=namespace, check=False)


def apply_policy(cluster: Cluster, namespace: str, **spec: object) -> CompletedProcess[str]:
    """Apply a policy whose provider there is not."""
    models = [{"name": "mini", "providerRef": {"name": "nobody"}, "model": "gpt-4o-mini"}]
    given = {"models": models, "defaultModel": "mini", **spec}
    return apply(cluster, "ModelRoutingPolicy", "support", namespace=namespace, spec=given)
