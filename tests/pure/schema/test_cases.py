"""Every resource under tests/cases gets from the offline check the answer that stands in its first lines.

The cluster tier asks a real API server the same; here it is also seen to that no rule is without a case.
"""

import re
from collections.abc import Iterator

import pytest

from cases.reading import Case, cases, kinds
from pointsman_operator.schema import (
    Definition,
    Stage,
    Validated,
    definitions,
    documents,
    rendered,
    validate,
)
from pointsman_operator.schema.structure import Schema

KINDS = kinds()


def judged(case: Case) -> Validated:
    [document] = documents(case.text, source=case.path.name)
    return validate(document.value, definitions=KINDS)


@pytest.mark.parametrize("case", cases(verdict="invalid"), ids=str)
def test_an_invalid_case_is_refused_with_exactly_its_sentences(case: Case) -> None:
    assert case.refused, "an invalid case must say what kubectl answers"
    assert sorted(map(str, judged(case).refusals)) == sorted(case.refused)


@pytest.mark.parametrize("case", cases(verdict="valid"), ids=str)
def test_a_valid_case_is_accepted(case: Case) -> None:
    answer = judged(case)
    assert (answer.refusals, answer.stage, rendered(answer, source="x")) == ((), None, "")


def test_one_cause_is_printed_in_one_line_and_several_as_a_list() -> None:
    policies = {case.path.stem: case for case in cases(kind="modelroutingpolicy", verdict="invalid")}
    one = rendered(judged(policies["default-model-unknown"]), source="policy.yaml")
    several = rendered(judged(policies["timeout-no-duration"]), source="policy.yaml")
    assert one == (
        'The ModelRoutingPolicy "default-model-unknown" is invalid: '
        'spec.defaultModel: Invalid value: "object": defaultModel tiny is not the name of one of models\n'
    )
    assert several.splitlines()[0] == 'The ModelRoutingPolicy "timeout-no-duration" is invalid: '
    assert [line[:2] for line in several.splitlines()[1:]] == ["* ", "* "]


def test_the_stages_of_refusal_are_told_apart() -> None:
    assert {judged(case).stage for case in cases(verdict="invalid")} == set(Stage)


@pytest.mark.parametrize("definition", definitions().known, ids=lambda definition: definition.kind)
def test_every_cel_rule_has_a_case_that_breaks_it(definition: Definition) -> None:
    said = _said(definition)
    unbroken = [
        rule.message
        for schema in _nodes(definition.schema)
        for rule in schema.rules
        if not any(all(part in sentence for part in _parts(rule.message_expression, rule.message)) for sentence in said)
    ]
    assert unbroken == []


@pytest.mark.parametrize("definition", definitions().known, ids=lambda definition: definition.kind)
def test_every_required_field_is_missing_in_a_case(definition: Definition) -> None:
    fields = {name for schema in _nodes(definition.schema) for name in schema.required}
    missing = {match[1] for sentence in _said(definition) if (match := re.search(r"(\w+): Required value", sentence))}
    assert fields - missing == set()


@pytest.mark.parametrize("definition", definitions().known, ids=lambda definition: definition.kind)
def test_every_enum_is_broken_in_a_case(definition: Definition) -> None:
    enums = {", ".join(f'"{value}"' for value in schema.enum) for schema in _nodes(definition.schema) if schema.enum}
    broken = {sentence.partition("supported values: ")[2] for sentence in _said(definition)}
    assert enums - broken == set()


@pytest.mark.parametrize("definition", definitions().known, ids=lambda definition: definition.kind)
def test_every_pattern_is_broken_in_a_case(definition: Definition) -> None:
    patterns = {schema.pattern.text for schema in _nodes(definition.schema) if schema.pattern}
    broken = {sentence.partition("should match ")[2].strip("'") for sentence in _said(definition)}
    assert patterns - broken == set()


def _said(definition: Definition) -> list[str]:
    return [sentence for case in cases(kind=definition.kind.lower(), verdict="invalid") for sentence in case.refused]


def _parts(expression: str | None, message: str) -> list[str]:
    """What a rule's sentence must contain: its message, or the fixed parts of the one that it computes."""
    return re.findall(r"'([^']+)'", expression) if expression else [message]


def _nodes(schema: Schema) -> Iterator[Schema]:
    yield schema
    for below in [*schema.properties.values(), schema.items, schema.additional]:
        if below:
            yield from _nodes(below)
