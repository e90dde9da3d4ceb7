"""What a model says of its own answer, as a likelihood, and what becomes of the judge's value by it."""

from collections.abc import Iterable
from math import exp, log

# What a bare word is worth, where its likelihood is not told: models seldom say No to what they have just said.
_SAID_YES = 0.8
_SAID_NO = 0.1
# Below this, the two words together are so unlikely that the model is not answering the question.
_LEAST_MASS = 0.1
# Nothing is quite certain: so far from 0 and 1 a value may go.
_EDGE = 0.001


def told(word: str) -> float | None:
    """How likely the answer is right by a bare word; None where it is neither Yes nor No."""
    match _plain(word):
        case "yes":
            return _SAID_YES
        case "no":
            return _SAID_NO
    return None


def weighed(likelihoods: Iterable[tuple[str, float]]) -> float | None:
    """How likely the answer is right, by the log-probabilities of the words that the reply could have begun with.

    None where neither Yes nor No is likely at all.
    """
    mass = {"yes": 0.0, "no": 0.0}
    for word, logprob in likelihoods:
        if (plain := _plain(word)) in mass:
            mass[plain] += exp(min(0.0, logprob))
    both = mass["yes"] + mass["no"]
    return None if both < _LEAST_MASS else mass["yes"] / both


def agreed(confidence: float, check: float) -> float:
    """The judge's value and the check's as one: halfway between them, in log odds."""
    middle = (_log_odds(confidence) + _log_odds(check)) / 2
    return 1 / (1 + exp(-middle))


def _plain(word: str) -> str:
    return word.strip(" \t\n*\"'.,:!").lower()


def _log_odds(value: float) -> float:
    held = min(1 - _EDGE, max(_EDGE, value))
    return log(held / (1 - held))
