"""What is added to a pod: the sidecar's container, its volumes, and what the app's containers are told."""

import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any, Final

from pointsman_operator.inject.allowances import Allowance
from pointsman_operator.inject.names import CONTAINER, STATE_VOLUME, TOKEN_VOLUME
from pointsman_operator.inject.overrides import Overrides

Json = dict[str, Any]

_USER: Final = 65532
_STATE_FOLDER: Final = "/var/lib/pointsman"
# Where Kubernetes would mount a token for its API, which the sidecar has no business with. What is mounted there
# already keeps it away: here a token that is good for the operator and for nothing else.
_TOKEN_FOLDER: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # noqa: S105 - a folder
_TOKEN_FILE: Final = "token"  # noqa: S105 - a file's name
BASE_URL: Final = "OPENAI_BASE_URL"
API_KEY: Final = "OPENAI_API_KEY"
_STATUS_PORT_NAME: Final = "pointsman-stats"  # a port's name has 15 characters at most


@dataclass(frozen=True, kw_only=True)
class SidecarSettings:
    """What is the same for every sidecar of an operator.

    `operator` is HOST:PORT as pods reach it, `audience` whom the sidecar's token is for, and `after` the names of other
    sidecars, such as a mesh's proxy, that must run before ours can reach anything. `operator_ca` is the PEM that the
    operator's certificate is checked by; it changes while the operator runs, so whoever injects fills it in.
    """

    image: str
    pull_policy: str
    operator: str
    audience: str
    cpu: Allowance
    memory: Allowance
    after: tuple[str, ...] = ()
    operator_ca: str = ""


def container(settings: SidecarSettings, overrides: Overrides) -> Json:
    """The sidecar's container."""
    cpu = overrides.cpu or settings.cpu
    memory = overrides.memory or settings.memory
    return {
        "name": CONTAINER,
        "image": settings.image,
        "imagePullPolicy": settings.pull_policy,
        # An init container with this starts before the app and ends after it, and keeps no Job from completing.
        "restartPolicy": "Always",
        "env": _env(settings, overrides),
        # The doors' ports are not listed: nothing outside of the pod reaches them, and scrapers try what is listed.
        "ports": [{"name": _STATUS_PORT_NAME, "containerPort": overrides.status_port, "protocol": "TCP"}],
        # The next container starts once this succeeds, which is a matter of the sidecar alone and not of the operator.
        "startupProbe": {**_ready(overrides), "periodSeconds": 1, "failureThreshold": 120},
        "readinessProbe": {**_ready(overrides), "periodSeconds": 5, "failureThreshold": 3},
        "resources": {
            "requests": {"cpu": cpu.request, "memory": memory.request},
            "limits": {"cpu": cpu.limit, "memory": memory.limit},
        },
        "securityContext": {
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "runAsNonRoot": True,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumeMounts": [
            {"name": STATE_VOLUME, "mountPath": _STATE_FOLDER},
            {"name": TOKEN_VOLUME, "mountPath": _TOKEN_FOLDER, "readOnly": True},
        ],
    }


def volumes(settings: SidecarSettings) -> list[Json]:
    """The sidecar's volumes, which no other container mounts."""
    token = {"audience": settings.audience, "expirationSeconds": 3600, "path": _TOKEN_FILE}
    return [
        {"name": STATE_VOLUME, "emptyDir": {"sizeLimit": "16Mi"}},
        {
            "name": TOKEN_VOLUME,
            "projected": {
                # Readable by all, which here is the sidecar alone. A stricter mode would leave the file to root in pods
                # whose containers run as several users and that set no fsGroup; in all others the kubelet narrows it.
                "defaultMode": 0o644,
                "sources": [{"serviceAccountToken": token}],
            },
        },
    ]


def app_env(overrides: Overrides) -> list[Json]:
    """What containers are told that can reach the sidecar: apps that know it, and those that know OpenAI alone."""
    return [
        {"name": "POINTSMAN_ADDRESS", "value": _door(overrides)},
        {"name": BASE_URL, "value": f"http://{_http_door(overrides)}/v1"},
        # OpenAI's clients do not start without one. Whatever it is, it ends at the sidecar.
        {"name": API_KEY, "value": "pointsman"},
    ]


def fingerprint(settings: SidecarSettings) -> str:
    """Short text that differs where a pod without overrides would be given anything else.

    But for the operator's CA: a running sidecar is told of another one, and its pod need not be made again for it.
    """
    settings = replace(settings, operator_ca="")
    given = [container(settings, Overrides()), volumes(settings), app_env(Overrides())]
    return hashlib.sha256(json.dumps(given, sort_keys=True).encode()).hexdigest()[:16]


def _env(settings: SidecarSettings, overrides: Overrides) -> list[Json]:
    values = {
        "POINTSMAN_OPERATOR": settings.operator,
        "POINTSMAN_OPERATOR_CA": settings.operator_ca,
        "POINTSMAN_TOKEN_FILE": f"{_TOKEN_FOLDER}/{_TOKEN_FILE}",
        "POINTSMAN_STATE_DIR": _STATE_FOLDER,
        "POINTSMAN_LISTEN": _door(overrides),
        "POINTSMAN_HTTP_LISTEN": _http_door(overrides),
        "POINTSMAN_STATUS_LISTEN": f"0.0.0.0:{overrides.status_port}",
        **({"POINTSMAN_LOG_LEVEL": overrides.log_level} if overrides.log_level else {}),
    }
    fields = {"POINTSMAN_NAMESPACE": "metadata.namespace", "POINTSMAN_POD": "metadata.name"}
    return [
        *({"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in fields.items()),
        *({"name": name, "value": value} for name, value in values.items()),
    ]


def _door(overrides: Overrides) -> str:
    return f"127.0.0.1:{overrides.grpc_port}"


def _http_door(overrides: Overrides) -> str:
    return f"127.0.0.1:{overrides.http_port}"


def _ready(overrides: Overrides) -> Json:
    # By number, since a name may be an app's port too.
    return {"httpGet": {"path": "/readyz", "port": overrides.status_port}, "timeoutSeconds": 2}
