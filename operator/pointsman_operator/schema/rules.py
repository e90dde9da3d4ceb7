"""The CEL rules and the patterns of a schema: compiled once, when first needed, and asked about values.

Both run on CEL's C++ engine, patterns too, since the API server's regular expressions are RE2's and not Python's. The
server runs CEL's Go engine. The two agree on the standard functions, which rules must keep to, but for how they read
unusual text as a number or a duration (`double('1_0')`, `duration('1µs')`): a field with such a rule needs a pattern.
"""

import json
import re
from dataclasses import dataclass
from functools import cache, cached_property
from typing import Any, Final

from cel_expr_python import cel

from pointsman_operator.schema import refusals
from pointsman_operator.schema.refusals import Refusal

_RESERVED: Final = frozenset(
    {
        "as", "break", "const", "continue", "else", "false", "for", "function", "if", "import", "in", "let", "loop",
        "namespace", "null", "package", "return", "true", "var", "void", "while",
    }
)  # fmt: skip
_ESCAPES: Final = {"__": "__underscores__", ".": "__dot__", "-": "__dash__", "/": "__slash__"}
_LONGEST_MESSAGE: Final = 5 * 1024  # bytes

# What the server's engine says where ours uses other words.
_CONVERSION: Final = "type conversion error from 'string' to "
_SERVER_WORDS: Final = (
    (re.compile(r"String to Duration conversion failed|Duration \".*\" (above|below)"),
     _CONVERSION + "'google.protobuf.Duration'"),
    (re.compile(r"String to Timestamp conversion failed"), _CONVERSION + "'google.protobuf.Timestamp'"),
    (re.compile(r"cannot convert string to (int|uint|double)"), _CONVERSION + r"'\1'"),
    (re.compile(r"Key not found in map : \"(.*)\""), r"no such key: \1"),
    (re.compile(r"Index error: index=(-?\d+)"), r"index out of bounds: \1"),
    (re.compile(r"divide by zero"), "division by zero"),
)  # fmt: skip


class BrokenRuleError(Exception):
    """Raised when a rule or a pattern of a CustomResourceDefinition does not compile: the definition is at fault."""


def escaped(name: str) -> str | None:
    """Return a property's name as CEL rules write it; None where they cannot."""
    if name in _RESERVED:
        return f"__{name}__"
    if not re.fullmatch(r"[A-Za-z_./-][A-Za-z0-9_./-]*", name):
        return None
    return re.sub(r"__|[./-]", lambda match: _ESCAPES[match[0]], name)


@cache
def _environment() -> cel.Env:
    return cel.NewEnv(variables={"self": cel.Type.DYN})


def _compiled(expression: str, *, at: str) -> cel.Expression:
    try:
        return _environment().compile(expression)
    except RuntimeError as error:
        raise BrokenRuleError(f"{at}: {expression} does not compile: {error}") from None


def bound(value: Any) -> cel.Activation:
    """Bind a value to `self`, for as many rules as ask about it."""
    return _environment().Activation({"self": value})


@dataclass(frozen=True, kw_only=True)
class Pattern:
    """A regular expression that a string must match somewhere."""

    text: str
    at: str

    @cached_property
    def _expression(self) -> cel.Expression:
        return _compiled(f"self.matches({json.dumps(self.text, ensure_ascii=False)})", at=self.at)

    def matches(self, text: str) -> bool:
        """Say whether the text matches."""
        result = self._expression.eval(data={"self": text})
        if result.type() == cel.Type.ERROR:
            raise BrokenRuleError(f"{self.at}: the pattern {self.text} does not compile: {result.value()}")
        return bool(result.value())


@dataclass(frozen=True, kw_only=True)
class Rule:
    """One entry of x-kubernetes-validations."""

    expression: str
    message: str
    message_expression: str | None
    field_path: str
    at: str

    @cached_property
    def _condition(self) -> cel.Expression:
        return _compiled(self.expression, at=self.at)

    @cached_property
    def _wording(self) -> cel.Expression | None:
        return _compiled(self.message_expression, at=self.at) if self.message_expression else None

    def refusal(self, value: cel.Activation, *, path: str, kind: str) -> Refusal | None:
        """Ask the rule about a value of the schema type `kind`."""
        result = self._condition.eval(value)
        if result.type() == cel.Type.ERROR:
            fault = _in_server_words(result.value())
            return refusals.invalid(
                path or "<nil>", kind, f"{fault} evaluating rule: {self.message or self.expression}"
            )
        if result.value() is True:
            return None
        field = f"{path}{self.field_path}".removeprefix(".")
        return refusals.invalid(field or "<nil>", kind, self._said(value))

    def _said(self, value: cel.Activation) -> str:
        if self._wording:
            result = self._wording.eval(value)
            text = result.value().strip() if result.type() == cel.Type.STRING else ""
            if text and "\n" not in text and len(text.encode()) <= _LONGEST_MESSAGE:
                return text
        return self.message or f"failed rule: {self.expression}"


def _in_server_words(error: str) -> str:
    for pattern, words in _SERVER_WORDS:
        if match := pattern.search(error):
            return match.expand(words)
    return error.partition(": ")[2] or error
