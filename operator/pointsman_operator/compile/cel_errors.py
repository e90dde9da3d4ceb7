"""What CEL's compiler says of an expression that it refuses, in a sentence for people."""

import re
from dataclasses import dataclass
from typing import Final

# The first of the errors; its line and column count from 1.
_ERROR: Final = re.compile(r"ERROR: <input>:(\d+):(\d+): (.*)")
_UNDECLARED: Final = re.compile(r"undeclared reference to '([^']*)'")
_WORDS: Final = (
    (re.compile(r"Syntax error: (?:mismatched|extraneous) input '<EOF>'.*"), "it ends too early"),
    (re.compile(r"Syntax error: missing '(.*?)' at '<EOF>'"), r"it ends too early: \1 is missing"),
    (re.compile(r"Syntax error: missing '(.*?)' at '(.*)'"), r"\1 is missing before \2"),
    (re.compile(r"Syntax error: no viable alternative at input '(.*)'"), r"\1 cannot stand here"),
    (re.compile(r"Syntax error: (?:mismatched|extraneous) input '(.*?)' expecting .*"), r"\1 cannot stand here"),
    (re.compile(r"Syntax error: token recognition error at: '(.*?)\s*'$"), r"\1 cannot be read"),
    (re.compile(r"Syntax error: "), ""),
    (
        re.compile(r"found no matching overload for '_?(.*?)_?' applied to '\((.*)\)'"),
        r"\1 cannot be used with (\2)",
    ),
    (
        re.compile(r"expression of type '(.*)' cannot be the operand of a select operation"),
        r"\1 has no fields",
    ),
    (re.compile(r" \(in container ''\)"), ""),
)
_TOO_DEEP: Final = "recursion limit"


@dataclass(frozen=True, kw_only=True)
class CelError:
    """One error: a sentence, its place, and the name that it does not know, where it is one."""

    message: str
    line: int
    column: int
    undeclared: str = ""


def first_error(text: str) -> CelError:
    """The first of those that the compiler gives at once."""
    match = _ERROR.search(text)
    if match is None:
        message = "it is nested too deeply" if _TOO_DEEP in text else "it cannot be read"
        return CelError(message=message, line=1, column=1)
    line, column, message = int(match[1]), max(1, int(match[2])), match[3]
    undeclared = _UNDECLARED.match(message)
    for pattern, words in _WORDS:
        message = pattern.sub(words, message)
    return CelError(message=message, line=line, column=column, undeclared=undeclared[1] if undeclared else "")
