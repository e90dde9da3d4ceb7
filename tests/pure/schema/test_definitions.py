"""A definition that the offline check could not judge by is refused on loading, and a rule that is no CEL on use."""

from collections.abc import Mapping
from typing import Any

import pytest

from pointsman_operator.schema import (
    BrokenRuleError,
    Definitions,
    Document,
    UnsupportedSchemaError,
    definitions,
    definitions_of,
    validate,
)


def loaded(field: Mapping[str, Any], **version: object) -> Definitions:
    """A kind whose spec has this one field."""
    spec = {"type": "object", "properties": {"field": field}}
    version = {
        "name": "v1",
        "schema": {"openAPIV3Schema": {"type": "object", "properties": {"spec": spec}}},
        "subresources": {"status": {}},
    } | version
    crd = {
        "spec": {
            "group": "example.com",
            "names": {"kind": "Thing", "plural": "things"},
            "scope": "Namespaced",
            "versions": [version],
        }
    }
    return definitions_of([Document(source="x", line=1, value=crd)])


def rule(**parts: object) -> dict[str, object]:
    return {"type": "string", "x-kubernetes-validations": [{"rule": "self == 'a'", **parts}]}


UNSUPPORTED: list[tuple[dict[str, object], str]] = [
    ({"type": "string", "not": {}}, "the offline check does not know not"),
    ({"type": "integer", "multipleOf": 2, "nullable": True}, "the offline check does not know multipleOf, nullable"),
    ({"type": "number"}, "the offline check does not know the type 'number'"),
    ({"x-kubernetes-int-or-string": True}, "the offline check does not know x-kubernetes-int-or-string"),
    ({"type": "string", "format": "date-time"}, "the offline check does not know the format date-time"),
    ({"type": "integer", "enum": [1]}, "the offline check knows enums of strings only"),
    ({"type": "integer", "minimum": 0.5}, "the offline check knows whole numbers as bounds only"),
    ({"type": "array", "x-kubernetes-list-type": "atomic"}, "the offline check does not know the list type atomic"),
    ({"type": "object", "additionalProperties": True}, "the offline check knows additionalProperties as a schema only"),
    ({"type": "array", "items": {"default": "a"}}, "the offline check knows defaults of properties only"),
    (rule(reason="FieldValueForbidden"), "the offline check does not know reason of a rule"),
    (rule(rule="self == oldSelf"), "the offline check knows no transition rules: it has no oldSelf"),
    (rule(fieldPath="['a']"), "the offline check knows field paths of plain names only, not ['a']"),
]


@pytest.mark.parametrize(("field", "complaint"), UNSUPPORTED, ids=[complaint for _, complaint in UNSUPPORTED])
def test_what_could_not_be_judged_is_not_loaded(field: Mapping[str, Any], complaint: str) -> None:
    with pytest.raises(UnsupportedSchemaError) as refused:
        loaded(field)
    place, _, said = str(refused.value).partition(": ")
    assert place.startswith("Thing.spec.field")
    assert said == complaint


def test_a_kind_whose_status_anyone_may_create_is_not_loaded() -> None:
    with pytest.raises(
        UnsupportedSchemaError, match="Thing: the offline check knows kinds with a status subresource only"
    ):
        loaded({"type": "string"}, subresources={})


@pytest.mark.parametrize(
    "field",
    [
        rule(rule="self =="),
        rule(rule="self.quantity() < unknown"),
        rule(messageExpression="'a' + 1"),
        {"type": "string", "pattern": "("},
    ],
    ids=["half an expression", "an unknown name", "a message of two types", "half a group"],
)
def test_a_rule_that_does_not_compile_is_the_definitions_fault(field: Mapping[str, Any]) -> None:
    thing = {"apiVersion": "example.com/v1", "kind": "Thing", "metadata": {"name": "a"}, "spec": {"field": "b"}}
    with pytest.raises(BrokenRuleError, match=r"Thing\.spec\.field"):
        validate(thing, definitions=loaded(field))


def test_our_kinds_are_found_by_version_and_kind() -> None:
    found = definitions().find(api_version="pointsman.dev/v1alpha1", kind="ModelRoutingPolicy")
    assert found is not None
    assert (found.plural, found.namespaced) == ("modelroutingpolicies", True)
    assert definitions().find(api_version="pointsman.dev/v1", kind="ModelRoutingPolicy") is None
