"""What identity needs of the API server."""

from collections.abc import Mapping
from typing import Any, Protocol

from pointsman_operator.resources import Pod


class ProofUnavailableError(Exception):
    """The API server cannot be asked now; the message says why."""


class Proofs(Protocol):
    """The API server. Either call may raise ProofUnavailableError."""

    async def review(self, token: str, *, audience: str) -> Mapping[str, Any]:
        """The status of a TokenReview."""

    async def pod(self, namespace: str, name: str) -> Pod | None:
        """The pod as it stands; None where there is none."""
