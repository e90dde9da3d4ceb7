"""What was measured, a number a row: pure."""

from typing import Any

Rows = list[dict[str, Any]]


def row(what: str, value: float, unit: str, *, limit: float | None = None) -> dict[str, Any]:
    """A number, and what it is not to be above."""
    return {
        "what": what,
        "value": value,
        "unit": unit,
        "limit": limit,
        "met": None if limit is None else value <= limit,
    }
