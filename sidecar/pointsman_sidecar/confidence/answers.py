"""What is judged, and the verdict."""

from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True, slots=True)
class Judged:
    """An answer, with what it answers.

    `finish_reason` is OpenAI's word, empty where it is not known. `logprobs` are those of the answer's tokens, natural
    logarithms, None where the model gave none. `valid_json` says whether the text satisfies the JSON schema that was
    asked for, None where none was. `refused` stands for a provider's own field of refusals.
    """

    prompt: str
    response: str
    finish_reason: str = ""
    logprobs: Sequence[float] | None = None
    valid_json: bool | None = None
    refused: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Confidence:
    """How likely the answer is right, 0 to 1, and what was seen of it: names and values, no text of anybody's."""

    value: float
    signals: tuple[tuple[str, float], ...]
