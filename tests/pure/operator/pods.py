"""Pods for tests of injection, and what a JSON patch makes of them."""

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from pointsman_operator.inject import CPU, MEMORY, SidecarSettings, read_allowance

Json = dict[str, Any]

SETTINGS = SidecarSettings(
    image="registry.example/pointsman-sidecar:0.1.0",
    pull_policy="IfNotPresent",
    operator="pointsman-operator.pointsman-system.svc:9443",
    audience="pointsman.dev",
    operator_ca="-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n",
    cpu=read_allowance("50m/1", CPU),
    memory=read_allowance("128Mi/256Mi", MEMORY),
    after=("istio-proxy",),
)


def pod(
    *,
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    containers: Iterable[Json] = ({"name": "web", "image": "web"},),
    **spec: Any,
) -> Json:
    """A pod that asks for the sidecar, unless its labels are given."""
    metadata: Json = {"name": "web-0", "namespace": "shop"}
    metadata["labels"] = {"pointsman.dev/inject": "true"} if labels is None else dict(labels)
    if annotations is not None:
        metadata["annotations"] = dict(annotations)
    return {"metadata": metadata, "spec": {"containers": list(containers), **spec}}


def patched(pod: Json, ops: Iterable[Json]) -> Json:
    """The pod after a patch that only adds, as RFC 6902 says."""
    changed = copy.deepcopy(pod)
    for op in copy.deepcopy(list(ops)):
        assert op["op"] == "add"
        *way, last = (step.replace("~1", "/").replace("~0", "~") for step in op["path"].split("/")[1:])
        place: Any = changed
        for step in way:
            place = place[int(step)] if isinstance(place, list) else place[step]
        if isinstance(place, list):
            assert 0 <= int(last) <= len(place)
            place.insert(int(last), op["value"])
        else:
            place[last] = op["value"]
    return changed
