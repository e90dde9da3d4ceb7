"""Log probabilities of an answer's tokens: around the model's confidence in it, a little apart from token to token."""

import math

from pointsman_stub.answers import confidence, digest
from pointsman_stub.completions import Completion
from pointsman_stub.errors import Json

_ALTERNATIVES = (
    *(" the", " a", ".", ",", " and", " of", " to", " in", " is", " that", " it"),
    *(" not", " as", " for", " on", " or", " be", " by", " with", " so", " at"),
)


def logprobs_of(completion: Completion, pieces: tuple[str, ...], *, start: int = 0) -> Json:
    """The `logprobs` object for some tokens; `start` is where they stand in the answer."""
    return {
        "content": [_of_token(completion, piece, at=start + offset) for offset, piece in enumerate(pieces)],
        "refusal": None,
    }


def _of_token(completion: Completion, piece: str, *, at: int) -> Json:
    sure = confidence(completion.model, completion.request.question.text)
    # A token strays at most half of the way to certainty, either way, so that the mean stays near the confidence.
    stray = (digest(piece, str(at)) % 101 - 50) / 100 * (1 - sure)
    probability = sure + stray
    others = [other for other in _ALTERNATIVES if other != piece]
    ranked = [(piece, probability)]
    ranked += [(other, (1 - probability) * 0.5 ** (rank + 1)) for rank, other in enumerate(others)]
    wanted = completion.request.top_logprobs
    return _entry(piece, probability) | {
        "top_logprobs": [_entry(*one) for one in sorted(ranked, key=lambda pair: -pair[1])[:wanted]]
    }


def _entry(piece: str, probability: float) -> Json:
    return {"token": piece, "logprob": round(math.log(probability), 6), "bytes": list(piece.encode())}
