"""The numbers that a question gives, in digits and in words, and where an answer's numbers come from."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from pointsman_sidecar.confidence.equations import Equation
from pointsman_sidecar.confidence.tokens import Kind, Token, plain, tokens

# Words that give a number. Only such as mean little else, in the languages that are written most.
_WORDS: dict[str, float] = {
    "two": 2, "three": 3, "four": 4, "five": 5, "six": 6, "seven": 7, "eight": 8, "nine": 9, "ten": 10, "eleven": 11,
    "twelve": 12, "thirteen": 13, "fourteen": 14, "fifteen": 15, "sixteen": 16, "seventeen": 17, "eighteen": 18,
    "nineteen": 19, "twenty": 20, "thirty": 30, "forty": 40, "fifty": 50, "sixty": 60, "seventy": 70, "eighty": 80,
    "ninety": 90, "hundred": 100, "once": 1, "twice": 2, "double": 2, "doubles": 2, "doubled": 2, "triple": 3,
    "triples": 3, "tripled": 3, "thrice": 3, "half": 0.5, "halves": 0.5, "third": 1 / 3, "thirds": 1 / 3,
    "quarter": 0.25, "quarters": 0.25, "fourth": 0.25, "fifth": 0.2, "tenth": 0.1, "dozen": 12, "dozens": 12,
    "score": 20, "pair": 2, "pairs": 2, "couple": 2,
    "zwei": 2, "drei": 3, "vier": 4, "fünf": 5, "sechs": 6, "sieben": 7, "acht": 8, "neun": 9, "zehn": 10, "zwölf": 12,
    "doppelt": 2, "dreimal": 3, "hälfte": 0.5, "halb": 0.5, "halbe": 0.5, "drittel": 1 / 3, "viertel": 0.25,
    "dutzend": 12,
    "deux": 2, "trois": 3, "quatre": 4, "cinq": 5, "sept": 7, "huit": 8, "neuf": 9, "dix": 10, "douze": 12,
    "moitié": 0.5, "demi": 0.5, "tiers": 1 / 3, "quart": 0.25, "douzaine": 12,
    "dos": 2, "tres": 3, "cuatro": 4, "cinco": 5, "seis": 6, "siete": 7, "ocho": 8, "nueve": 9, "diez": 10,
    "doce": 12, "doble": 2, "mitad": 0.5, "tercio": 1 / 3, "cuarto": 0.25, "docena": 12,
}  # fmt: skip
# What an answer may reckon with though nobody said so: units of time and money, percent, pairs.
_CUSTOMARY = (1, 2, 4, 7, 10, 12, 24, 30, 31, 36, 52, 60, 100, 365, 1000, 3600, 0.01, 0.5, 3, 5280, 16)
_MOST_GIVEN, _MOST_TOKENS = 40, 250
_CLOSE = 1e-6


@dataclass(frozen=True, slots=True)
class Given:
    """The numbers of a question: `digits` those in digits, `words` those in words."""

    digits: tuple[float, ...]
    words: tuple[float, ...]
    has_percent: bool
    has_fraction: bool


@dataclass(frozen=True, slots=True)
class Provenance:
    """Where the numbers of a reckoning come from, and what becomes of them; counts."""

    operands: int
    foreign: int
    customary: int
    unused_given: int
    unused_results: int
    repeated_results: int
    negative_results: int
    fractional_results: int


def given(text: str) -> Given:
    """The numbers of a question."""
    digits: list[float] = []
    words: list[float] = []
    has_percent = has_fraction = False
    before: Token | None = None
    for token in tokens(plain(text), most=_MOST_TOKENS):
        if token.kind is Kind.NUMBER and math.isfinite(token.value) and len(digits) < _MOST_GIVEN:
            digits.append(token.value)
        elif token.kind is Kind.WORD:
            if token.text in _WORDS and len(words) < _MOST_GIVEN:
                words.append(_WORDS[token.text])
            has_percent = has_percent or token.text in {"percent", "percentage", "prozent"}
        has_percent = has_percent or token.kind is Kind.PERCENT
        has_fraction = has_fraction or (
            token.kind is Kind.OPERATOR and token.text == "/" and before is not None and before.kind is Kind.NUMBER
        )
        before = token
    has_fraction = has_fraction or any(0 < word < 1 for word in words)
    return Given(tuple(digits), tuple(words), has_percent, has_fraction)


def provenance(equations: Sequence[Equation], numbers: Given, mentioned: Iterable[float]) -> Provenance:
    """Follow the numbers. `mentioned` are all that the answer has, in sums or not."""
    known = {_key(value) for value in _derived({*numbers.digits, *numbers.words})}
    customary = {_key(value) for value in _CUSTOMARY}
    results: dict[float, bool] = {}
    operands = foreign = usual = repeated = negative = fractional = 0
    seen: set[tuple[float, ...]] = set()
    for equation in equations:
        for value in equation.left.numbers:
            key = _key(value)
            operands += 1
            if key in results:
                results[key] = True
            elif key in known:
                pass
            elif key in customary:
                usual += 1
            else:
                foreign += 1
        key = _key(equation.result)
        reckoned = (*equation.left.numbers, key)
        repeated += reckoned in seen
        seen.add(reckoned)
        results.setdefault(key, False)
        negative += equation.result < 0
        fractional += equation.result != round(equation.result)
    last = _key(equations[-1].result) if equations else 0.0
    used = {_key(value) for value in mentioned}
    return Provenance(
        operands=operands,
        foreign=foreign,
        customary=usual,
        unused_given=sum(not (used & {_key(each) for each in _derived((value,))}) for value in set(numbers.digits)),
        unused_results=sum(not is_used for value, is_used in results.items() if value != last),
        repeated_results=repeated,
        negative_results=negative,
        fractional_results=fractional,
    )


def _derived(values: Iterable[float]) -> Iterable[float]:
    """What one may write for a number that was given: 20 % as 0.2, 0.8 or 1.2; a rise by 3 as 4."""
    for value in values:
        share = value / 100
        yield from (value, share, 1 - share, 1 + share, 100 - value, 100 + value)
        if 0 < value < 1:
            yield from (1 - value, 1 / value, 1 + value)


def _key(value: float) -> float:
    return float(f"{value:.6g}") if math.isfinite(value) else math.inf
