"""Patterns as the policies' expressions have them: RE2, which goes through a text once whatever the pattern is.

It comes with CEL's engine, which the command has for rules.
"""

from functools import cache
from typing import Final

from cel_expr_python import cel

LONGEST: Final = 256
LONGEST_TEXT: Final = 100_000
"""What is longer is looked at so far."""
_TOLD: Final = "invalid regular expression: "


class PatternError(Exception):
    """It is no pattern. The text says why."""


def found(pattern: str, text: str) -> bool:
    """Whether the pattern is found in the text.

    Raises:
        PatternError: it is none.
    """
    try:
        result = _matching().eval(data={"text": text[:LONGEST_TEXT], "pattern": pattern})
    except RuntimeError as error:
        raise PatternError(_why(str(error))) from None
    if result.type() != cel.Type.BOOL:
        raise PatternError(_why(str(result.value())))
    return bool(result.value())


@cache
def _matching() -> cel.Expression:
    environment = cel.NewEnv(variables={"text": cel.Type.STRING, "pattern": cel.Type.STRING})
    return environment.compile("text.matches(pattern)")


def _why(error: str) -> str:
    _, told, why = error.partition(_TOLD)
    return why if told else "it takes too much to look for"
