"""Pods as tests write them: a few lines of YAML around the lines that matter, as safe as the strictest rules ask for.

Knows kubectl and nothing of what runs in a pod.
"""

import contextlib
import json
import textwrap
from collections.abc import Mapping

from cluster.harness.cluster import Cluster
from cluster.harness.processes import wait_until

RESTRICTED = {"pod-security.kubernetes.io/enforce": "restricted"}
# What Pod Security's `restricted` asks for, and a file system that cannot be written.
SAFE = (
    "securityContext: {allowPrivilegeEscalation: false, readOnlyRootFilesystem: true, runAsNonRoot: true, "
    "capabilities: {drop: [ALL]}, seccompProfile: {type: RuntimeDefault}}"
)


class PodError(Exception):
    """A pod has not done what it was made for; the message holds its log and what Kubernetes says of it."""


def container(name: str, image: str, *lines: str) -> str:
    """One entry of a pod's containers."""
    return "\n  ".join([f"- name: {name}", f"image: {image}", "imagePullPolicy: IfNotPresent", SAFE, *lines])


def python(code: str) -> str:
    """The line of a container that runs this Python instead of what its image runs."""
    return f"command: [python3, -c, {json.dumps(textwrap.dedent(code).strip())}]"


def pod(name: str, spec: str, *, labels: Mapping[str, str] | None = None) -> str:
    """A pod; its spec is YAML at the margin. What tests run in pods ignores SIGTERM, so its end is not awaited."""
    metadata = json.dumps({"name": name, "labels": {"app": name, **(labels or {})}})
    head = f"apiVersion: v1\nkind: Pod\nmetadata: {metadata}\nspec:\n"
    return head + textwrap.indent(f"terminationGracePeriodSeconds: 1\n{spec}", "  ")


def wait_ready(cluster: Cluster, namespace: str, name: str, *, seconds: int = 60) -> None:
    """Wait until a pod is ready."""
    wait = ("wait", "--for=condition=Ready", f"--timeout={seconds}s")
    cluster.kubectl(*wait, f"pod/{name}", "-n", namespace, seconds=seconds + 5)


def output_of(
    cluster: Cluster,
    namespace: str,
    spec: str,
    *,
    name: str = "once",
    labels: Mapping[str, str] | None = None,
    seconds: int = 60,
) -> str:
    """Run a pod to its successful end, and return what its container wrote; raise PodError if it fails or hangs."""
    cluster.apply(pod(name, f"restartPolicy: Never\n{spec}", labels=labels), namespace=namespace)
    here = (name, "-n", namespace)
    phase = ""

    def ended() -> bool:
        nonlocal phase
        phase = cluster.kubectl("get", "pod", *here, "-o", "jsonpath={.status.phase}").stdout
        return phase in {"Succeeded", "Failed"}

    with contextlib.suppress(TimeoutError):
        wait_until(ended, seconds=seconds, what=f"pod {name} has ended")
    said = cluster.kubectl("logs", *here, check=False).stdout
    if phase != "Succeeded":
        described = cluster.kubectl("describe", "pod", *here).stdout
        raise PodError(f"pod {name} is {phase}, not Succeeded. Its log:\n{said}\n{described}")
    return said
