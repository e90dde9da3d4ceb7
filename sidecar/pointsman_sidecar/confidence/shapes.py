"""The shape of an answer: whether it ends where it was to end, and whether it repeats itself."""

import zlib

_ENDS = set(".!?…。！？)]}\"'`*|>»”’")
# How well text that goes on compresses; what is shorter than this says nothing.
_SHORT, _SAVED_OF_PROSE = 120, 0.8
# A line that needs no stop, such as an answer of one word or number, is no longer than this.
_SHORT_LINE, _LINE, _A_SENTENCE = 40, 400, 2
_PAIRS = (("(", ")"), ("[", "]"), ("{", "}"), ("<<", ">>"))


def ends_openly(text: str) -> bool:
    """Whether the text ends in the middle of something, with neither a stop nor a last line that stands for itself."""
    before, _, last = text.rstrip()[-_LINE:].rpartition("\n")
    if not last or last[-1] in _ENDS:
        return False
    if not last[-1].isalnum() or len(last) > _SHORT_LINE:
        return True
    # A list's last line and a mark need no stop; a sentence after others does.
    return bool(before) and last[0].isalpha() and sum(map(str.isalpha, last.split())) >= _A_SENTENCE


def is_unbalanced(text: str) -> bool:
    """Whether something is opened in the last lines and never closed."""
    tail = text[-400:]
    return any(tail.rfind(opened) > tail.rfind(closed) for opened, closed in _PAIRS)


def has_open_fence(text: str) -> bool:
    """Whether a block of code was begun and not ended."""
    return text.count("```") % 2 == 1


def repetition(text: str) -> float:
    """How much of the text says again what was said: near 1 of a loop, 0 of prose and of sums."""
    raw = text.encode("utf-8", "replace")
    if len(raw) < _SHORT:
        return 0.0
    saved = 1 - len(zlib.compress(raw, 1)) / len(raw)
    return max(0.0, (saved - _SAVED_OF_PROSE) / (1 - _SAVED_OF_PROSE))
