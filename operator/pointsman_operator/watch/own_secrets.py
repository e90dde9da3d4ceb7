"""Secrets of the operator's own namespace, read and written one by one."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pointsman_operator.tls import SecretConflictError, SecretUnavailableError
from pointsman_operator.watch.cluster import Cluster, ClusterError

_LABELS = {"app.kubernetes.io/managed-by": "pointsman-operator", "app.kubernetes.io/part-of": "pointsman"}


class OwnSecrets:
    """What the CA asks of the cluster."""

    def __init__(self, cluster: Cluster, *, namespace: str) -> None:
        self._cluster = cluster
        self._path = f"/api/v1/namespaces/{namespace}/secrets"

    async def read_secret(self, name: str) -> Mapping[str, Any] | None:
        """The Secret as it stands; None where there is none."""
        try:
            secret: Mapping[str, Any] = await self._cluster.ask("GET", f"{self._path}/{name}")
        except ClusterError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise SecretUnavailableError(str(error)) from error
        return secret

    async def create_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Make it. Raise SecretConflictError if it is there."""
        metadata = {"name": name, "labels": _LABELS}
        body = {"apiVersion": "v1", "kind": "Secret", "metadata": metadata, "type": "Opaque", "data": data}
        await self._write("POST", self._path, body)

    async def write_secret(self, name: str, data: Mapping[str, str | None], *, resource_version: str) -> None:
        """Set these entries, and remove those that are None. Raise SecretConflictError if it has changed or gone."""
        body = {"metadata": {"resourceVersion": resource_version}, "data": data}
        await self._write("PATCH", f"{self._path}/{name}", body)

    async def _write(self, method: str, path: str, body: Mapping[str, Any]) -> None:
        try:
            await self._cluster.ask(method, path, body=body)
        except ClusterError as error:
            if error.status in {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}:
                raise SecretConflictError(str(error)) from error
            raise SecretUnavailableError(str(error)) from error
