"""A structural schema, as far as our CustomResourceDefinitions use it.

A keyword that is not understood here stops the loading: else the API server would obey what the offline check ignores.
What the keywords mean for an object is decided in `decoding`, `values`, `lists` and `rules`.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from pointsman_operator.schema.rules import Pattern, Rule, escaped

_TYPES: Final = frozenset({"object", "array", "string", "integer", "boolean"})
_TEXT: Final = frozenset({"description", "type"})
_READ: Final = frozenset(
    {
        "additionalProperties", "default", "enum", "format", "items", "maxItems", "maxLength", "maxProperties",
        "maximum", "minItems", "minLength", "minProperties", "minimum", "pattern", "properties", "required",
        "x-kubernetes-list-map-keys", "x-kubernetes-list-type", "x-kubernetes-validations",
    }
)  # fmt: skip
_RULE_KEYWORDS: Final = frozenset({"rule", "message", "messageExpression", "fieldPath"})
# The server does not compare a number with these formats; 3000000000 passes as an int32.
_FORMATS_WITHOUT_EFFECT: Final = frozenset({"int32", "int64"})
_NO_DEFAULT: Final = object()


class UnsupportedSchemaError(Exception):
    """Raised on loading a CustomResourceDefinition that says what the offline check could not judge."""


@dataclass(frozen=True, kw_only=True)
class Schema:
    """One node of a structural schema."""

    type: str
    properties: Mapping[str, "Schema"]
    required: tuple[str, ...]
    additional: "Schema | None"
    items: "Schema | None"
    enum: tuple[str, ...]
    pattern: Pattern | None
    minimum: int | None
    maximum: int | None
    min_length: int | None
    max_length: int | None
    min_items: int | None
    max_items: int | None
    min_properties: int | None
    max_properties: int | None
    list_type: str | None
    list_keys: tuple[str, ...]
    rules: tuple[Rule, ...]
    default: Any = _NO_DEFAULT

    @property
    def has_default(self) -> bool:
        """Whether an object that says nothing gets a value here."""
        return self.default is not _NO_DEFAULT

    @cached_property
    def has_rules(self) -> bool:
        """Whether there is a CEL rule here or below."""
        below = [*self.properties.values(), self.additional, self.items]
        return bool(self.rules) or any(schema.has_rules for schema in below if schema)

    @cached_property
    def cel_names(self) -> Mapping[str, str]:
        """The properties that CEL can see, each with its name there."""
        names = {name: escaped(name) for name in self.properties}
        return {name: cel_name for name, cel_name in names.items() if cel_name}


def schema_of(raw: Mapping[str, Any], *, at: str) -> Schema:
    """Read one node; `at` names the place in complaints."""
    unknown = sorted(raw.keys() - _TEXT - _READ)
    if unknown:
        raise UnsupportedSchemaError(f"{at}: the offline check does not know {', '.join(unknown)}")
    if raw.get("type") not in _TYPES:
        raise UnsupportedSchemaError(f"{at}: the offline check does not know the type {raw.get('type')!r}")
    if raw.get("format") is not None and raw["format"] not in _FORMATS_WITHOUT_EFFECT:
        raise UnsupportedSchemaError(f"{at}: the offline check does not know the format {raw['format']}")
    enum = raw.get("enum", [])
    if not all(isinstance(value, str) for value in enum):
        raise UnsupportedSchemaError(f"{at}: the offline check knows enums of strings only")
    bounds = [raw[name] for name in ("minimum", "maximum") if name in raw]
    if not all(isinstance(bound, int) for bound in bounds):
        raise UnsupportedSchemaError(f"{at}: the offline check knows whole numbers as bounds only")
    list_type = raw.get("x-kubernetes-list-type")
    if list_type not in {None, "set", "map"}:
        raise UnsupportedSchemaError(f"{at}: the offline check does not know the list type {list_type}")
    return Schema(
        type=raw["type"],
        properties={name: schema_of(inner, at=f"{at}.{name}") for name, inner in raw.get("properties", {}).items()},
        required=tuple(raw.get("required", ())),
        additional=_nested(raw, "additionalProperties", at=f"{at}.*"),
        items=_nested(raw, "items", at=f"{at}[]"),
        enum=tuple(enum),
        pattern=Pattern(text=raw["pattern"], at=at) if "pattern" in raw else None,
        minimum=raw.get("minimum"),
        maximum=raw.get("maximum"),
        min_length=raw.get("minLength"),
        max_length=raw.get("maxLength"),
        min_items=raw.get("minItems"),
        max_items=raw.get("maxItems"),
        min_properties=raw.get("minProperties"),
        max_properties=raw.get("maxProperties"),
        list_type=list_type,
        list_keys=tuple(raw.get("x-kubernetes-list-map-keys", ())),
        rules=tuple(_rule(rule, at=at) for rule in raw.get("x-kubernetes-validations", ())),
        default=raw.get("default", _NO_DEFAULT),
    )


def shape_of(raw: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a node says about names and nothing of what it says about values."""
    shape: dict[str, Any] = {"type": raw["type"]}
    if "properties" in raw:
        shape["properties"] = {name: shape_of(inner) for name, inner in raw["properties"].items()}
    for keyword in ("items", "additionalProperties"):
        if keyword in raw:
            shape[keyword] = shape_of(raw[keyword])
    return shape


def _nested(raw: Mapping[str, Any], keyword: str, *, at: str) -> Schema | None:
    if keyword not in raw:
        return None
    if not isinstance(raw[keyword], dict):
        raise UnsupportedSchemaError(f"{at}: the offline check knows {keyword} as a schema only")
    if "default" in raw[keyword]:
        raise UnsupportedSchemaError(f"{at}: the offline check knows defaults of properties only")
    return schema_of(raw[keyword], at=at)


def _rule(raw: Mapping[str, Any], *, at: str) -> Rule:
    unknown = sorted(raw.keys() - _RULE_KEYWORDS)
    if unknown:
        raise UnsupportedSchemaError(f"{at}: the offline check does not know {', '.join(unknown)} of a rule")
    if "oldSelf" in raw["rule"]:
        raise UnsupportedSchemaError(f"{at}: the offline check knows no transition rules: it has no oldSelf")
    path = raw.get("fieldPath", "")
    if "[" in path:
        raise UnsupportedSchemaError(f"{at}: the offline check knows field paths of plain names only, not {path}")
    return Rule(
        expression=raw["rule"].strip(),
        message=raw.get("message", "").strip(),
        message_expression=raw.get("messageExpression"),
        field_path=path,
        at=at,
    )
