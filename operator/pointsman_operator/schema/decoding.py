"""What happens to an object between the file and the server's checks: nulls go, unknown fields show, defaults come.

Nothing here judges a value.
"""

from copy import deepcopy
from typing import Any

from pointsman_operator.schema import scalars
from pointsman_operator.schema.structure import Schema

_IDENTITY = frozenset({"apiVersion", "kind", "metadata"})


def sent(value: Any) -> Any:
    """Return a copy as kubectl sends it when it creates an object: as JSON carries it, without nulls in its maps."""
    match value:
        case dict():
            return {scalars.carried_text(str(key)): sent(inner) for key, inner in value.items() if inner is not None}
        case list() | tuple():
            return [sent(inner) for inner in value]
        case str():
            return scalars.carried_text(value)
        case bool() | None:
            return value
        case _:
            return scalars.carried(value)


def without_unknown_fields(value: dict[str, Any], schema: Schema) -> tuple[dict[str, Any], list[str]]:
    """Return a copy without the fields that the schema does not have, and their paths, sorted.

    A root's metadata is left alone: its fields are Kubernetes' own.
    """
    unknown = list[str]()
    identity = {key: inner for key, inner in value.items() if key in _IDENTITY}
    rest = {key: inner for key, inner in value.items() if key not in _IDENTITY}
    return identity | _pruned(rest, schema, path="", unknown=unknown), sorted(unknown)


def _pruned(value: Any, schema: Schema | None, *, path: str, unknown: list[str]) -> Any:
    match value:
        case dict():
            kept = dict[str, Any]()
            for key, inner in value.items():
                inner_path = f"{path}.{key}" if path else key
                below = _field(schema, key) if schema else None
                if below:
                    kept[key] = _pruned(inner, below, path=inner_path, unknown=unknown)
                else:
                    unknown.append(inner_path)
            return kept
        case list():
            items = schema.items if schema else None
            return [
                _pruned(inner, items, path=f"{path}[{index}]", unknown=unknown) for index, inner in enumerate(value)
            ]
        case _:
            return value


def with_defaults(value: Any, schema: Schema) -> Any:
    """Return a copy in which every field that is absent and has a default has it, and so on inside."""
    match value:
        case dict():
            filled = value | {
                name: deepcopy(inner.default)
                for name, inner in schema.properties.items()
                if inner.has_default and name not in value
            }
            return {key: _filled(inner, _field(schema, key)) for key, inner in filled.items()}
        case list() if schema.items:
            return [with_defaults(inner, schema.items) for inner in value]
        case _:
            return value


def _filled(value: Any, schema: Schema | None) -> Any:
    return with_defaults(value, schema) if schema else value


def _field(schema: Schema, key: str) -> Schema | None:
    return schema.properties.get(key) or schema.additional
