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
    """What is done or seen after the call."""

    CONFIDENCE = "Confidence"
    REFUSAL = "Refusal"
    LOG_PROBABILITIES = "LogProbabilities"
    WORDING = "Wording"
    ARITHMETIC = "Arithmetic"
    ENDING = "Ending"
    TRUNCATION = "Truncation"
    SCHEMA = "Schema"
    SELF_CHECK = "SelfCheck"


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
    After.CONFIDENCE: (_NO, _PART, _PART, _ALL),
    After.REFUSAL: (_NO, _PART, _ALL, _ALL),
    After.LOG_PROBABILITIES: (_NO, _PART, _PART, _ALL),
    After.WORDING: (_NO, _PART, _PART, _ALL),
    After.ARITHMETIC: (_NO, _PART, _PART, _ALL),
    After.ENDING: (_NO, _SHORT, _SHORT, _ALL),
    # Known at an answer's end. A buffer may hold one whole; the first tokens never hold one worth the name.
    After.TRUNCATION: (_NO, _NEVER, _SHORT, _ALL),
    After.SCHEMA: (_NO, _NEVER, _SHORT, _ALL),
    After.SELF_CHECK: (_NO, _NEVER, _SHORT, _ALL),
}
TABLE: dict[tuple[After, Holding], Sight] = {
    (after, holding): sight
    for after, row in _ROWS.items()
    for holding, sight in zip(Holding, row, strict=True)
}  # fmt: skip


def is_possible(after: After, holding: Holding) -> bool:
    """Whether a policy may ask for both."""
    return TABLE[after, holding].is_possible
