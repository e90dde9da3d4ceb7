"""What can be known of an answer while it streams: the one table of what happens after the call.

A chunk that was sent cannot be unsaid. So whatever may discard an answer has to see it before its first chunk is sent,
and what it sees is what was held back. `docs/confidence.md` shows this table; a test compares the two.
"""

from enum import StrEnum


class Holding(StrEnum):
    """How much of a stream is held back before its first chunk is sent on."""

    OFF = "Off"
    FIRST_TOKENS = "FirstTokens"
    BUFFER = "Buffer"
    BUFFER_ALL = "BufferAll"


class After(StrEnum):
    """What an answer is looked at for."""

    CONFIDENCE = "Confidence"
    REFUSAL = "Refusal"
    INVALID_OUTPUT = "InvalidOutput"
    TRUNCATION = "Truncation"


class Sight(StrEnum):
    """What of the answer is seen: nothing by choice; the part that is held; all of it; or it cannot be."""

    NOT_LOOKED = "not looked at"
    PART = "of what is held"
    IF_SHORT = "where all of it is held"
    WHOLE = "whole"
    IMPOSSIBLE = "impossible"

    @property
    def is_possible(self) -> bool:
        """Whether a policy may ask for it."""
        return self is not Sight.IMPOSSIBLE


_NO, _PART, _SHORT, _ALL, _NEVER = (
    Sight.NOT_LOOKED, Sight.PART, Sight.IF_SHORT, Sight.WHOLE, Sight.IMPOSSIBLE,
)  # fmt: skip
_ROWS: dict[After, tuple[Sight, Sight, Sight, Sight]] = {
    # Half an answer looks like a bad one: numbers not used yet, no final answer. It is judged whole or not at all.
    After.CONFIDENCE: (_NO, _NEVER, _SHORT, _ALL),
    # Whoever refuses does so at once.
    After.REFUSAL: (_NO, _PART, _PART, _ALL),
    # Known at an answer's end alone.
    After.INVALID_OUTPUT: (_NO, _NEVER, _SHORT, _ALL),
    After.TRUNCATION: (_NO, _NEVER, _SHORT, _ALL),
}
TABLE: dict[tuple[After, Holding], Sight] = {
    (after, holding): sight
    for after, row in _ROWS.items()
    for holding, sight in zip(Holding, row, strict=True)
}  # fmt: skip


def is_possible(after: After, holding: Holding) -> bool:
    """Whether a policy may ask for both."""
    return TABLE[after, holding].is_possible
