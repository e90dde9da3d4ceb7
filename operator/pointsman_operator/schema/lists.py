"""Whether the entries of a list that is a set, or a map by a key, differ from one another."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any

from pointsman_operator.schema import gotext, refusals
from pointsman_operator.schema.refusals import Refusal
from pointsman_operator.schema.structure import Schema


def faults(value: Any, schema: Schema, *, path: str = "") -> Iterator[Refusal]:
    """Yield a fault for each entry that is the first to repeat another, here and below."""
    if isinstance(value, list):
        match schema.list_type:
            case "set":
                yield from _repeated(value, path=path)
            case "map":
                yield from _of_map(value, schema.list_keys, path=path)
    match value:
        case dict() if schema.additional:
            for key, inner in value.items():
                yield from faults(inner, schema.additional, path=f"{path}[{key}]")
        case dict():
            for key in value.keys() & schema.properties.keys():
                yield from faults(value[key], schema.properties[key], path=f"{path}.{key}".removeprefix("."))
        case list() if schema.items:
            for index, inner in enumerate(value):
                yield from faults(inner, schema.items, path=f"{path}[{index}]")


def _of_map(value: list[Any], keys: Sequence[str], *, path: str) -> Iterator[Refusal]:
    for index, entry in enumerate(value):
        if not isinstance(entry, dict | None):
            yield refusals.invalid(f"{path}[{index}]", entry, "must be an object for an array of list-type map")
            return
    given = [entry or {} for entry in value]
    yield from _repeated([{key: entry[key] for key in keys if key in entry} for entry in given], path=path)


def _repeated(values: list[Any], *, path: str) -> Iterator[Refusal]:
    times = dict[Hashable, int]()
    for index, value in enumerate(values):
        same = type(value), gotext.as_json(value)
        times[same] = times.get(same, 0) + 1
        if times[same] == 2:  # noqa: PLR2004 - the server names the second of its kind and is silent on the rest
            yield refusals.duplicate(f"{path}[{index}]", value)
