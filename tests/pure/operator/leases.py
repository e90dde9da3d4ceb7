"""A Lease as the API server keeps it, and replicas that want it, on a clock that tests move."""

import asyncio
import copy
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from prometheus_client import CollectorRegistry

from pointsman_operator.election import Elector, Holder, LeaseConflictError, LeaseUnavailableError
from pure.operator.objects import Json

DURATION = 15.0


@dataclass
class Clock:
    """Seconds since anything."""

    now: float = 1000.0

    def __call__(self) -> float:
        """The time."""
        return self.now


@dataclass
class Lease:
    """Compare-and-swap, as the API server does it; out of reach while `away`."""

    content: Json | None = None
    away: bool = False
    writes: int = 0
    denied: set[str] = field(default_factory=set)

    async def read(self) -> Mapping[str, Any] | None:
        """The Lease as it stands."""
        self._reach()
        return copy.deepcopy(self.content)

    async def create(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make it."""
        self._reach()
        if self.content is not None:
            raise LeaseConflictError("it is there")
        return self._store({}, content)

    async def write(self, content: Mapping[str, Any], *, resource_version: str) -> Mapping[str, Any]:
        """Change it."""
        self._reach()
        if self.content is None or self.content["metadata"]["resourceVersion"] != resource_version:
            raise LeaseConflictError("it has changed")
        return self._store(self.content, content)

    def _reach(self) -> None:
        if self.away:
            raise LeaseUnavailableError("no route to host")

    def _store(self, before: Json, content: Mapping[str, Any]) -> Mapping[str, Any]:
        self.writes += 1
        annotations = {
            **before.get("metadata", {}).get("annotations", {}),
            **content["metadata"].get("annotations", {}),
        }
        self.content = {
            "metadata": {
                "resourceVersion": str(self.writes),
                "annotations": {name: value for name, value in annotations.items() if value is not None},
            },
            "spec": {**before.get("spec", {}), **content["spec"]},
        }
        return copy.deepcopy(self.content)


def elector(lease: Lease, clock: Clock, name: str = "a") -> Elector:
    """A replica of this name that wants the Lease."""

    async def sleep(seconds: float) -> None:
        clock.now += seconds
        await asyncio.sleep(0)

    return Elector(
        lease,
        me=Holder(name=name, address=f"{name}:9443"),
        duration=DURATION,
        clock=clock,
        now=lambda: datetime.fromtimestamp(clock.now, UTC),
        random=lambda: 0.5,
        registry=CollectorRegistry(),
        sleep=sleep,
    )
