"""How the Lease is reached."""

from collections.abc import Mapping
from typing import Any, Protocol


class LeaseConflictError(Exception):
    """Somebody else wrote first, or the Lease is there already, or gone: look again."""


class LeaseUnavailableError(Exception):
    """The Lease cannot be read or written now; the message says why."""


class Leases(Protocol):
    """One Lease. Each call may raise LeaseUnavailableError."""

    async def read(self) -> Mapping[str, Any] | None:
        """The Lease as it stands; None where there is none."""

    async def create(self, content: Mapping[str, Any]) -> Mapping[str, Any]:
        """Make it, and return it. Raise LeaseConflictError if it is there."""

    async def write(self, content: Mapping[str, Any], *, resource_version: str) -> Mapping[str, Any]:
        """Change it, only if it is still of this version, and return it. Raise LeaseConflictError if it is not."""
