"""Suites as people write them, and what is wrong with them, by line and field."""

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.regression.reading import SuiteError, read_suite, suite_of
from pointsman.regression.suites import Case, Expected

Json = dict[str, Any]
ASKED: Json = {"messages": [{"role": "user", "content": "Hello?"}]}

KNOWN = (
    "contains, doesNotContain, matches, equals, validJSON, finishReason, "
    "maxOutputTokens, model, noRefusal, minConfidence"
)


def case(name: str = "hello", *, expect: Any = None, **more: Any) -> Json:
    return {"name": name, "request": ASKED, "expect": {"contains": "Hello"} if expect is None else expect, **more}


def suite(*cases: Any, **more: Any) -> str:
    """A suite with a case on each line, from the third on."""
    head = {"suite": "answers", **more}
    lines = [f"{name}: {json.dumps(value)}" for name, value in head.items()]
    return "\n".join([*lines, "cases:", *(f"- {json.dumps(each)}" for each in cases or (case(),))])


def told(text: str) -> str:
    with pytest.raises(SuiteError) as raised:
        suite_of(text, source="suite.yaml")
    return str(raised.value)


def test_all_that_can_be_expected_is_read() -> None:
    expect = {
        "contains": ["a", "b"],
        "doesNotContain": "c",
        "matches": ["(?i)d+"],
        "equals": "e",
        "validJSON": True,
        "finishReason": "stop",
        "maxOutputTokens": 9,
        "model": "mini",
        "noRefusal": True,
        "minConfidence": "0.7",
    }
    request = {**ASKED, "response_format": {"type": "json_object"}, "metadata": {"topic": "legal"}}
    read = suite_of(
        suite(case(expect=expect, request=request, headers={"X-Pointsman-Severity": "high"})), source="suite.yaml"
    )

    assert read.name == "answers"
    assert read.cases == (
        Case(
            name="hello",
            request=request,
            headers={"x-pointsman-severity": "high"},
            expected=Expected(
                contains=("a", "b"),
                lacks=("c",),
                matches=("(?i)d+",),
                equals="e",
                valid_json=True,
                finish_reason="stop",
                max_output_tokens=9,
                model="mini",
                no_refusal=True,
                min_confidence=0.7,
            ),
        ),
    )


def test_the_example_is_a_suite() -> None:
    read = read_suite(Path(__file__).parents[3] / "examples/regress/suites/support-answers.yaml")

    assert read.name == "support-answers"
    assert [each.name for each in read.cases] == ["refund-window", "order-as-json", "order-is-looked-up", "lease"]


def test_a_digest_is_of_the_content_and_not_of_comments() -> None:
    plain, other = suite(), suite(case(expect={"contains": "Bye"}))
    digests = [suite_of(text, source="-").digest for text in (plain, f"# why\n{plain}", other)]

    assert digests[0] == digests[1] != digests[2]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", "suite.yaml: it is empty: write a suite's name and its cases"),
        ("a: [", "suite.yaml:1:5: while parsing a flow node, did not find expected node content"),
        ("a: 1\na: 2", "suite.yaml:2:1: the key 'a' stands twice, first in line 1"),
        ("- 1", "suite.yaml:1: must be a mapping: write a mapping with suite, cases"),
        (suite(more=1), "suite.yaml:1: more: is not known; there are suite, cases"),
        ("cases: []", "suite.yaml:1: suite: is missing"),
        ("suite: 5\ncases: []", "suite.yaml:1: suite: must be a text; a number needs quotation marks"),
        (
            "suite: Support Answers",
            "suite.yaml:1: suite: must be at most 63 lower-case letters, digits and dashes, such as support-answers",
        ),
        ("suite: answers", "suite.yaml:1: cases: must be a list of 1 to 1,000 cases"),
        ("suite: answers\ncases: []", "suite.yaml:1: cases: must be a list of 1 to 1,000 cases"),
    ],
)
def test_what_is_no_suite_is_refused_with_its_place(text: str, expected: str) -> None:
    assert told(text) == expected


@pytest.mark.parametrize(
    ("second", "expected"),
    [
        (5, "cases[1]: must be a mapping: write a mapping with name, headers, request, expect"),
        (case("hello"), "cases[1].name: hello is that of line 3 too"),
        (case("a/b"), "cases[1].name: must be at most 63 letters, digits, dashes, dots and underscores"),
        (case("b", prompt="x"), "cases[1].prompt: is not known; there are name, headers, request, expect"),
        ({"name": "b"}, "cases[1].request: is missing: write a mapping"),
        (case("b", request={}), "cases[1].request: does not fit: object missing required field `messages`"),
        (
            case("b", request={"messages": [{}]}),
            "cases[1].request.messages[0]: does not fit: object missing required field `role`",
        ),
        (
            case("b", request={**ASKED, "stream": True}),
            "cases[1].request.stream: leave it out: answers are looked at whole",
        ),
        (
            case("b", request={**ASKED, "model": "mini"}),
            "cases[1].request.model: leave it out: the sides say which model answers",
        ),
        (
            case("b", headers={"x-pointsman-severity": "dire"}),
            "cases[1].headers: x-pointsman-severity is 'dire': write low, medium, high or critical",
        ),
        (case("b", headers={"a": 1}), "cases[1].headers.a: must be a text of one line, in plain characters"),
        (
            case("b", headers={"x-pointsman-decision": "body"}),
            "cases[1].headers.x-pointsman-decision: is set by regress; leave it out",
        ),
        (
            case("b", expect={}),
            f"cases[1].expect: must expect something: {KNOWN}",
        ),
        (
            case("b", expect={"contain": "x"}),
            f"cases[1].expect.contain: is not known; there are {KNOWN}",
        ),
        (
            case("b", expect={"contains": [1]}),
            "cases[1].expect.contains: must be a text, or a list of 1 to 32; a number needs quotation marks",
        ),
        (
            case("b", expect={"matches": ["a", "(b"]}),
            "cases[1].expect.matches[1]: is no pattern (of RE2): missing ): (b",
        ),
        (
            case("b", expect={"matches": "(?=b)"}),
            "cases[1].expect.matches: is no pattern (of RE2): invalid perl operator: (?=",
        ),
        (case("b", expect={"matches": "b" * 257}), "cases[1].expect.matches: must be at most 256 characters long"),
        (case("b", expect={"equals": 42}), "cases[1].expect.equals: must be a text; a number needs quotation marks"),
        (
            case("b", expect={"validJSON": True}),
            "cases[1].expect.validJSON: the request has no response_format that asks for JSON: add one",
        ),
        (
            case("b", expect={"noRefusal": False}),
            "cases[1].expect.noRefusal: must be true; leave it out where it is not to be looked at",
        ),
        (
            case("b", expect={"finishReason": "done"}),
            "cases[1].expect.finishReason: must be one of stop, length, tool_calls, content_filter",
        ),
        (case("b", expect={"maxOutputTokens": 0}), "cases[1].expect.maxOutputTokens: must be a whole number from 1 on"),
        (case("b", expect={"model": ""}), "cases[1].expect.model: must be the name of one of the policy's models"),
        (
            case("b", expect={"minConfidence": "much"}),
            'cases[1].expect.minConfidence: must be a number above 0 and at most 1, such as "0.7"',
        ),
        (
            case("b", expect={"minConfidence": True}),
            'cases[1].expect.minConfidence: must be a number above 0 and at most 1, such as "0.7"',
        ),
    ],
)
def test_a_case_that_is_wrong_is_refused_with_its_line_and_field(second: Any, expected: str) -> None:
    assert told(suite(case(), second)) == f"suite.yaml:4: {expected}"


json_values = st.recursive(
    st.none() | st.booleans() | st.floats(allow_nan=False, allow_infinity=False) | st.text(),
    lambda each: st.lists(each) | st.dictionaries(st.text(), each),
    max_leaves=8,
)


@given(json_values)
def test_whatever_stands_in_a_case_is_read_or_answered_by_a_sentence(value: Any) -> None:
    for text in (suite(value), suite(case(expect=value)), suite(case(request=value)), suite(case(headers=value))):
        with suppress(SuiteError):
            suite_of(text, source="suite.yaml")
