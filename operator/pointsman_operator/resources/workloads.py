"""Which workload a pod belongs to, from its metadata alone: whatever controls it, by what outlives its pods.

A ReplicaSet is made anew for every change of a Deployment's pods, and a Job for every run of a CronJob. A budget of
theirs would begin anew as often, so that the name of what made them is taken: theirs is its name and a known suffix.
"""

import re
import sys
from collections.abc import Mapping
from typing import Any

# The label that repeats the suffix of a ReplicaSet's name, and what puts it there.
_HASHES = {"pod-template-hash": "Deployment", "rollouts-pod-template-hash": "Rollout"}
# A CronJob's Jobs end with the minute that they were due, counted from 1970: eight digits until 2160.
_RUN = re.compile(r"(?P<name>.+)-[0-9]{8}")


def workload_of(metadata: Mapping[str, Any]) -> str:
    """The workload as Kind/name, such as Deployment/web; of a pod that nothing controls, the pod."""
    controller = next((each for each in metadata.get("ownerReferences") or () if each.get("controller")), None)
    if controller is None:
        return sys.intern(f"Pod/{metadata.get('name', '')}")
    kind, name = str(controller.get("kind", "")), str(controller.get("name", ""))
    labels = metadata.get("labels") or {}
    match kind:
        case "ReplicaSet":
            for label, maker in _HASHES.items():
                suffix = f"-{labels.get(label)}"
                if name.endswith(suffix) and name != suffix:
                    kind, name = maker, name.removesuffix(suffix)
                    break
        case "Job":
            if run := _RUN.fullmatch(name):
                kind, name = "CronJob", run["name"]
    return sys.intern(f"{kind}/{name}")
