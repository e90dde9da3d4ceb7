"""A Lease as Kubernetes has it, as far as it matters here: pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

# Where the holder can be reached by the other replicas. The Lease's own fields have no place for it.
ADDRESS_ANNOTATION = "pointsman.dev/address"


@dataclass(frozen=True, kw_only=True)
class Holder:
    """A replica: its name, which no other ever has, and HOST:PORT where the others reach it."""

    name: str
    address: str


@dataclass(frozen=True, kw_only=True)
class Record:
    """A Lease. `holder` is None where nobody has it; `duration` is in seconds."""

    holder: Holder | None
    duration: float
    acquired: str
    transitions: int
    version: str


def read_lease(lease: Mapping[str, Any]) -> Record:
    """The record of a Lease, whoever wrote it: what is missing counts as given up."""
    metadata = lease.get("metadata") or {}
    spec = lease.get("spec") or {}
    name = str(spec.get("holderIdentity") or "")
    address = str((metadata.get("annotations") or {}).get(ADDRESS_ANNOTATION) or "")
    return Record(
        holder=Holder(name=name, address=address) if name else None,
        duration=float(spec.get("leaseDurationSeconds") or 0),
        acquired=str(spec.get("acquireTime") or ""),
        transitions=int(spec.get("leaseTransitions") or 0),
        version=str(metadata.get("resourceVersion") or ""),
    )


def held(me: Holder, *, before: Record | None, duration: float, now: datetime) -> dict[str, Any]:
    """What a Lease is to say that is, or stays, this replica's."""
    stays = before is not None and before.holder is not None and before.holder.name == me.name
    transitions = 0 if before is None else before.transitions + (not stays)
    return {
        "metadata": {"annotations": {ADDRESS_ANNOTATION: me.address}},
        "spec": {
            "holderIdentity": me.name,
            "leaseDurationSeconds": round(duration),
            "acquireTime": before.acquired if stays and before is not None else _micro_time(now),
            "renewTime": _micro_time(now),
            "leaseTransitions": transitions,
        },
    }


def given_up(*, before: Record, now: datetime) -> dict[str, Any]:
    """What a Lease is to say that its holder gives up: anybody may take it at once."""
    return {
        "metadata": {"annotations": {ADDRESS_ANNOTATION: None}},
        "spec": {
            "holderIdentity": "",
            "leaseDurationSeconds": 1,
            "renewTime": _micro_time(now),
            "leaseTransitions": before.transitions,
        },
    }


def _micro_time(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
