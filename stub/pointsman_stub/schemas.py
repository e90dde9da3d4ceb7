"""A value that fits a JSON schema, as structured output and tool arguments need one.

The keywords that OpenAI's structured outputs know are understood, and a few more. A schema that asks for anything
else, or for nothing that exists, is refused: an answer that only looks valid would hide the caller's mistake.
"""

import functools
import hashlib
from dataclasses import dataclass
from math import inf
from typing import Any

from pointsman_stub.errors import Json
from pointsman_stub.scalars import UnsatisfiableError, integer, number, text

_REFUSED = frozenset(
    {
        "contains",
        "dependencies",
        "dependentRequired",
        "dependentSchemas",
        "else",
        "if",
        "minProperties",
        "not",
        "patternProperties",
        "propertyNames",
        "then",
        "unevaluatedItems",
        "unevaluatedProperties",
        "uniqueItems",
    }
)
# From here on a schema that refers to itself takes its shortest way out; where there is none, it is refused.
_SHALLOW = 6
_DEEPEST = 40


def fitting(schema: Json, *, author: str, seed: str) -> Any:
    """A value for the schema. Its free strings name the author; the seed picks among the members of enums."""
    try:
        return _Filler(root=schema, author=author, seed=seed).value(schema, path="$", depth=0)
    except (AttributeError, KeyError, TypeError) as error:
        # A keyword whose value has the wrong type; only a full check against the metaschema would say which.
        raise UnsatisfiableError("it is not a valid JSON schema") from error


@dataclass(frozen=True, kw_only=True)
class _Filler:
    root: Json
    author: str
    seed: str

    def value(self, schema: Any, *, path: str, depth: int) -> Any:
        if schema is True:
            schema = {}
        if not isinstance(schema, dict):
            raise UnsatisfiableError(f"{path}: nothing fits {schema!r}")
        if refused := sorted(_REFUSED & schema.keys()):
            raise UnsatisfiableError(f"{path}: the keyword '{refused[0]}' is not supported")
        if depth > _DEEPEST:
            raise UnsatisfiableError(f"{path}: the schema requires itself without end")
        if "const" in schema:
            return schema["const"]
        if "enum" in schema:
            return self.pick(schema["enum"], path=path)
        if (simpler := self.simpler(schema, path=path, deep=depth > _SHALLOW)) is not None:
            return self.value(simpler, path=path, depth=depth + 1)
        return self.of_type(schema, path=path, depth=depth)

    def simpler(self, schema: Json, *, path: str, deep: bool) -> Json | None:
        """The schema that this one stands for, if it refers to others or combines them."""
        for key in ("$ref", "anyOf", "oneOf", "allOf"):
            if key not in schema:
                continue
            match key:
                case "$ref":
                    parts = [self.resolved(schema[key], path=path)]
                case "allOf":
                    parts = schema[key]
                case _:
                    parts = [_variant(schema[key], path=path, deep=deep)]
            rest = {name: value for name, value in schema.items() if name != key}
            return functools.reduce(_merged, parts, rest)
        return None

    def of_type(self, schema: Json, *, path: str, depth: int) -> Any:
        match kind := _type(schema, deep=depth > _SHALLOW):
            case "null":
                return None
            case "boolean":
                return self.pick([True, False], path=path)
            case "array":
                return self.array(schema, path=path, depth=depth)
            case "object":
                return self.object(schema, path=path, depth=depth)
            case _:
                return self.scalar(schema, kind=kind, path=path)

    def scalar(self, schema: Json, *, kind: Any, path: str) -> str | float:
        try:
            match kind:
                case "string":
                    return text(schema, wish=f"{self.author}: {path.rpartition('.')[2]}")
                case "integer":
                    return integer(schema)
                case "number":
                    return number(schema)
        except UnsatisfiableError as error:
            raise UnsatisfiableError(f"{path}: {error}") from error
        raise UnsatisfiableError(f"{path}: {kind!r} is no JSON type")

    def object(self, schema: Json, *, path: str, depth: int) -> Json:
        properties = schema.get("properties", {})
        required = schema.get("required", [])
        wanted = [name for name in properties if name in required or depth <= _SHALLOW]
        wanted += [name for name in required if name not in properties]
        free = schema.get("additionalProperties", True)
        return {name: self.value(properties.get(name, free), path=f"{path}.{name}", depth=depth + 1) for name in wanted}

    def array(self, schema: Json, *, path: str, depth: int) -> list[Any]:
        first = schema.get("prefixItems", [])
        least = schema.get("minItems", 0)
        most = schema.get("maxItems", inf)
        rest = schema.get("items", True)
        wish = max(len(first), 0 if depth > _SHALLOW or rest is False else 1, least)
        if least > most:
            raise UnsatisfiableError(f"{path}: minItems is above maxItems")
        return [
            self.value(first[index] if index < len(first) else rest, path=f"{path}[{index}]", depth=depth + 1)
            for index in range(int(min(wish, most)))
        ]

    def pick(self, options: list[Any], *, path: str) -> Any:
        if not options:
            raise UnsatisfiableError(f"{path}: an empty enum allows nothing")
        digest = hashlib.sha256(f"{self.seed}\n{path}".encode()).digest()
        return options[digest[0] % len(options)]

    def resolved(self, reference: str, *, path: str) -> Any:
        here: Any = self.root
        for step in reference.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            here = here.get(key) if isinstance(here, dict) else None
        if here is None or not reference.startswith("#"):
            raise UnsatisfiableError(f"{path}: '$ref' {reference!r} leads nowhere in this schema")
        return here


def _merged(one: Json, other: Json) -> Json:
    """A schema that asks for what both ask for, as far as they don't limit the same thing twice."""
    both = one | other
    if "properties" in one and "properties" in other:
        both["properties"] = one["properties"] | other["properties"]
    for key in ("required", "allOf"):
        if key in one and key in other:
            both[key] = [*one[key], *other[key]]
    return both


def _variant(variants: list[Any], *, path: str, deep: bool) -> Any:
    """The first variant that is not null; once the value is deep, the one that ends soonest."""
    if not variants:
        raise UnsatisfiableError(f"{path}: an empty union allows nothing")
    return min(variants, key=_weight if deep else _is_null)


def _is_null(schema: Any) -> bool:
    return bool(schema == {"type": "null"})


def _weight(schema: Any) -> int:
    """How much more a value of this schema may bring with it: null, scalars, arrays, all the rest."""
    kind = schema.get("type")
    weights = {"null": 0, "boolean": 1, "integer": 1, "number": 1, "string": 1, "array": 2}
    return weights.get(kind, 3) if isinstance(kind, str) else 3


def _type(schema: Json, *, deep: bool) -> Any:
    kind = schema.get("type")
    if isinstance(kind, list):
        if deep and "null" in kind:
            return "null"
        return next((one for one in kind if one != "null"), "null")
    if kind is not None:
        return kind
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"
