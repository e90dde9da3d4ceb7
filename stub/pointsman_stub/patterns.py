"""A string that fits a regular expression, for JSON schemas with a `pattern`.

Literals, classes, groups, alternatives (the first is taken) and quantifiers are understood. Everything else is
refused; the caller checks the result with `re`, so a misread pattern is never answered wrongly.
"""

import re
import string
from dataclasses import dataclass

_CLASSES = {"d": string.digits, "w": string.ascii_lowercase + string.digits + "_", "s": " "}
_CONTROLS = {"n": "\n", "r": "\r", "t": "\t"}
_PRINTABLE = string.ascii_letters + string.digits + string.punctuation + " "
_QUANTIFIER = re.compile(r"\*|\+|\?|\{(\d+)(,?)(\d*)\}")


class UnreadablePatternError(ValueError):
    """The pattern uses what this module does not understand."""


def example(pattern: str, *, extra: int = 0) -> str:
    """A string for the pattern, each of its open repetitions `extra` times longer than it has to be."""
    reader = _Reader(pattern=pattern, extra=extra)
    text = reader.alternatives()
    if reader.at < len(pattern):
        raise UnreadablePatternError(f"unexpected '{pattern[reader.at]}' at position {reader.at}")
    return text


@dataclass(kw_only=True)
class _Reader:
    """A position in a pattern; each method reads one construct and returns a string for it."""

    pattern: str
    extra: int
    at: int = 0

    def alternatives(self) -> str:
        first = self.sequence()
        while self.peek() == "|":
            self.at += 1
            self.sequence()
        return first

    def sequence(self) -> str:
        text = ""
        while self.peek() not in ("", "|", ")"):
            text += self.repeated(self.atom())
        return text

    def atom(self) -> str:
        match character := self.next():
            case "^" | "$":
                return ""
            case ".":
                return "a"
            case "(":
                return self.group()
            case "[":
                return self.character_class()
            case "\\":
                return self.escape()[0]
            case "*" | "+" | "?" | "{":
                raise UnreadablePatternError(f"nothing to repeat at position {self.at - 1}")
            case _:
                return character

    def group(self) -> str:
        if self.pattern.startswith("?:", self.at):
            self.at += 2
        elif self.peek() == "?":
            raise UnreadablePatternError(f"a group of a kind not understood at position {self.at}")
        text = self.alternatives()
        if self.next() != ")":
            raise UnreadablePatternError("a group is not closed")
        return text

    def character_class(self) -> str:
        negated = self.peek() == "^"
        self.at += negated
        members = ""
        while self.peek() != "]" or not members:
            first = self.member()
            if self.peek() == "-" and not self.pattern.startswith("-]", self.at):
                self.at += 1
                last = self.member()
                members += "".join(map(chr, range(ord(first[0]), ord(last[0]) + 1)))
            else:
                members += first
        self.at += 1
        fitting = [c for c in _PRINTABLE if c not in members] if negated else members
        if not fitting:
            raise UnreadablePatternError("a class leaves no printable character")
        return fitting[0]

    def member(self) -> str:
        character = self.next()
        return self.escape() if character == "\\" else character

    def escape(self) -> str:
        character = self.next()
        if character in _CLASSES:
            return _CLASSES[character]
        if character in _CONTROLS:
            return _CONTROLS[character]
        if character.isalnum():
            raise UnreadablePatternError(f"'\\{character}' is not understood")
        return character

    def repeated(self, text: str) -> str:
        found = _QUANTIFIER.match(self.pattern, self.at)
        if found is None:
            return text
        self.at = found.end()
        if self.peek() in ("?", "+"):  # lazy or possessive: the same strings fit
            self.at += 1
        low, high = _bounds(found)
        times = low + self.extra if high is None else min(low + self.extra, high)
        return text * times

    def peek(self) -> str:
        return self.pattern[self.at : self.at + 1]

    def next(self) -> str:
        if self.at >= len(self.pattern):
            raise UnreadablePatternError("it ends too early")
        self.at += 1
        return self.pattern[self.at - 1]


def _bounds(found: re.Match[str]) -> tuple[int, int | None]:
    match found[0]:
        case "*":
            return 0, None
        case "+":
            return 1, None
        case "?":
            return 0, 1
        case _:
            low = int(found[1])
            return low, (int(found[3]) if found[3] else None) if found[2] else low
