"""Events of events.k8s.io/v1: pure. One that is made again, such as by another replica, has the same name."""

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from pointsman_operator.resources.kinds import GROUP, VERSION, Kind
from pointsman_operator.resources.metadata import Metadata

CONTROLLER = "pointsman.dev/operator"
_LONGEST_NAME = 253
_LONGEST_NOTE = 1024
_SUFFIX = 16


@dataclass(frozen=True, kw_only=True, slots=True)
class Announcement:
    """Something that happened to an object."""

    reason: str
    action: str
    note: str
    type: Literal["Normal", "Warning"] = "Warning"


def event_of(
    announcement: Announcement, *, kind: Kind, metadata: Metadata, news: str, instance: str, now: datetime
) -> dict[str, Any]:
    """The Event. `news` tells this from other news of the same object; `instance` is who announces."""
    suffix = hashlib.sha256(f"{metadata.uid} {metadata.generation} {news}".encode()).hexdigest()[:_SUFFIX]
    name = metadata.name[: _LONGEST_NAME - _SUFFIX - 1].rstrip(".-")
    return {
        "apiVersion": "events.k8s.io/v1",
        "kind": "Event",
        "metadata": {"name": f"{name}.{suffix}", "namespace": metadata.namespace},
        "eventTime": now.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "reportingController": CONTROLLER,
        "reportingInstance": instance,
        "type": announcement.type,
        "reason": announcement.reason,
        "action": announcement.action,
        "note": announcement.note[:_LONGEST_NOTE],
        "regarding": {
            "apiVersion": f"{GROUP}/{VERSION}",
            "kind": kind.value,
            "namespace": metadata.namespace,
            "name": metadata.name,
            "uid": metadata.uid,
        },
    }
