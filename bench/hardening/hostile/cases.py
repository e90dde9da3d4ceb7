"""What a case is, and which one stands where in a run."""

from dataclasses import dataclass
from enum import Enum
from random import Random

# Stands in every text that a case sends, and must stand in no log.
CANARY = "CANARY-of-a-prompt"


class Answer(Enum):
    """What may come of a case."""

    # An answer, or a refusal in the door's own shape.
    SHAPED = "shaped"
    # That, or the end of the connection: what was sent is no request.
    ANY = "any"


@dataclass(frozen=True, kw_only=True)
class HttpCase:
    """Bytes for a connection to the HTTP door. A body of `blanks` bytes follows where that is said."""

    what: str
    sent: bytes
    blanks: int = 0
    answer: Answer = Answer.SHAPED


@dataclass(frozen=True, kw_only=True)
class GrpcCase:
    """A message for a method of the gRPC door, as bytes."""

    what: str
    path: str
    message: bytes
    streams: bool
    metadata: tuple[tuple[str, str | bytes], ...] = ()


@dataclass(frozen=True, kw_only=True)
class Http2Case:
    """Bytes for a connection to the gRPC door, which are no call."""

    what: str
    sent: bytes


Case = HttpCase | GrpcCase | Http2Case


def random_of(seed: int, number: int) -> Random:
    """The randomness of one case."""
    return Random(f"{seed}:{number}")  # noqa: S311 - it has to be the same again
