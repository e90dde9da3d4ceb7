"""What is measured of a text: its words, or the pieces that they are made of, and a few dozen numbers made by hand.

Everything runs over an excerpt of bounded size, by expressions without nested repeats: the time is linear in it.
"""

import re
from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from enum import IntEnum
from math import log1p
from zlib import crc32

from pointsman_sidecar.complexity.excerpt import excerpt, size
from pointsman_sidecar.complexity.words import CUES, FORMAL, PROOFS, SORTS, TASKS, Sort

# A word of a script without spaces ends somewhere: 12 bytes are 4 Chinese characters. Numbers and signs are words too.
_WORD = re.compile(rb"[a-z\x80-\xff']{1,18}|[0-9]{1,12}|[^\sa-z0-9\x80-\xff']")
_LETTERED = re.compile(rb"\n[ (]?[A-Ja-j][.)] ?")
_DECIMAL = re.compile(rb"[0-9][.,][0-9]")
_CAPITAL = re.compile(rb"\b[A-Z][a-z]")
_END = re.compile(rb"[.?!](?=\s|$)")
_ASCII = b"\x7f"
_LATEX = re.compile(rb"\\[a-zA-Z]{2}")
_OPERATORS = b"=+*/^<>"
_SIGNS = b",.;:()?!\"'%$-_" + _OPERATORS + b"\\{}[]|&#@~`"
# English has 350 words and signs in an excerpt: what has far more is no prose.
_MOST_TOKENS = 450
_LONG = 9
_STEM = 6
_LEAST_OPTIONS = 3
_MOST_OPTIONS = 12
_LEAST_NUMBERS = 2
_SUFFIX, _PREFIX = 1, 2
_PIECE = 4
# What a number is does not matter, how long it is may.
_NUMBERS = bytes(ord("0") if chr(each) in "0123456789" else each for each in range(256))


class Kind(IntEnum):
    """What form of question it is: each has weights of its own."""

    LETTERED = 0
    LISTED = 1
    NUMBERS = 2
    FORMAL = 3
    OTHER = 4


@dataclass(frozen=True, slots=True)
class Measures:
    """What is known of a text: the kind of question, `numbers` in the order of NAMES, and what it is made of.

    That is the hashes of its words and pairs of words, `terms`; or, where options stand on lines, its `words`, whose
    `pieces` are the terms.
    """

    kind: Kind
    numbers: list[float]
    terms: AbstractSet[int] = frozenset()
    words: AbstractSet[bytes] = frozenset()


NAMES = (
    "size", "words", "question", "lines", "options", "option_mean", "option_most", "option_spread", "option_alike",
    "option_in_question", "option_numbers", "option_firsts", "option_lasts",
    "digits", "numbers", "largest", "decimals", "percents", "dollars",
    "word_length", "long_words", "capitalised", "sentences", "sentence_words", "function", "negation",
    "step_share", "steps", "questions", "tasks", "hedges", "whole", "setting", "operators",
    "operator_count", "backslashes", "signs", "commas", "quotes", "question_marks", "blank", "distinct",
    "ends_colon", "ends_mark", "ends_stop", "brackets", "the",
    "which", "not", "best", "most", "calculate", "how", "why", "what", "describe", "of_the_following",
)  # fmt: skip


def measure(text: str) -> Measures:
    """Measure a text: the time has a bound, whatever the text."""
    seen = excerpt(text)
    lower = seen.lower()
    tokens = _WORD.findall(lower)[:_MOST_TOKENS]
    words = [each for each in tokens if b"a" <= each < b"{" or each > _ASCII]
    digits = [each for each in tokens if b"0" <= each < b":"]
    count = len(tokens) or 1
    spoken = len(words) or 1
    question, options, kind = _parts(seen)
    if kind is Kind.OTHER:
        kind = Kind.FORMAL if _is_formal(seen, words) else kind if len(digits) < _LEAST_NUMBERS else Kind.NUMBERS
    found = Counter(map(SORTS.get, words))
    tasks = found[Sort.TASK] + sum(lower.count(each) for each in TASKS) if not lower.isascii() else found[Sort.TASK]
    ends = len(_END.findall(seen))
    operators = len(seen) - len(seen.translate(None, _OPERATORS))
    letters = sum(map(len, words))
    ended = question.rstrip()[-1:]
    asking = question.lower() if options else lower
    asked = set(asking.split())
    bytes_ = size(text, seen)
    numbers = [
        log1p(bytes_),
        log1p(count),
        log1p(len(question) if options else bytes_),
        log1p(seen.count(b"\n")),
        len(options),
        *_of_options(options, question),
        len(digits) / count,
        log1p(len(digits)),
        log1p(max(map(int, digits), default=0)),
        len(_DECIMAL.findall(seen)) / count,
        seen.count(b"%"),
        seen.count(b"$"),
        letters / spoken,
        len([each for each in words if len(each) >= _LONG]) / spoken,
        len(_CAPITAL.findall(seen)) / spoken,
        log1p(ends),
        spoken / (ends + 1),
        found[Sort.FUNCTION] / spoken,
        found[Sort.NEGATION],
        found[Sort.STEP] / spoken,
        log1p(found[Sort.STEP]),
        found[Sort.QUESTION],
        tasks,
        found[Sort.HEDGE] / spoken,
        found[Sort.WHOLE],
        found[Sort.SETTING],
        operators / count,
        log1p(operators),
        log1p(seen.count(b"\\")),
        (len(seen) - len(seen.translate(None, _SIGNS))) / count,
        seen.count(b",") / count,
        seen.count(b'"'),
        seen.count(b"?"),
        seen.count(b"__") > 0,
        len(set(words)) / spoken,
        ended == b":",
        ended == b"?",
        ended == b".",
        seen.count(b"("),
        words.count(b"the") / spoken,
        *[not asked.isdisjoint(each) for each in CUES],
        b"of the following" in asking,
    ]
    if kind is Kind.LISTED:
        return Measures(kind, numbers, words=set(lower.translate(_NUMBERS).split()))
    return Measures(kind, numbers, _terms(tokens, words))


def _terms(tokens: list[bytes], words: list[bytes]) -> set[int]:
    """The hashes of words, of pairs of words, and of the beginnings and ends of long ones.

    What a number is does not matter, how long it is may: 3 and 7 are one word, 1500 and 2000 another.
    """
    hashes = [crc32(each) if not b"0" <= each < b":" else min(len(each), 4) for each in tokens]
    stems = [each for each in words if len(each) >= _STEM]
    return {
        *hashes,
        *map(crc32, tokens[1:], hashes),
        *[crc32(each[-4:], _SUFFIX) for each in stems],
        *[crc32(each[:5], _PREFIX) for each in stems],
    }


def pieces(word: bytes) -> list[int]:
    """Each four bytes of a word that stand together, a blank before and after it among them."""
    spaced = b" %b " % word
    return [int.from_bytes(spaced[at : at + _PIECE], "little") for at in range(len(spaced) - _PIECE + 1)]


def _is_formal(seen: bytes, words: list[bytes]) -> bool:
    """Whether it holds formulas, as LaTeX or in signs of their own, or demands a proof."""
    if b"\\" in seen and _LATEX.search(seen):
        return True
    return not PROOFS.isdisjoint(words) or (not seen.isascii() and any(each in seen for each in FORMAL))


def _parts(seen: bytes) -> tuple[bytes, list[bytes], Kind]:
    """The question, its options, and what kind of question that makes it: OTHER where there are none."""
    pieces = _LETTERED.split(seen)
    if len(pieces) > _LEAST_OPTIONS:
        last, _, _ = pieces[-1].partition(b"\n")
        return pieces[0], [*pieces[1:-1], last][:_MOST_OPTIONS], Kind.LETTERED
    lines = [each for each in seen.split(b"\n") if each]
    if len(lines) > _LEAST_OPTIONS and len(lines) <= _MOST_OPTIONS and lines[0][-1:] != b"\\":
        return lines[0], lines[1:], Kind.LISTED
    return seen, [], Kind.OTHER


def _of_options(options: list[bytes], question: bytes) -> tuple[float, ...]:
    """How long options are, how unlike in length, how alike in words, how much the question says, how many numbers.

    And how many first words there are among them, and how many last ones.
    """
    if not options:
        return 0, 0, 0, 0, 0, 0, 0, 0
    lengths = [len(each) for each in options]
    mean = sum(lengths) / len(options)
    spread = sum(abs(each - mean) for each in lengths) / len(options) / (mean + 1)
    split = [each.split() for each in options]
    words = [set(each) for each in split]
    total = sum(map(len, words)) or 1
    asked = set(question.split())
    shared = sum(len(each & asked) for each in words) / total
    alike = 1 - len(set().union(*words)) / total
    numeric = len([each for each in options if each.lstrip(b" $-+\\(")[:1].isdigit()]) / len(options)
    firsts = len({each[0] for each in split if each}) / len(options)
    lasts = len({each[-1] for each in split if each}) / len(options)
    return log1p(mean), log1p(max(lengths)), spread, alike, shared, numeric, firsts, lasts
