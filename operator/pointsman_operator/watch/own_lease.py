"""The Lease of the operator's own namespace that its replicas elect by."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pointsman_operator.election import LeaseConflictError, LeaseUnavailableError
from pointsman_operator.watch.cluster import Cluster, ClusterError

# Well within what is left of a Lease when it is time to renew it.
_SECONDS = 3.0
_LOST = {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}


class OwnLease:
    """What the election asks of the cluster."""

    def __init__(self, cluster: Cluster, *, namespace: str, name: str) -> None:
        self._cluster = cluster
        self._name = name
        self._path = f"/apis/coordination.k8s.io/v1/namespaces/{namespace}/leases"

    async def read(self) -> Mapping[str, Any] | None:
        """The Lease as it stands; None where there is none."""
        try:
            lease: Mapping[str, Any] = await self._cluster.ask("GET", f"{self._path}/{self._name}", seconds=_SECONDS)
        except ClusterError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise LeaseUnavailableError(str(error)) from error
        return lease

    async def create(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make it, and return it. Raise LeaseConflictError if it is there."""
        kind = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease"}
        body = {**content, **kind, "metadata": {**content["metadata"], "name": self._name}}
        try:
            lease: Mapping[str, Any] = await self._cluster.ask("POST", self._path, body=body, seconds=_SECONDS)
        except ClusterError as error:
            # Not where the namespace is not found, which no other look will mend.
            if error.status == HTTPStatus.CONFLICT:
                raise LeaseConflictError(str(error)) from error
            raise LeaseUnavailableError(str(error)) from error
        return lease

    async def write(self, content: Mapping[str, Any], *, resource_version: str) -> Mapping[str, Any]:
        """Change it, only if it is still of this version, and return it. Raise LeaseConflictError if it is not."""
        body = {**content, "metadata": {**content["metadata"], "resourceVersion": resource_version}}
        path = f"{self._path}/{self._name}"
        try:
            lease: Mapping[str, Any] = await self._cluster.ask("PATCH", path, body=body, seconds=_SECONDS)
        except ClusterError as error:
            if error.status in _LOST:
                raise LeaseConflictError(str(error)) from error
            raise LeaseUnavailableError(str(error)) from error
        return lease
