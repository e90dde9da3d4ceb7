"""Whether an answer has what is expected of it, said without a word of the answer."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.regression.patterns import PatternError, found
from pointsman.regression.properties import Answer, failures
from pointsman.regression.suites import Case, Expected

SCHEMA = {"type": "object", "properties": {"n": {"type": "integer"}}, "required": ["n"]}
AS_OBJECT = {"type": "json_object"}
AS_SCHEMA = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}


def lacks(
    answer: Answer, *, with_model: bool = True, response_format: Any = None, **expected: Any
) -> list[tuple[str, str]]:
    request: dict[str, Any] = {"messages": [{"role": "user", "content": "How many?"}]}
    if response_format is not None:
        request["response_format"] = response_format
    case = Case(name="a", request=request, headers={}, expected=Expected(**expected))
    return [(each.property, each.message) for each in failures(case, answer, with_model=with_model)]


@pytest.mark.parametrize(
    ("expected", "good", "bad", "told"),
    [
        ({"contains": ("30 days",)}, "within 30 days", "a month", ("contains", "not in the answer")),
        ({"contains": ("a", "30")}, "a 30", "a", ("contains[1]", "not in the answer")),
        ({"lacks": ("never",)}, "always", "never ever", ("doesNotContain", "in the answer")),
        ({"matches": (r"^\d+ days?$",)}, "30 days", "some 30 days", ("matches", "not found in the answer")),
        ({"equals": "Yes."}, " Yes.\n", "Yes", ("equals", "the answer is another")),
        ({"no_refusal": True}, "It is blue.", "I'm sorry, but I cannot help with that.", ("noRefusal", "it refuses")),
    ],
)
def test_words(expected: Any, good: str, bad: str, told: tuple[str, str]) -> None:
    assert lacks(Answer(text=good), **expected) == []
    assert lacks(Answer(text=bad), **expected) == [told]


@pytest.mark.parametrize(
    ("response_format", "text", "told"),
    [
        (AS_OBJECT, '{"a": 1}', []),
        (AS_OBJECT, "[1]", [("validJSON", "it is no object")]),
        (AS_OBJECT, "one", [("validJSON", "it is no JSON")]),
        (AS_SCHEMA, '{"n": 1}', []),
        (AS_SCHEMA, '{"n": "secret"}', [("validJSON", "a value is of another type than the schema says")]),
        (AS_SCHEMA, "{}", [("validJSON", "a required member is missing")]),
    ],
)
def test_json_is_that_of_the_request(response_format: Any, text: str, told: Any) -> None:
    assert lacks(Answer(text=text), response_format=response_format, valid_json=True) == told


def test_how_it_ended_how_long_it_is_and_who_answered() -> None:
    expected = {"finish_reason": "stop", "max_output_tokens": 1_000, "model": "mini"}
    good = Answer(text="x", finish_reason="stop", output_tokens=1_000, model="mini")
    bad = Answer(text="x", finish_reason="length", output_tokens=1_001, model="flagship")

    assert lacks(good, **expected) == []
    assert lacks(bad, **expected) == [
        ("finishReason", "length, not stop"),
        ("maxOutputTokens", "1,001 tokens, at most 1,000"),
        ("model", "flagship, not mini"),
    ]
    assert lacks(Answer(text="x"), **expected) == [
        ("finishReason", "not said, not stop"),
        ("maxOutputTokens", "the provider did not say how many tokens it is"),
        ("model", ", not mini"),
    ]


def test_the_model_is_not_looked_at_where_it_was_not_chosen() -> None:
    assert lacks(Answer(text="x", model="flagship"), with_model=False, model="mini") == []


def test_a_refusal_is_one_in_the_providers_own_field_too() -> None:
    assert lacks(Answer(text="", refused=True), no_refusal=True) == [("noRefusal", "it refuses")]


def test_confidence_is_the_decisions_else_our_judges() -> None:
    assert lacks(Answer(text="x", confidence=0.7), min_confidence=0.7) == []
    assert lacks(Answer(text="x", confidence=0.6), min_confidence=0.7) == [("minConfidence", "0.60, at least 0.7")]
    [(name, _)] = lacks(Answer(text="I'm not sure.", refused=True, finish_reason="length"), min_confidence=1.0)
    assert name == "minConfidence"


@given(text=st.text("abc \n{}[]:0"), confidence=st.none() | st.floats(0, 1))
def test_nothing_of_an_answer_is_said(text: str, confidence: float | None) -> None:
    secret = f"\x01{text}\x02"
    said = lacks(
        Answer(text=secret, confidence=confidence),
        response_format=AS_SCHEMA,
        contains=("\x03",),
        lacks=("\x01",),
        matches=("\x04",),
        equals="\x05",
        valid_json=True,
        min_confidence=1.0,
    )

    assert {name for name, _ in said} >= {"contains", "doesNotContain", "matches", "equals", "validJSON"}
    assert all("\x01" not in message and "\x02" not in message for _, message in said)


@pytest.mark.parametrize("pattern", ["(x+x+)+y", "(a|a)*b", "^(([a-z])+.)+[A-Z]([a-z])+$"])
def test_a_pattern_that_would_take_other_engines_for_ever_ends(pattern: str) -> None:
    assert not found(pattern, "x" * 200_000)


def test_no_pattern_is_an_error_with_the_reason() -> None:
    with pytest.raises(PatternError, match=r"missing \]"):
        found("[a", "text")
