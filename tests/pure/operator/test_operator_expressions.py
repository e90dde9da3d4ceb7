"""What is wrong with a rule's expression, and where."""

import pytest

from pointsman_operator.compile.expressions import LONGEST, flaw, variables

GOOD = [
    'request.user.endsWith("@example.com")',
    "request.severity in ['High', 'Critical']",
    "'topic' in request.metadata && request.metadata['topic'] == 'legal'",
    "has(request.metadata.topic)",
    "request.estimatedInputTokens > 1000 || request.model == ''",
    "request.tools.exists(t, t.startsWith('db_'))",
    "request.tools.filter(t, t != 'x').size() > 2",
    "request.headers['x-tier'].matches('^(gold|silver)$')",
    "request.text.contains('refund') ? request.session != '' : false",
    "request.text.matches('(?i)order [0-9]+') // the order's number",
    "request.language == 'de' && 'Legal' in request.domains && !('Code' in request.content)",
    "request.modalities == ['Text'] && request.responseFormat == 'JSONSchema'",
    "['a', 'b'].all(x, x in request.metadata)",
    "request.metadata.exists(k, k == 'a' && request.metadata[k] == \"all(\")",
    "request.user ==\n  'ann'",
    "r'\\d' != request.user && '''a'b''' != \"\"",
    "request.user.matches(r'^\\{')",
]


@pytest.mark.parametrize("expression", GOOD)
def test_it_can_be_used(expression: str) -> None:
    assert flaw(expression) is None


# Each with the line, the column and the words.
BAD = [
    ("request.usr == 'ann'", 1, 8, "there is no request.usr: write one of request.user, "),
    ("request == 'ann'", 1, 1, "there is no request: write one of request.user, "),
    ("user == 'ann'", 1, 1, "there is no user: what is known of a request is in request"),
    ("request.user ==", 1, 16, "it ends too early"),
    ("request.user == 'ann", 1, 17, "'ann cannot be read"),
    ("request.user = 'ann'", 1, 14, "= cannot be read"),
    ("request.user\n  == ]", 2, 6, "] cannot stand here"),
    ("(request.user == 'ann'", 1, 23, "it ends too early: ) is missing"),
    ("request.user + 1 == 'a'", 1, 14, "+ cannot be used with (string, int)"),
    ("request.user > 3", 1, 14, "> cannot be used with (string, int)"),
    ("request.user.startsWith(1)", 1, 24, "startsWith cannot be used with (string, int)"),
    ("request.user.lower() == 'a'", 1, 19, "there is no lower"),
    ("request.metadata.topic.x == 'a'", 1, 23, "string has no fields"),
    ("now() > 1", 1, 4, "there is no now"),
    ("request.user", 1, 1, "it gives string, and must be true or false"),
    ("request.estimatedInputTokens", 1, 1, "it gives int, and must be true or false"),
    ("request.tools.map(t, t)", 1, 1, "it gives list<string>, and must be true or false"),
    ("dyn(request.user)", 1, 1, "it gives dyn, and must be true or false"),
    ("(" * 60 + "true" + ")" * 60, 1, 1, "it is nested too deeply"),
    (
        "request.tools.all(a, request.tools.all(b, a == b))",
        1,
        36,
        "all stands inside of all, and loops cannot be nested",
    ),
    ("true ||\nrequest.tools.exists(a, ['b'].exists_one(b, a == b))", 2, 31, "exists_one stands inside of exists"),
    ("request.tools.exists(t, t.matches('^a'))", 1, 27, "matches stands inside of exists: write startsWith"),
    ("request.tools.exists(t, request.text.contains(t))", 1, 25, "request.text stands inside of exists"),
    ("(request.tools + request.tools).all(t, t != '')", 1, 33, "all must follow a list or a map itself"),
    (
        f"request.tools.all(t, {' || '.join(['request.user == t'] * 5)})",
        1,
        106,
        "all holds more than 4 of request's fields",
    ),
    ("request.user.matches('a{3}')", 1, 22, "the pattern holds {, which can make it as large as a program"),
    ("request.user.matches(r'\\pL')", 1, 22, "the pattern holds \\p, which can"),
    ("request.user.matches('(')", 1, 22, "the pattern cannot be read: missing ): ("),
    ("request.user.matches('[z-a]')", 1, 22, "the pattern cannot be read: invalid character class range"),
    ("request.user.matches(request.session)", 1, 14, "matches takes one pattern in quotation marks"),
    ("matches(request.user, 'a')", 1, 1, "matches takes one pattern in quotation marks"),
    ("request.user.matches('a' + 'b')", 1, 14, "matches takes one pattern in quotation marks"),
    (f"request.user.matches('{'a' * 65}')", 1, 22, "the pattern is longer than 64 characters"),
    (" || ".join(["request.user.matches('a')"] * 5), 1, 130, "it has more than 4 matches: join patterns with |"),
    ("true || " * 130 + "true", 1, LONGEST + 1, "it is longer than 1024 characters"),
]


@pytest.mark.parametrize(("expression", "line", "column", "words"), BAD)
def test_it_cannot_be_used_and_the_place_is_told(expression: str, line: int, column: int, words: str) -> None:
    found = flaw(expression)

    assert found is not None
    assert found.message.startswith(words)
    assert (found.line, found.column) == (line, column)


def test_what_is_shown_has_a_caret_under_the_place() -> None:
    expression = "request.user != '' &&\n  request.usr == 'ann'"
    found = flaw(expression)

    assert found is not None
    assert found.shown(expression).splitlines()[1:] == ["    request.usr == 'ann'", "           ^"]
    assert found.shown(expression).startswith("2:10: there is no request.usr")


def test_names_that_a_string_holds_are_no_loops() -> None:
    assert flaw("request.user == 'x.all(' && request.user.contains(\".map(.map(\")") is None


def test_the_variables_are_those_of_the_contract() -> None:
    assert {"request.user", "request.text", "request.headers", "request.estimatedInputTokens"} <= set(variables())
