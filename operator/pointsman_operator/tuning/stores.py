"""What the keeper asks of a store."""

from collections.abc import Mapping
from typing import Protocol

from pointsman_operator.tuning.records import Record


class TuningConflictError(Exception):
    """Somebody else wrote first: read again. Some of what was to be written may have been."""


class TuningUnavailableError(Exception):
    """The store cannot be read or written now; the message says why. What was to be written may have been."""


class TuningStore(Protocol):
    """Records by their policies' UIDs, each written by compare-and-swap: only if it still is as it was read or written.

    Each call may raise TuningUnavailableError.
    """

    async def read(self) -> Mapping[str, Record]:
        """All records as they are stored now."""

    async def write(self, changes: Mapping[str, Record | None]) -> None:
        """Write records, or drop those that are None. Raise TuningConflictError."""
