"""What the CEL rules of a schema say of an object: which rule is asked about which part of it, under which names."""

from collections.abc import Iterator
from typing import Any

from pointsman_operator.schema import rules
from pointsman_operator.schema.refusals import Refusal
from pointsman_operator.schema.structure import Schema


def faults(value: Any, schema: Schema) -> Iterator[Refusal]:
    """Yield each rule's refusal of a value whose types are right."""
    yield from _faults(_seen(value, schema), schema, path="")


def _seen(value: Any, schema: Schema | None) -> Any:
    """Return a value as rules see it: properties under the names that CEL allows, the keys of free maps as they are."""
    match value:
        case dict() if schema and schema.additional:
            return {key: _seen(inner, schema.additional) for key, inner in value.items()}
        case dict() if schema:
            return {
                schema.cel_names[key]: _seen(inner, schema.properties[key])
                for key, inner in value.items()
                if key in schema.cel_names
            }
        case list() if schema:
            return [_seen(inner, schema.items) for inner in value]
        case _:
            return value


def _faults(seen: Any, schema: Schema, *, path: str) -> Iterator[Refusal]:
    if not schema.has_rules:
        return
    if schema.rules:
        bound = rules.bound(seen)
        for rule in schema.rules:
            if refusal := rule.refusal(bound, path=path, kind=schema.type):
                yield refusal
    for end, inner, below in _below(seen, schema):
        yield from _faults(inner, below, path=f"{path}{end}".removeprefix("."))


def _below(seen: Any, schema: Schema) -> Iterator[tuple[str, Any, Schema]]:
    """Yield what lies directly below a value: the end of its path, itself and its schema."""
    match seen:
        case dict() if schema.additional:
            yield from ((f"[{key}]", inner, schema.additional) for key, inner in seen.items())
        case dict():
            for key, cel_name in schema.cel_names.items():
                if cel_name in seen:
                    yield f".{key}", seen[cel_name], schema.properties[key]
        case list() if schema.items:
            yield from ((f"[{index}]", inner, schema.items) for index, inner in enumerate(seen))
