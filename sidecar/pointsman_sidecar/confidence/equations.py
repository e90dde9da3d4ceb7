r"""Equations in a text, and whether they hold: `12 * 3 = 36`, `$40 + $5 = $45`, `<<48/2=24>>`, `\frac{1}{2} = 0.5`.

Each side of an equals sign is read as far as it can be; two sides are compared where one of them reckons. In a chain
such as `5 * 3 = 15 + 2 = 17` a side may go on from the result before it: its first number is enough.
"""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum, auto
from itertools import islice

from pointsman_sidecar.confidence.expressions import Expression, after_equals, before_equals
from pointsman_sidecar.confidence.tokens import Kind, Token, plain, tokens

MOST_EQUATIONS = 40
# A chain of more is none that anyone works out.
MOST_SIDES = 20
# What a calculator's aid writes into an answer. Neither part can hold what ends the other.
_ANNOTATION = re.compile(r"<<([^<>=\n]{1,80})=([^<>=\n]{1,40})>>")
_OPEN_ANNOTATION = re.compile(r"<<[^<>\n]{0,120}$")
# A difference that comes of rounding as people round: half of the last digit written.
_SLACK = 1.01
_RELATIVE = 1e-9
_ROUGH = 0.006


class Verdict(Enum):
    """Whether an equation holds."""

    HOLDS = auto()
    ROUNDED = auto()
    WRONG = auto()


@dataclass(frozen=True, slots=True)
class Equation:
    """A reckoning side and its result."""

    left: Expression
    right: Expression
    verdict: Verdict

    @property
    def result(self) -> float:
        """What the answer says that it comes to."""
        return self.right.numbers[0] if self.right.operators else self.right.value


@dataclass(frozen=True, slots=True)
class Reckoning:
    """What of a text is reckoned. `annotated` are the equations of a calculator's aid, `text` what is without them."""

    equations: tuple[Equation, ...]
    annotated: tuple[Equation, ...]
    is_cut: bool
    tokens: tuple[Token, ...]


def reckoning(text: str) -> Reckoning:
    """All equations of a text, `MOST_EQUATIONS` at most."""
    annotated: list[Equation] = []
    for match in islice(_ANNOTATION.finditer(text), MOST_EQUATIONS):
        equation = _compare(before_equals(tokens(match.group(1))), after_equals(tokens(match.group(2))))
        if equation is not None:
            annotated.append(equation)
    bare = _ANNOTATION.sub("", text)
    is_cut = bool(_OPEN_ANNOTATION.search(bare[-130:]))
    found = tuple(tokens(plain(bare)))
    equations = tuple(islice(_equations(found), MOST_EQUATIONS))
    return Reckoning(equations, tuple(annotated), is_cut, found)


def _equations(found: Sequence[Token]) -> Iterator[Equation]:
    for sentence in _sentences(found):
        sides = _split(sentence)[:MOST_SIDES]
        if len(sides) < 2:  # noqa: PLR2004 - an equation has two sides
            continue
        # A side between two equals signs is read whole, as the right of one and the left of the next.
        left = before_equals(sides[0])
        for index, side in enumerate(sides[1:], start=1):
            right = after_equals(side)
            equation = _compare(left, right)
            if equation is not None:
                yield equation
            left = right if index == len(sides) - 1 else before_equals(side)


def _sentences(found: Sequence[Token]) -> Iterator[list[Token]]:
    sentence: list[Token] = []
    for token in found:
        if token.kind is Kind.BREAK and token.text in "\n.;!?":
            if sentence:
                yield sentence
            sentence = []
        else:
            sentence.append(token)
    if sentence:
        yield sentence


def _split(sentence: Sequence[Token]) -> list[list[Token]]:
    sides: list[list[Token]] = [[]]
    for token in sentence:
        if token.kind is Kind.EQUALS:
            sides.append([])
        else:
            sides[-1].append(token)
    return sides


def _compare(left: Expression | None, right: Expression | None) -> Equation | None:
    if left is None or right is None or not (left.operators or right.operators):
        return None
    if right.operators and not left.operators:
        # 10 = 5 * 2: the result stands first. Or nothing of the kind does: what fails is no claim.
        verdict = _verdict(right, left)
        return None if verdict is Verdict.WRONG else Equation(right, left, verdict)
    verdict = _verdict(left, right)
    if verdict is Verdict.WRONG and right.operators:
        first = Expression(right.numbers[0], right.numbers[:1], "")
        verdict = _verdict(left, first)
    return Equation(left, right, verdict)


def _verdict(left: Expression, right: Expression) -> Verdict:
    scales = (1.0, 100.0, 0.01) if left.has_percent or right.has_percent else (1.0,)
    verdict = Verdict.WRONG
    for scale in scales:
        expected = left.value * scale
        gap = abs(expected - right.value)
        if gap <= _RELATIVE * max(1.0, abs(expected)):
            return Verdict.HOLDS
        if gap <= _SLACK * 0.5 * 10.0**-right.decimals or gap <= _ROUGH * abs(expected):
            verdict = Verdict.ROUNDED
    return verdict
