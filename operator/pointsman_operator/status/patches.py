"""Statuses as they are written: pure."""

from collections.abc import Mapping
from typing import Any


def merge_patch(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """The status as a merge patch, in which null removes what is no longer there."""
    patch: dict[str, Any] = {name: None for name in before if name not in wanted}
    for name, value in wanted.items():
        there = before.get(name)
        patch[name] = merge_patch(there, value) if isinstance(value, dict) and isinstance(there, Mapping) else value
    return patch
