"""Whether a JSON value is of a schema, as far as that is written in the part of JSON Schema that models are held to.

It is OpenAI's strict mode: types, properties, what is required, enums, constants, items, anyOf, references within the
schema; and bounds of numbers, lengths and lists. What else a schema says is not looked at, so that no answer is thought
wrong for a word that is not understood here. Patterns are not looked at either: a schema is the app's, and some take
for ever.
"""

from collections.abc import Callable, Mapping, Sequence
from operator import ge, gt, le, lt
from typing import Any

# How many values are looked at, each under one schema. What is larger is taken to be right.
_MOST_LOOKS = 1_000
_DEEPEST = 64
_TYPES: Mapping[str, type | tuple[type, ...]] = {
    "object": dict,
    "array": list,
    "string": str,
    "boolean": bool,
    "null": type(None),
    "number": (int, float),
    "integer": (int, float),
}
_BOUNDS: tuple[tuple[str, Callable[[Any, Any], bool]], ...] = (
    ("minimum", ge),
    ("maximum", le),
    ("exclusiveMinimum", gt),
    ("exclusiveMaximum", lt),
)
_Schema = Mapping[str, Any]


class _TiredError(Exception):
    """There is more to look at than is looked at."""


def mismatch(value: object, schema: _Schema) -> str | None:
    """What is wrong with the value, in words that hold nothing of it; None where nothing is known to be."""
    try:
        return _Checker(schema).check(value, schema, 0)
    except (_TiredError, TypeError, ValueError, RecursionError):
        # The last three: the schema is none, which is the provider's to say.
        return None


class _Checker:
    def __init__(self, root: _Schema) -> None:
        self._root = root
        self._looks = 0

    def check(self, value: object, schema: object, depth: int) -> str | None:
        self._looks += 1
        if self._looks > _MOST_LOOKS or depth > _DEEPEST:
            raise _TiredError
        if schema is False:
            return "it holds a member that the schema does not allow"
        if not isinstance(schema, dict):
            return None
        if isinstance(reference := schema.get("$ref"), str):
            wrong = self.check(value, self._found(reference), depth + 1)
            if wrong:
                return wrong
        return (
            _of_type(value, schema)
            or _of_values(value, schema)
            or _in_bounds(value, schema)
            or self._branches(value, schema, depth)
            or self._parts(value, schema, depth)
        )

    def _found(self, reference: str) -> object:
        place: Any = self._root
        if not reference.startswith("#"):
            return True
        for name in reference[1:].split("/")[1:]:
            key = name.replace("~1", "/").replace("~0", "~")
            if not isinstance(place, dict) or key not in place:
                return True
            place = place[key]
        return place

    def _branches(self, value: object, schema: _Schema, depth: int) -> str | None:
        if isinstance(anyof := schema.get("anyOf"), list):
            wrongs = [self.check(value, branch, depth + 1) for branch in anyof]
            if wrongs and all(wrongs):
                return "a value is none of those that the schema allows"
        for branch in schema.get("allOf") or ():
            if wrong := self.check(value, branch, depth + 1):
                return wrong
        return None

    def _parts(self, value: object, schema: _Schema, depth: int) -> str | None:
        if isinstance(value, dict):
            return self._members(value, schema, depth)
        if isinstance(value, list):
            items = schema.get("items")
            if isinstance(items, dict | bool):
                return next((wrong for each in value if (wrong := self.check(each, items, depth + 1))), None)
        return None

    def _members(self, value: Mapping[str, object], schema: _Schema, depth: int) -> str | None:
        properties = schema.get("properties") or {}
        if any(name not in value for name in schema.get("required") or ()):
            return "a required member is missing"
        others = schema.get("additionalProperties", True)
        for name, each in value.items():
            # A name may be one that only a pattern allows; patterns are not looked at.
            below = properties.get(name, True if "patternProperties" in schema else others)
            if wrong := self.check(each, below, depth + 1):
                return wrong
        return None


def _of_type(value: object, schema: _Schema) -> str | None:
    wanted = schema.get("type")
    names: Sequence[str] = [wanted] if isinstance(wanted, str) else wanted if isinstance(wanted, list) else ()
    if names and not any(_is(value, name) for name in names):
        return "a value is of another type than the schema says"
    return None


def _is(value: object, name: str) -> bool:
    if name not in _TYPES:
        return True
    if isinstance(value, bool) and name != "boolean":
        return False
    if name == "integer" and isinstance(value, float):
        return value.is_integer()
    return isinstance(value, _TYPES[name])


def _of_values(value: object, schema: _Schema) -> str | None:
    allowed = schema.get("enum")
    if isinstance(allowed, list) and not any(_same(value, each) for each in allowed):
        return "a value is none of those that the schema allows"
    if "const" in schema and not _same(value, schema["const"]):
        return "a value is none of those that the schema allows"
    return None


def _same(value: object, other: object) -> bool:
    # To JSON, true is not 1.
    return value == other and isinstance(value, bool) is isinstance(other, bool)


def _in_bounds(value: object, schema: _Schema) -> str | None:
    if isinstance(value, int | float) and not isinstance(value, bool):
        if any(name in schema and not holds(value, schema[name]) for name, holds in _BOUNDS):
            return "a number is out of the schema's bounds"
    elif isinstance(value, str | list):
        least, most = ("minLength", "maxLength") if isinstance(value, str) else ("minItems", "maxItems")
        if len(value) < schema.get(least, 0) or len(value) > schema.get(most, len(value)):
            return "a value is shorter or longer than the schema allows"
    return None
