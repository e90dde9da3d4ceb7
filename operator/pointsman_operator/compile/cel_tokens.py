"""The words of an expression in CEL, and where they stand."""

import re
from dataclasses import dataclass
from typing import Final

NAME: Final = "name"
STRING: Final = "string"
_WORDS: Final = re.compile(
    r"""
    (?P<string>
        [bB]?[rR](?:\"{3}.*?\"{3}|'{3}.*?'{3}|\"[^\"\n]*\"|'[^'\n]*') |
        [bB]?(?:\"{3}(?:\\.|[^\\])*?\"{3}|'{3}(?:\\.|[^\\])*?'{3}|\"(?:\\.|[^\\\"\n])*\"|'(?:\\.|[^\\'\n])*')
    ) |
    (?P<name>[A-Za-z_]\w*) |
    (?P<number>\d[\w.]*) |
    (?P<blank>\s+|//[^\n]*) |
    (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass(frozen=True, kw_only=True)
class Token:
    """One word: a name, a string, or another. The line and the column count from 1."""

    kind: str
    text: str
    line: int
    column: int


def tokens(expression: str) -> list[Token]:
    """The words of an expression that compiles, without blanks and comments."""
    return [
        Token(
            kind=match.lastgroup or "",
            text=match[0],
            line=expression.count("\n", 0, match.start()) + 1,
            column=match.start() - expression.rfind("\n", 0, match.start()),
        )
        for match in _WORDS.finditer(expression)
        if match.lastgroup != "blank"
    ]
