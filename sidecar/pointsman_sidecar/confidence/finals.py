"""The final answer: where an answer commits itself to one, and to which number."""

import math
import re
from dataclasses import dataclass
from enum import IntEnum

from pointsman_sidecar.confidence.tokens import Kind, Token, plain, tokens

_TAIL = 600
# The ways to say: this is the answer. Looked for in the tail alone; the last that is there counts.
_MARK = re.compile(r"####|\\boxed\s?\{|\"(?:final_?)?(?:answer|result)\"\s?:")
_SENTENCE = re.compile(
    r"\b(?:answer is|answer:|antwort(?: ist|:)|lautet|réponse(?: est| :|:)|respuesta(?: es|:)|resposta(?: é|:)|答案)",
    re.IGNORECASE,
)
_CONCLUDES = re.compile(
    r"\b(?:therefore|thus|hence|so|in total|altogether|also|daher|somit|insgesamt|donc|ainsi|au total|por lo tanto|"
    r"entonces|en total|portanto)\b",
    re.IGNORECASE,
)


class Style(IntEnum):
    """How plainly an answer says what it comes to."""

    NONE = 0
    LAST_NUMBER = 1
    CONCLUSION = 2
    SENTENCE = 3
    MARK = 4


@dataclass(frozen=True, slots=True)
class Final:
    """The final answer; `number` is None where it is none."""

    style: Style
    number: Token | None
    numbers: int = 0
    words: int = 0


def final(text: str) -> Final:
    """Find it."""
    tail = text[-_TAIL:].rstrip()
    mark = _last(_MARK, tail)
    if mark is not None:
        return _of(Style.MARK, tail[mark.end() : mark.end() + 120].split("\n", 1)[0], first=True)
    said = _last(_SENTENCE, tail)
    if said is not None:
        return _of(Style.SENTENCE, tail[said.end() : said.end() + 120], first=True)
    last = tail[max(tail.rfind("\n"), _last_stop(tail)) + 1 :]
    style = Style.CONCLUSION if _CONCLUDES.search(last) else Style.LAST_NUMBER
    return _of(style, last, first=False)


def _last(pattern: re.Pattern[str], text: str) -> re.Match[str] | None:
    found = None
    for match in pattern.finditer(text):
        found = match
    return found


def _last_stop(tail: str) -> int:
    """Where the sentence before the last ends."""
    return max(tail.rfind(stop, 0, max(0, len(tail) - 2)) for stop in (". ", "! ", "? ", "。"))


def _of(style: Style, text: str, *, first: bool) -> Final:
    found = tokens(plain(text))
    numbers = [
        token._replace(value=-token.value) if index and _is_minus(found, index) else token
        for index, token in enumerate(found)
        if token.kind is Kind.NUMBER and math.isfinite(token.value)
    ]
    words = sum(token.kind is Kind.WORD for token in found)
    if not numbers:
        return Final(style if words else Style.NONE, None, 0, words)
    return Final(style, numbers[0 if first else -1], len(numbers), words)


def _is_minus(found: list[Token], index: int) -> bool:
    before = found[index - 1]
    alone = index < 2 or found[index - 2].kind not in {Kind.NUMBER, Kind.CLOSE}  # noqa: PLR2004 - what it may subtract from
    return before.kind is Kind.OPERATOR and before.text == "-" and alone
