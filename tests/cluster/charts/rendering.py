"""What the chart renders for the value sets that matter, and the golden files that show it.

A golden file of a set holds the documents that differ from the default's, and names those that are gone.
`PYTHONPATH=tests python -m cluster.charts.rendering` writes them anew.
"""

import os
import re
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from subprocess import CompletedProcess
from typing import Any

import yaml

from cluster.harness.binaries import NODE_TIER, Binaries, BinariesError, build, locate, report_on_stderr
from cluster.harness.node.helm import Helm

ROOT = Path(__file__).resolve().parents[3]
CHART = ROOT / "charts" / "pointsman"
CRD_CHART = ROOT / "charts" / "pointsman-crds"
GOLDENS = ROOT / "tests" / "golden" / "charts"
RELEASE, NAMESPACE = "pointsman", "pointsman-system"
# The oldest that the chart takes, so that nothing newer is relied on unseen.
KUBERNETES = "1.29.0"
# What a dashboard's ConfigMap holds: the very file, which a golden one need not repeat.
DASHBOARD = re.compile(r"^(  [a-z-]+\.json: \|\n)(?:    .*\n)+", re.MULTILINE)

_PROVIDER = {
    "auth": [{"secretKeyRef": {"name": "openai", "key": "api-key"}}],
    "allowedNamespaces": {"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}},
    "models": [
        {
            "name": "gpt-4o-mini",
            "price": {"currency": "USD", "input": "0.15", "output": "0.60"},
            "contextWindow": 128000,
            "maxOutputTokens": 16384,
        }
    ],
}


@dataclass(frozen=True, kw_only=True)
class ValueSet:
    """Values, and what Helm has to be told to render them without a cluster."""

    values: Mapping[str, Any] = field(default_factory=dict)
    kinds: tuple[str, ...] = ()
    """Kinds that the cluster must know beside Kubernetes' own."""
    arguments: tuple[str, ...] = ()


SETS: dict[str, ValueSet] = {
    "default": ValueSet(),
    "redis": ValueSet(
        values={
            "ledger": {
                "redis": {
                    "url": "rediss://ledger@redis.example:6380/2",
                    "passwordSecretName": "redis",
                    "tlsSecretName": "redis-certificate",
                    "trustDurability": True,
                    "awaitImport": True,
                }
            }
        },
    ),
    "own-certificate": ValueSet(values={"tls": {"secretName": "pointsman-certificate"}}),
    "cert-manager": ValueSet(
        values={"tls": {"certManager": {"enabled": True, "issuerRef": {"name": "internal", "kind": "ClusterIssuer"}}}},
        kinds=("cert-manager.io/v1/Certificate",),
    ),
    "no-webhooks": ValueSet(values={"injection": {"enabled": False}, "validation": {"enabled": False}}),
    "monitoring": ValueSet(
        values={
            "monitoring": {
                "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
                "podMonitor": {"enabled": True, "interval": "15s"},
            }
        },
        kinds=("monitoring.coreos.com/v1/ServiceMonitor", "monitoring.coreos.com/v1/PodMonitor"),
    ),
    "dashboards": ValueSet(
        values={
            "monitoring": {"dashboards": {"enabled": True, "annotations": {"grafana_folder": "Pointsman"}}},
        }
    ),
    "no-network-policy": ValueSet(values={"networkPolicy": {"enabled": False}}),
    "providers": ValueSet(values={"providers": {"openai": _PROVIDER}}, kinds=("pointsman.dev/v1alpha1/ModelProvider",)),
    "placed": ValueSet(
        values={
            "fullnameOverride": "router",
            "image": {"repository": "registry.example/pointsman-operator", "digest": f"sha256:{'0' * 64}"},
            "imagePullSecrets": [{"name": "registry"}],
            "podLabels": {"team": "platform"},
            "podAnnotations": {"example.com/note": "seen"},
            "priorityClassName": "system-cluster-critical",
            "nodeSelector": {"kubernetes.io/os": "linux"},
            "tolerations": [{"key": "dedicated", "operator": "Exists", "effect": "NoSchedule"}],
            "affinity": {"nodeAffinity": {}},
            "sidecar": {"after": ["istio-proxy"]},
            "serviceAccount": {"create": False, "name": "given"},
            "rbac": {"aggregate": False},
        }
    ),
    "one-replica": ValueSet(values={"replicas": 1}),
}


def helm_binaries() -> Binaries:
    """Where the tests' Helm is, or will be once built."""
    (module,) = (each for each in NODE_TIER if each.name == "helm")
    return locate(os.environ, module)


def rendered(helm: Helm, value_set: ValueSet, *, name: str = RELEASE, namespace: str = NAMESPACE) -> str:
    """The chart's manifests."""
    arguments = [*value_set.arguments, *(f"--api-versions={kind}" for kind in value_set.kinds)]
    return template(helm, CHART, values=value_set.values, name=name, namespace=namespace, arguments=arguments).stdout


def template(
    helm: Helm,
    chart: Path,
    *,
    values: Mapping[str, Any],
    name: str = RELEASE,
    namespace: str = NAMESPACE,
    arguments: Sequence[str] = (),
    check: bool = True,
) -> CompletedProcess[str]:
    """`helm template`; with `check` off a refusal is returned instead of raised."""
    with tempfile.NamedTemporaryFile("w", suffix=".yaml") as file:
        yaml.safe_dump(dict(values), file)
        file.flush()
        common = [f"--namespace={namespace}", f"--values={file.name}"]
        if not any(each.startswith("--kube-version") for each in arguments):
            common.append(f"--kube-version={KUBERNETES}")
        return helm("template", name, chart, *common, *arguments, check=check)


def documents(text: str) -> dict[str, str]:
    """The documents of a rendering, by kind and name."""
    found = {}
    for part in text.split("---\n"):
        if value := yaml.safe_load(part):
            found[f"{value['kind']}/{value['metadata']['name']}"] = part
    return found


def golden_path(name: str) -> Path:
    """Where the golden file of a set is."""
    return GOLDENS / f"{name}.yaml"


def golden(text: str, *, default: str | None) -> str:
    """What the golden file of a set holds."""
    text = DASHBOARD.sub(r"\1    # as in the chart's folder dashboards\n", text)
    if default is None:
        return text
    ours, theirs = documents(text), documents(default)
    gone = [f"# without {name}\n" for name in theirs if name not in ours]
    return "".join([*gone, *(f"---\n{part}" for name, part in ours.items() if theirs.get(name) != part)])


def main() -> None:
    """Write the golden files anew."""
    try:
        binaries = helm_binaries()
        build(binaries, os.environ, report=report_on_stderr)
    except BinariesError as error:
        sys.exit(f"no Helm: {error}")
    with tempfile.TemporaryDirectory() as folder:
        helm = Helm(binary=binaries.path("helm"), kubeconfig=Path(os.devnull), folder=Path(folder))
        default = rendered(helm, SETS["default"])
        GOLDENS.mkdir(parents=True, exist_ok=True)
        for left in GOLDENS.glob("*.yaml"):
            left.unlink()
        for name, value_set in SETS.items():
            text = golden(rendered(helm, value_set), default=None if name == "default" else default)
            golden_path(name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
