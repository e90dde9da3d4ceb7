"""JSON patches (RFC 6902) that only add."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

Op = dict[str, Any]


def added_entries(
    parent: Mapping[str, Any], field: str, entries: Mapping[str, str], *, at: tuple[str, ...]
) -> Iterator[Op]:
    """Add entries to the mapping `parent[field]`, which may not be there yet."""
    if parent.get(field):
        yield from (add((*at, field, key), value) for key, value in entries.items())
    elif entries:
        yield add((*at, field), dict(entries))


def added_items(
    parent: Mapping[str, Any], field: str, items: Sequence[Any], *, index: int, at: tuple[str, ...]
) -> Iterator[Op]:
    """Insert items into the list `parent[field]`, which may not be there yet, before the one at `index`."""
    if parent.get(field):
        yield from (add((*at, field, str(index + offset)), item) for offset, item in enumerate(items))
    elif items:
        yield add((*at, field), list(items))


def add(steps: Iterable[str], value: Any) -> Op:
    """Add one value at the place that these steps lead to."""
    path = "".join("/" + step.replace("~", "~0").replace("/", "~1") for step in steps)
    return {"op": "add", "path": path, "value": value}
