"""What is wrong with a rule's expression, and where.

CEL's own compiler says most of it. Beside that, what an expression may cost is bounded here, by its form: no request is
then needed to know that it ends in time. What a sidecar has in `request` is read off the contract.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from typing import Final

from cel_expr_python import cel
from google.protobuf.descriptor import FieldDescriptor

from pointsman_api.v1 import snapshot_pb2
from pointsman_operator.compile.cel_errors import CelError, first_error
from pointsman_operator.compile.cel_tokens import NAME, STRING, Token, tokens

INVALID_EXPRESSION: Final = "InvalidExpression"
LONGEST: Final = 1024
"""In characters. The CRD says so too."""
MOST_MATCHES: Final = 4
LONGEST_PATTERN: Final = 64
MOST_IN_LOOP: Final = 4

_LOOPS: Final = frozenset({"all", "exists", "exists_one", "map", "filter"})
_BRACKETS: Final = {"(": ")", "[": "]", "{": "}"}
# Repetitions by number and classes of Unicode make large programs of small patterns.
_DEAR: Final = ("{", r"\p", r"\P")
_SCALARS: Final = {
    FieldDescriptor.TYPE_STRING: cel.Type.STRING,
    FieldDescriptor.TYPE_INT64: cel.Type.INT,
}


@dataclass(frozen=True, kw_only=True)
class Flaw:
    """What is wrong with an expression: a sentence, and the line and the column, from 1."""

    message: str
    line: int
    column: int

    def shown(self, expression: str) -> str:
        """The sentence, and a caret under the place."""
        lines = expression.split("\n")
        at = lines[min(self.line, len(lines)) - 1].expandtabs(1)
        return f"{self.line}:{self.column}: {self.message}\n  {at}\n  {' ' * (self.column - 1)}^"


def flaw(expression: str) -> Flaw | None:
    """The first thing that is wrong with it; None where it can be used."""
    if len(expression) > LONGEST:
        return Flaw(message=f"it is longer than {LONGEST} characters", line=1, column=LONGEST + 1)
    try:
        compiled = _environment().compile(expression)
    except RuntimeError as error:
        return _told(first_error(str(error)))
    kind = compiled.return_type()
    if kind != cel.Type.BOOL:
        return Flaw(message=f"it gives {kind.name().lower()}, and must be true or false", line=1, column=1)
    return next(_dear(expression), None)


def variables() -> dict[str, cel.Type]:
    """What expressions may name, and of which type: the fields of the contract's message."""
    fields = snapshot_pb2.ExpressionVariables.DESCRIPTOR.fields
    return {f"request.{field.json_name}": _type(field) for field in fields}


def _type(field: FieldDescriptor) -> cel.Type:
    if field.message_type is not None:
        return cel.Type.Map(cel.Type.STRING, cel.Type.STRING)
    scalar = _SCALARS[field.type]
    return cel.Type.List(scalar) if field.is_repeated else scalar


@cache
def _environment() -> cel.Env:
    return cel.NewEnv(variables=variables())


def _told(error: CelError) -> Flaw:
    message = error.message
    if error.undeclared:
        if error.undeclared == "request" or error.undeclared.startswith("request."):
            message = f"there is no {error.undeclared}: write one of {', '.join(variables())}"
        else:
            message = f"there is no {error.undeclared}: what is known of a request is in request, such as request.user"
    return Flaw(message=message, line=error.line, column=error.column)


def _dear(expression: str) -> Iterator[Flaw]:
    """What could cost more than a request may."""
    found = tokens(expression)
    loops = [at for at, token in enumerate(found) if token.text in _LOOPS and _is_call(found, at)]
    ends = {at: _closing(found, at + 1) for at in loops}
    for at in loops:
        yield from _in_loop(found, at, ends)
    calls = [at for at, token in enumerate(found) if token.kind == NAME and token.text == "matches"]
    for number, at in enumerate(calls):
        if number == MOST_MATCHES:
            yield _flaw(found[at], f"it has more than {MOST_MATCHES} matches: join patterns with |")
        yield from _in_pattern(found, at)


def _in_loop(found: list[Token], at: int, ends: dict[int, int]) -> Iterator[Flaw]:
    name = found[at].text
    before = found[at - 2]
    if before.text == ")" and at - 2 not in ends.values():
        yield _flaw(found[at], f"{name} must follow a list or a map itself, such as request.tools.{name}(…)")
    inside = range(at + 2, ends[at])
    for each in inside:
        token = found[each]
        if each in ends:
            yield _flaw(token, f"{token.text} stands inside of {name}, and loops cannot be nested")
        if token.text == "matches" and _is_call(found, each):
            yield _flaw(token, f"matches stands inside of {name}: write startsWith, endsWith, contains, == or in")
        if token.text == "request" and _texts(found, each, 3) == ["request", ".", "text"]:
            yield _flaw(token, f"request.text stands inside of {name}, where it would be read many times")
    named = [each for each in inside if found[each].text == "request"]
    if len(named) > MOST_IN_LOOP:
        yield _flaw(found[named[MOST_IN_LOOP]], f"{name} holds more than {MOST_IN_LOOP} of request's fields")


def _in_pattern(found: list[Token], at: int) -> Iterator[Flaw]:
    rest = found[at + 1 : at + 4]
    if [token.text for token in rest[::2]] != ["(", ")"] or rest[1].kind != STRING or found[at - 1].text != ".":
        yield _flaw(found[at], "matches takes one pattern in quotation marks, such as request.user.matches('^a')")
        return
    pattern = rest[1]
    text = str(_environment().compile(pattern.text).eval().value())
    if len(text) > LONGEST_PATTERN:
        yield _flaw(pattern, f"the pattern is longer than {LONGEST_PATTERN} characters")
    bare = text.replace(r"\\", "").replace(r"\{", "")
    if dear := next((each for each in _DEAR if each in bare), None):
        yield _flaw(pattern, f"the pattern holds {dear}, which can make it as large as a program: write it out")
    result = _environment().compile(f"''.matches({pattern.text})").eval()
    if result.type() == cel.Type.ERROR:
        why = str(result.value()).partition("invalid regular expression: ")[2]
        yield _flaw(pattern, f"the pattern cannot be read: {why or 'it is no regular expression of RE2'}")


def _is_call(found: list[Token], at: int) -> bool:
    return at > 1 and found[at - 1].text == "." and _texts(found, at + 1, 1) == ["("]


def _texts(found: list[Token], at: int, number: int) -> list[str]:
    return [token.text for token in found[at : at + number]]


def _closing(found: list[Token], at: int) -> int:
    """Where the bracket at `at` closes: what compiles has one."""
    depth = 0
    for each in range(at, len(found)):
        if found[each].kind == STRING:
            continue
        depth += (found[each].text in _BRACKETS) - (found[each].text in _BRACKETS.values())
        if depth == 0:
            return each
    return len(found)


def _flaw(token: Token, message: str) -> Flaw:
    return Flaw(message=message, line=token.line, column=token.column)
