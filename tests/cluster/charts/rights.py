"""The operator's rights as the chart grants them, read from the golden file: it takes no Helm to test them."""

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import yaml

from cluster.charts.rendering import RELEASE, documents, golden_path

Json = dict[str, Any]
_KINDS = ("ClusterRole", "ClusterRoleBinding", "Role", "RoleBinding")


@dataclass(frozen=True, kw_only=True)
class Right:
    """One verb on one resource, for the whole cluster or the operator's own namespace."""

    role: str
    group: str
    resource: str
    verb: str

    def __str__(self) -> str:
        where = "everywhere" if self.role == "ClusterRole" else "in its namespace"
        return f"{self.verb} {self.resource} {where}"


def rights(*, namespace: str, without: Right | None = None) -> str:
    """Manifests that give the service account `operator` of a namespace what the chart gives it, but for one right.

    Whatever is named after the release is named after the namespace, so that several can be in one cluster.
    """
    manifests = copy.deepcopy(_chart())
    for manifest in manifests:
        metadata = manifest["metadata"]
        metadata["name"] = namespace
        if "namespace" in metadata:
            metadata["namespace"] = namespace
        if "roleRef" in manifest:
            manifest["roleRef"]["name"] = namespace
            manifest["subjects"] = [{"kind": "ServiceAccount", "name": "operator", "namespace": namespace}]
        else:
            manifest["rules"] = [_renamed(rule, namespace) for rule in _rules(manifest, without)]
    return yaml.safe_dump_all(manifests)


def all_rights(values: str = "default") -> list[Right]:
    """Every right that the chart grants by a set of values, one by one."""
    return [
        Right(role=manifest["kind"], group=group, resource=resource, verb=verb)
        for manifest in _chart(values)
        for rule in manifest.get("rules", ())
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    ]


def _chart(values: str = "default") -> list[Json]:
    found = documents(golden_path(values).read_text(encoding="utf-8"))
    return [yaml.safe_load(found[f"{kind}/{RELEASE}"]) for kind in _KINDS if f"{kind}/{RELEASE}" in found]


def _renamed(rule: Json, namespace: str) -> Json:
    names = [namespace if name == RELEASE else name for name in rule.get("resourceNames", ())]
    return {**rule, "resourceNames": names} if names else rule


def _rules(manifest: Json, without: Right | None) -> Iterator[Json]:
    for rule in manifest["rules"]:
        for resource in rule["resources"]:
            verbs = [
                verb
                for verb in rule["verbs"]
                if without is None
                or (manifest["kind"], rule["apiGroups"], resource, verb)
                != (without.role, [without.group], without.resource, without.verb)
            ]
            if verbs:
                yield {**rule, "resources": [resource], "verbs": verbs}
