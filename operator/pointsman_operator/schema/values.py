"""Whether each value is of its schema's type and within its bounds, said as the server's OpenAPI validator says it.

As there, every keyword is applied to every value of the kind that it is about, whatever type the schema asks for: a
number where an enum of strings is wanted is wrong twice.
"""

from collections.abc import Iterator
from typing import Any, Final

from pointsman_operator.schema import gotext, refusals
from pointsman_operator.schema.refusals import Refusal
from pointsman_operator.schema.structure import Schema

_KINDS: Final = {
    type(None): "null",
    bool: "boolean",
    int: "integer",
    float: "number",
    str: "string",
    list: "array",
    dict: "object",
}


def faults(value: Any, schema: Schema, *, path: str = "") -> Iterator[Refusal]:
    """Yield every fault of a value and of what is in it."""
    kind = _KINDS[type(value)]
    if kind != schema.type:
        yield refusals.wrong_type(path, wanted=schema.type, got=kind)
    if schema.enum and value not in schema.enum:
        yield refusals.unsupported(path, value, supported=schema.enum)
    match value:
        case dict():
            yield from _of_object(value, schema, path=path)
        case list():
            yield from _of_list(value, schema, path=path)
        case str():
            yield from _of_text(value, schema, path=path)
        case bool() | None:
            pass
        case _:
            yield from _of_number(value, schema, path=path)


def _of_object(value: dict[str, Any], schema: Schema, *, path: str) -> Iterator[Refusal]:
    if schema.min_properties is not None and len(value) < schema.min_properties:
        yield _bound(path, len(value), f"should have at least {schema.min_properties} properties")
    if schema.max_properties is not None and len(value) > schema.max_properties:
        yield refusals.too_many(path, len(value), limit=schema.max_properties)
    for key, inner in value.items():
        below = schema.properties.get(key) or schema.additional
        if below:
            yield from faults(inner, below, path=_child(path, key))
    for key in schema.required:
        if key not in value:
            yield refusals.required(_child(path, key))


def _of_list(value: list[Any], schema: Schema, *, path: str) -> Iterator[Refusal]:
    if schema.items:
        for index, inner in enumerate(value):
            yield from faults(inner, schema.items, path=f"{path}[{index}]")
    if schema.min_items is not None and len(value) < schema.min_items:
        yield _bound(path, len(value), f"should have at least {schema.min_items} items")
    if schema.max_items is not None and len(value) > schema.max_items:
        yield refusals.too_many(path, len(value), limit=schema.max_items)


def _of_text(value: str, schema: Schema, *, path: str) -> Iterator[Refusal]:
    """Yield the first fault only, as the server does."""
    if schema.max_length is not None and len(value) > schema.max_length:
        yield refusals.too_long(path, limit=schema.max_length)
    elif schema.min_length is not None and len(value) < schema.min_length:
        yield _bound(path, value, f"should be at least {schema.min_length} chars long")
    elif schema.pattern and not schema.pattern.matches(value):
        yield _bound(path, value, f"should match '{schema.pattern.text}'")


def _of_number(value: float, schema: Schema, *, path: str) -> Iterator[Refusal]:
    # The server writes a bound as it would a number of the value's own type.
    if schema.maximum is not None and value > schema.maximum:
        bound = gotext.number(type(value)(schema.maximum))
        yield _bound(path, value, f"should be less than or equal to {bound}")
    if schema.minimum is not None and value < schema.minimum:
        bound = gotext.number(type(value)(schema.minimum))
        yield _bound(path, value, f"should be greater than or equal to {bound}")


def _bound(path: str, value: Any, detail: str) -> Refusal:
    return refusals.invalid(path, value, f"{path} in body {detail}")


def _child(path: str, key: str) -> str:
    return f"{path}.{key}" if path else key
