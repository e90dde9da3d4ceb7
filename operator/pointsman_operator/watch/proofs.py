"""Tokens reviewed and pods looked up by the API server."""

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from pointsman_operator.identity import ProofUnavailableError
from pointsman_operator.resources import MalformedObjectError, Pod, parse_pod
from pointsman_operator.watch.cluster import METADATA_ONLY, Cluster, ClusterError

_REVIEWS = "/apis/authentication.k8s.io/v1/tokenreviews"
# Sidecars wait for the answer; they are better off trying again than waiting long.
_SECONDS = 5.0


class ClusterProofs:
    """What identity asks of the cluster."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster

    async def review(self, token: str, *, audience: str) -> Mapping[str, Any]:
        """The status of a TokenReview."""
        body = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenReview",
            "spec": {"token": token, "audiences": [audience]},
        }
        try:
            review = await self._cluster.ask("POST", _REVIEWS, body=body, seconds=_SECONDS)
        except ClusterError as error:
            raise ProofUnavailableError(str(error)) from error
        status = review.get("status") if isinstance(review, Mapping) else None
        if not isinstance(status, Mapping):
            raise ProofUnavailableError("the answer to a TokenReview has no status")
        return status

    async def pod(self, namespace: str, name: str) -> Pod | None:
        """The pod as it stands; None where there is none."""
        try:
            path = f"/api/v1/namespaces/{namespace}/pods/{name}"
            return parse_pod(await self._cluster.ask("GET", path, accept=METADATA_ONLY, seconds=_SECONDS))
        except ClusterError as error:
            if error.status == HTTPStatus.NOT_FOUND:
                return None
            raise ProofUnavailableError(str(error)) from error
        except MalformedObjectError as error:
            raise ProofUnavailableError(f"an answer of the API server cannot be read: {error}") from error
