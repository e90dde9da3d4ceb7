"""One side of an equation: the tokens that belong to it, and what it comes to.

Words are what an answer has most of. Those between a number and an operator are units and are passed over; a number
after a number begins another expression; and what cannot be told, such as an unknown, makes the whole side unreadable.
Nothing is claimed of such a side.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from pointsman_sidecar.confidence.tokens import Kind, Token

# A side of more is none that a person wrote down to be checked.
MOST_PARTS = 60
# More words than this between a number and an operator, and they belong to two sentences.
_MOST_WORDS = 6
_MOST_COMMENT = 12
_MOST_BASE, _MOST_POWER = 1e6, 10
_OF = {"of", "von", "de", "di", "van"}
_TIMES = {"x"}
_PACKS = {"dozen", "dozens"}

Part = float | str


@dataclass(frozen=True, slots=True)
class Expression:
    """What a side comes to, and how: its numbers in order and its operators, in the order written."""

    value: float
    numbers: tuple[float, ...]
    operators: str
    decimals: int = 0
    has_percent: bool = False


def before_equals(side: Sequence[Token]) -> Expression | None:
    """The last expression of what stands before an equals sign; None where it cannot be told."""
    reader = _Reader(restarts=True)
    reader.read(side)
    return reader.expression()


def after_equals(side: Sequence[Token]) -> Expression | None:
    """The first expression of what stands after an equals sign; None where it cannot be told."""
    reader = _Reader(restarts=False)
    reader.read(side)
    return reader.expression()


class _Reader:
    """Goes through a side once. `restarts` says whether a second expression takes the place of the first or ends it."""

    def __init__(self, *, restarts: bool) -> None:
        self._restarts = restarts
        self._clear()

    def _clear(self) -> None:
        self._parts: list[Part] = []
        self._numbers: list[float] = []
        self._words = 0
        self._last_word = ""
        self._decimals = 0
        self._depth = 0
        self._is_unreadable = False
        self._has_percent = False
        self._is_loose = False
        self._fraction_is_divisor = False

    def read(self, side: Sequence[Token]) -> None:
        index, end = 0, len(side)
        while index < end and len(self._parts) <= MOST_PARTS:
            taken = self._take(side, index)
            if taken is None:
                return
            index = taken + 1
        self._is_unreadable = self._is_unreadable or index < end

    def _take(self, side: Sequence[Token], index: int) -> int | None:
        """Take in a token; the index of the last one that went with it, None where the expression is at its end."""
        token = side[index]
        following = side[index + 1] if index + 1 < len(side) else None
        if token.kind is Kind.NUMBER:
            return index if self._number(token) else None
        if token.kind is Kind.OPERATOR:
            return self._operator(token, following, index)
        if token.kind is Kind.OPEN:
            return self._open(side, index)
        if token.kind is Kind.BREAK:
            if not self._restarts:
                return None
            self._clear()
        elif token.kind is Kind.PERCENT:
            self._percent()
        elif token.kind is Kind.CLOSE:
            self._close()
        elif token.kind is Kind.WORD:
            self._word(token, following)
        else:
            self._is_unreadable = True
        return index

    def _needs_operand(self) -> bool:
        return not self._parts or (isinstance(self._parts[-1], str) and self._parts[-1] != ")")

    def _number(self, token: Token) -> bool:
        """Take in a number; whether to go on."""
        if not self._needs_operand():
            if self._last_word in _OF and (self._has_percent or "/" in self._parts):
                self._parts.append("*")
            elif self._restarts:
                # 2 1/2 is neither 1/2 nor 21/2; and what an unknown stands in does not end at a number without a word.
                is_beside = not self._words
                self._clear()
                self._is_unreadable = is_beside
            else:
                return False
        if token.is_joined and self._fraction_is_divisor:
            # 12 / 2/5: the fraction is written close, and is what is divided by.
            self._parts[-2:] = [self._numbers[-1] / token.value if token.value else math.nan]
        else:
            self._parts.append(token.value)
        self._fraction_is_divisor = False
        self._numbers.append(token.value)
        self._decimals = token.decimals
        self._words, self._last_word = 0, ""
        return True

    def _percent(self) -> None:
        if self._parts and isinstance(self._parts[-1], float):
            self._parts[-1] /= 100
            self._has_percent = True

    def _operator(self, token: Token, following: Token | None, index: int) -> int:
        """Take in an operator; the index of the last token that belongs to it."""
        if self._needs_operand():
            is_sign = token.text == "-" and not self._words and following is not None and following.kind is Kind.NUMBER
            if is_sign:
                self._parts.append("~")
            elif not (self._parts and self._parts[-1] == "*" and token.text == "*"):  # ** is a power
                self._is_unreadable = True
            else:
                self._parts[-1] = "^"
            return index
        if token.text == "/" and following is not None and following.kind is Kind.WORD:
            return index + 1  # 60 meters/sprint
        if self._words > _MOST_WORDS:
            self._clear()
            self._is_unreadable = True
            return index
        if token.text == "-" and not self._restarts and (following is None or following.kind is Kind.WORD):
            self._words = _MOST_WORDS + 1  # a dash
            return index
        is_fraction = token.text == "/" and token.is_joined and not self._words
        self._fraction_is_divisor = (
            is_fraction and self._is_loose and self._parts[-2:-1] == ["/"] and isinstance(self._parts[-1], float)
        )
        self._is_loose = token.text == "/" and not token.is_joined
        self._parts.append(token.text)
        self._words, self._last_word = 0, ""
        return index

    def _open(self, side: Sequence[Token], index: int) -> int:
        is_joined = side[index].is_joined
        starts_sum = index + 1 < len(side) and side[index + 1].kind in {Kind.NUMBER, Kind.OPEN, Kind.OPERATOR}
        if self._needs_operand() and starts_sum:
            self._parts.append("(")
            self._depth += 1
        elif starts_sum and is_joined and not self._words:
            self._parts.extend(("*", "("))
            self._depth += 1
        else:  # a remark
            for ahead in range(index + 1, min(len(side), index + _MOST_COMMENT)):
                if side[ahead].kind is Kind.CLOSE:
                    return ahead
            self._is_unreadable = True
        return index

    def _close(self) -> None:
        if self._depth and not self._needs_operand():
            self._parts.append(")")
            self._depth -= 1
        elif self._restarts:
            self._clear()
        else:
            self._words = _MOST_WORDS + 1

    def _word(self, token: Token, following: Token | None) -> None:
        is_factor = following is not None and following.kind in {Kind.NUMBER, Kind.OPEN}
        if token.text in _TIMES and is_factor and not self._needs_operand():
            self._parts.append("*")
            self._words, self._last_word = 0, ""
            return
        if token.text in _PACKS:
            self._is_unreadable = True  # 2 dozen * 12, but 2 dozen * $3 a dozen
        self._words += 1
        self._last_word = token.text

    def expression(self) -> Expression | None:
        parts = self._parts
        if self._is_unreadable or self._depth or self._needs_operand():
            return None
        value = evaluate(parts)
        if value is None:
            return None
        operators = "".join(part for part in parts if isinstance(part, str) and part in "+-*/^")
        return Expression(value, tuple(self._numbers), operators, self._decimals, self._has_percent)


_STRENGTH = {"+": 1, "-": 1, "*": 2, "/": 2, "~": 3, "^": 4}


def evaluate(parts: Sequence[Part]) -> float | None:
    """What a well-formed sum comes to; None where that is no number, or none that is worth knowing."""
    values: list[float] = []
    waiting: list[str] = []
    for part in parts:
        if isinstance(part, float):
            values.append(part)
        elif part in {"(", "~"}:
            waiting.append(part)
        elif part == ")":
            if not _reckon(waiting, values, strength=0) or not waiting:
                return None
            waiting.pop()
        elif _reckon(waiting, values, strength=_STRENGTH[part]):
            waiting.append(part)
        else:
            return None
    if not _reckon(waiting, values, strength=0) or waiting:
        return None
    return values[0] if len(values) == 1 and math.isfinite(values[0]) else None


def _reckon(waiting: list[str], values: list[float], *, strength: int) -> bool:
    """Work off what binds at least so strongly, back to an open bracket; whether all of it could be."""
    while waiting and waiting[-1] != "(" and _STRENGTH[waiting[-1]] >= strength:
        if not _apply(waiting.pop(), values):
            return False
    return True


def _apply(operator: str, values: list[float]) -> bool:
    if operator == "~":
        if not values:
            return False
        values[-1] = -values[-1]
        return True
    if len(values) < 2:  # noqa: PLR2004 - an operator has two sides
        return False
    right, left = values.pop(), values.pop()
    if operator == "+":
        values.append(left + right)
    elif operator == "-":
        values.append(left - right)
    elif operator == "*":
        values.append(left * right)
    elif operator == "/":
        if not right:
            return False
        values.append(left / right)
    else:
        if not (abs(left) <= _MOST_BASE and 0 <= right <= _MOST_POWER and right == int(right)):
            return False
        values.append(left ** int(right))
    return True
