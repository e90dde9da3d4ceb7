"""What there is in the cluster: pure."""

import json
from collections.abc import Iterator
from typing import Any

from pointsman_operator.inject import CPU, MEMORY, SidecarSettings, patch, read_allowance
from pointsman_operator.inject.injection import Injected

Json = dict[str, Any]

API = "pointsman.dev/v1alpha1"
FLEET_NAMESPACE = "fleet"
FLEET_POLICY = "fleet"
PROVIDER = "bench"
ACCOUNT = "app"
_PER_NAMESPACE = 20  # policies, beside twice as many pods
_SIDECAR = SidecarSettings(
    image="registry.example/pointsman-sidecar:0.1.0",
    pull_policy="IfNotPresent",
    operator="pointsman-operator.pointsman-system.svc:9443",
    audience="pointsman.dev",
    operator_ca="-----BEGIN CERTIFICATE-----\n" + "MIIB" * 150 + "\n-----END CERTIFICATE-----\n",
    cpu=read_allowance("50m/1", CPU),
    memory=read_allowance("128Mi/256Mi", MEMORY),
    after=(),
)


def provider(*, secret: str) -> Json:
    """A provider of two models, with a key."""
    models = [
        {
            "name": name,
            "price": {"currency": "USD", "input": price, "output": price},
            "contextWindow": 128_000,
            "maxOutputTokens": 16_384,
            "features": ["Tools", "JSONSchema"],
        }
        for name, price in (("small", "0.15"), ("large", "2.50"))
    ]
    spec = {
        "baseURL": "https://provider.example/v1",
        "auth": [{"secretKeyRef": {"name": secret, "key": "key"}}],
        "allowedNamespaces": {"from": "All"},
        "models": models,
    }
    return {"apiVersion": API, "kind": "ModelProvider", "metadata": {"name": PROVIDER}, "spec": spec}


def policy(name: str, *, namespace: str, selector: Json | None, revision: int = 0) -> Json:
    """A policy with a few routes; each revision of it is another snapshot."""
    models = [{"name": model, "providerRef": {"name": PROVIDER}, "model": model} for model in ("small", "large")]
    spec: Json = {
        "models": models,
        "defaultModel": "small",
        "routes": [
            {"name": "urgent", "when": {"severity": {"in": ["High"]}}, "model": "large"},
            {"name": f"revision-{revision}", "when": {"severity": {"in": ["Low"]}}, "model": "small"},
        ],
        "resilience": {"fallbacks": ["large"]},
    }
    if selector is not None:
        spec["selector"] = selector
    metadata = {"name": name, "namespace": namespace}
    return {"apiVersion": API, "kind": "ModelRoutingPolicy", "metadata": metadata, "spec": spec}


def revised(revision: int) -> Json:
    """The merge patch that makes another revision of any policy."""
    return {"spec": policy("", namespace="", selector=None, revision=revision)["spec"]}


def namespaces(policies: int) -> list[str]:
    """The namespaces that so many policies are in."""
    return [f"team-{number:03}" for number in range(-(-policies // _PER_NAMESPACE))]


def policies(first: int, last: int) -> Iterator[Json]:
    """Policies of other namespaces than the fleet's, each with an app of its own."""
    for number in range(first, last):
        namespace = f"team-{number // _PER_NAMESPACE:03}"
        app = f"app-{number % _PER_NAMESPACE:02}"
        yield policy(app, namespace=namespace, selector={"matchLabels": {"app": app}})


def fleet_pods(count: int) -> Iterator[Json]:
    """The pods whose sidecars are connected."""
    return (injected_pod(f"fleet-{number:05}", namespace=FLEET_NAMESPACE, app="fleet") for number in range(count))


def other_pods(count: int, *, policies: int) -> Iterator[Json]:
    """Injected pods of the other policies."""
    for number in range(count):
        of = number % policies
        namespace, app = f"team-{of // _PER_NAMESPACE:03}", f"app-{of % _PER_NAMESPACE:02}"
        yield injected_pod(f"{app}-{number:05}", namespace=namespace, app=app)


def injected_pod(name: str, *, namespace: str, app: str) -> Json:
    """A pod as it is after injection, with what a Deployment's pod usually carries."""
    return _applied(asking_pod(name, namespace=namespace, app=app))


def asking_pod(name: str, *, namespace: str, app: str) -> Json:
    """A pod that asks for a sidecar."""
    labels = {
        "app": app,
        "app.kubernetes.io/name": app,
        "pod-template-hash": "5d4f8c7b9",
        "pointsman.dev/inject": "true",
    }
    probe = {"httpGet": {"path": "/healthz", "port": 8080}, "periodSeconds": 10}
    container = {
        "name": "app",
        "image": "registry.example/app:1.2.3",
        "ports": [{"containerPort": 8080, "name": "http"}],
        "env": [{"name": f"SETTING_{number}", "value": "a value of some length"} for number in range(8)],
        "resources": {"requests": {"cpu": "100m", "memory": "128Mi"}, "limits": {"memory": "256Mi"}},
        "livenessProbe": probe,
        "readinessProbe": probe,
    }
    metadata = {"name": name, "namespace": namespace, "labels": labels}
    spec = {"serviceAccountName": ACCOUNT, "containers": [container]}
    return {"apiVersion": "v1", "kind": "Pod", "metadata": metadata, "spec": spec}


def review(uid: str) -> bytes:
    """What the API server asks of the webhook when such a pod is created."""
    pod = asking_pod("app-1", namespace="team-000", app="app-00")
    request = {
        "uid": uid,
        "kind": {"group": "", "version": "v1", "kind": "Pod"},
        "resource": {"group": "", "version": "v1", "resource": "pods"},
        "name": "app-1",
        "namespace": "team-000",
        "operation": "CREATE",
        "userInfo": {"username": "system:serviceaccount:kube-system:replicaset-controller"},
        "object": pod,
        "oldObject": None,
        "dryRun": False,
        "options": {"kind": "CreateOptions", "apiVersion": "meta.k8s.io/v1"},
    }
    return json.dumps({"kind": "AdmissionReview", "apiVersion": "admission.k8s.io/v1", "request": request}).encode()


def _applied(pod: Json) -> Json:
    outcome = patch(pod, namespace_labels={}, settings=_SIDECAR)
    if not isinstance(outcome, Injected):
        raise TypeError(f"the bench's own pod is not injected: {outcome}")
    for op in outcome.patch:
        *way, last = (step.replace("~1", "/").replace("~0", "~") for step in op["path"].split("/")[1:])
        place: Any = pod
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if not isinstance(place, list):
            place[last] = op["value"]
        elif last == "-":
            place.append(op["value"])
        else:
            place.insert(int(last), op["value"])
    return pod
