"""Text as a reader of sums sees it: numbers, operators, words and where sentences end."""

import re
from enum import Enum, auto
from typing import NamedTuple


class Kind(Enum):
    """What a token is."""

    NUMBER = auto()
    PERCENT = auto()
    OPERATOR = auto()
    EQUALS = auto()
    OPEN = auto()
    CLOSE = auto()
    WORD = auto()
    UNKNOWN = auto()
    BREAK = auto()


class Token(NamedTuple):
    """A token. `value` is a number's, NaN of one with too many digits; `is_joined`: no space stands before it."""

    kind: Kind
    text: str
    value: float
    is_joined: bool
    decimals: int = 0


# At most so many tokens are made of a text, and a number of more digits is none that anyone reckons with by hand.
MOST_TOKENS = 450
MOST_DIGITS = 15

# Every alternative begins with another character, and none repeats a repetition: one pass, whatever the text.
_TOKEN = re.compile(
    r"(?P<gap>\s+)"
    r"|(?P<number>\d[\d,]*(?:\.\d+)?|\.\d+)"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)?)"
    r"|(?P<command>\\[^\W\d_]+)"
    r"|(?P<sign>.)",
    re.DOTALL,
)
_THOUSANDS = re.compile(r"\d{1,3}(?:,\d{3})+")
_OPERATORS = {
    "+": "+", "-": "-", "−": "-", "–": "-", "*": "*", "×": "*", "·": "*", "⋅": "*", "∙": "*", "/": "/", "÷": "/",
    "^": "^", "∕": "/",
}  # fmt: skip
_HYPHENS = {"-", "–"}
_EQUALS = {"=", "≈", "≅", "≃"}
_SIGNS = (
    {sign: (Kind.OPERATOR, operator) for sign, operator in _OPERATORS.items()}
    | {sign: (Kind.EQUALS, sign) for sign in _EQUALS}
    | {sign: (Kind.OPEN, sign) for sign in "(["}
    | {sign: (Kind.CLOSE, sign) for sign in ")]"}
    | {sign: (Kind.PERCENT, sign) for sign in "%％"}
    | {sign: (Kind.UNKNOWN, sign) for sign in "_√π°!"}
)
# Signs that stand in a sum and mean nothing to it.
_SILENT = set("$€£¥₹`~\"'{}")
# Words for operations, in the languages that write them so.
_WORDS = {
    "times": "*", "plus": "+", "minus": "-", "mal": "*", "fois": "*", "más": "+", "menos": "-", "mais": "+",
    "moins": "-", "vezes": "*", "veces": "*",
}  # fmt: skip
_ORDINALS = {"st", "nd", "rd", "th"}
_SCALES = {"k": 1e3, "thousand": 1e3, "million": 1e6, "billion": 1e9}
_SUBSCRIPT = "_"

# LaTeX, as far as sums are written in it. The arguments are short and hold no braces, so a match ends soon.
_FRACTION = re.compile(r"\\[dt]?frac\s?\{([^{}]{1,40})\}\s?\{([^{}]{1,40})\}")
_TEXT = re.compile(r"\\(?:text|mathrm|mbox)\s?\{([^{}]{1,40})\}")
_COMMANDS = {
    "\\times": "×", "\\cdot": "×", "\\div": "÷", "\\left": "", "\\right": "", "\\approx": "≈", "\\,": "", "\\!": "",
    "\\%": "%", "\\$": "$", "\\*": "*", "\\(": "\n", "\\)": "\n", "\\[": "\n", "\\]": "\n", "\\\\": "\n",
}  # fmt: skip


def plain(text: str) -> str:
    """The text with its LaTeX written as one writes sums in plain text."""
    if "\\" not in text:
        return text
    text = _TEXT.sub(r" \1 ", _FRACTION.sub(r"((\1)/(\2))", text))
    for command, sign in _COMMANDS.items():
        text = text.replace(command, sign)
    return text


def tokens(text: str, *, most: int = MOST_TOKENS) -> list[Token]:
    """The first tokens of a text, at most so many."""
    found: list[Token] = []
    is_joined = False
    for match in _TOKEN.finditer(text):
        if len(found) >= most:
            break
        part = match.group()
        is_gap = match.lastgroup == "gap"
        if not is_gap:
            # 5-minute, step-by-step: no minus.
            is_hyphen = is_joined and part in _HYPHENS and text[match.end() : match.end() + 1].isalpha()
            if not is_hyphen:
                _add(found, match.lastgroup, part, is_joined=is_joined)
        elif "\n" in part:
            found.append(Token(Kind.BREAK, "\n", 0, is_joined))
        is_joined = not is_gap
    return found


def _add(found: list[Token], kind: str | None, part: str, *, is_joined: bool) -> None:
    if kind == "number":
        if not (found and found[-1].text == _SUBSCRIPT):  # x_1 is a name
            found.extend(_numbers(part, is_joined=is_joined))
    elif kind == "word":
        _add_word(found, part, is_joined=is_joined)
    elif kind == "command":
        found.append(Token(Kind.UNKNOWN, part, 0, is_joined))
    elif part not in _SILENT:
        sign, text = _SIGNS.get(part, (Kind.BREAK, part))
        found.append(Token(sign, text, 0, is_joined))


def _numbers(part: str, *, is_joined: bool) -> list[Token]:
    digits = part.rstrip(",")
    ending = [Token(Kind.BREAK, ",", 0, is_joined=True)] if digits != part else []
    whole, _, decimals = digits.partition(".")
    pieces = whole.split(",")
    if len(pieces) == 1 or _THOUSANDS.fullmatch(whole):
        return [_number(digits.replace(",", ""), len(decimals), is_joined=is_joined), *ending]
    if len(pieces) == 2 and not decimals and len(pieces[1]) != 3:  # noqa: PLR2004 - a comma before decimals
        return [_number(".".join(pieces), len(pieces[1]), is_joined=is_joined), *ending]
    # 1,2,3: a list.
    listed: list[Token] = []
    for piece in filter(None, digits.split(",")):
        listed.append(_number(piece, len(piece.partition(".")[2]), is_joined=is_joined))
        listed.append(Token(Kind.BREAK, ",", 0, is_joined=True))
    return listed if ending else listed[:-1]


def _number(digits: str, decimals: int, *, is_joined: bool) -> Token:
    value = float(digits) if len(digits) <= MOST_DIGITS else float("nan")
    return Token(Kind.NUMBER, "", value, is_joined, decimals)


def _add_word(found: list[Token], part: str, *, is_joined: bool) -> None:
    before = found[-1] if found else None
    if is_joined and before is not None and before.kind is Kind.NUMBER:
        if part in _ORDINALS:
            found[-1] = Token(Kind.WORD, part, 0, before.is_joined)
            return
        if len(part) == 1 and part not in _SCALES:
            found.append(Token(Kind.UNKNOWN, part, 0, is_joined))  # 3x
            return
    lowered = part.lower()
    if lowered in _SCALES and before is not None and before.kind is Kind.NUMBER:
        found[-1] = before._replace(value=before.value * _SCALES[lowered], decimals=0)
        return
    if lowered in _WORDS:
        found.append(Token(Kind.OPERATOR, _WORDS[lowered], 1, is_joined))
    else:
        found.append(Token(Kind.WORD, lowered, 0, is_joined))
