"""What ways to choose would have cost, and got right, on recorded questions. Pure.

A way says for each question whether the stronger model answers it; one that asks both says so in `twice`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

# Dollars a million tokens, in and out: gpt-4o-mini's and gpt-4o's list prices, 16.7 to 1.
WEAK = (0.15, 0.60)
STRONG = (2.50, 10.00)
# The sets do not tell how long each answer was: all are taken to be as long as a short reasoned answer.
ANSWER_TOKENS = 200
SHARES = (0.05, 0.1, 0.2, 0.4)
# What docs/escalation.md shows: from this score on a request goes up at once, below this confidence an answer does.
THRESHOLD, BAR = 0.8, 0.7
# Of those that go up by both, the part that goes up before the call.
_BEFORE = 0.5
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """A recorded question: how often each model was right, and what is known of it by what never saw it.

    `complexity` is from 0 to 1, `confidence` that of the weaker model's answer: None where there is no text of it.
    """

    tokens: int
    weak: float
    strong: float
    complexity: float
    ruled: bool
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Strategy:
    """A way to choose: which questions go up, and which of them were first asked of the cheap model."""

    name: str
    up: Sequence[bool]
    twice: Sequence[bool] = ()


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came of it: the share that went up, the part that was right, dollars for 1,000 questions."""

    name: str
    share: float
    right: float
    cost: float


def played(questions: Sequence[Question], strategy: Strategy) -> Outcome:
    """Play a strategy."""
    twice = strategy.twice or [False] * len(questions)
    right = cost = 0.0
    for each, up, both in zip(questions, strategy.up, twice, strict=True):
        right += each.strong if up else each.weak
        cost += _price(STRONG, each.tokens) if up else _price(WEAK, each.tokens)
        cost += _price(WEAK, each.tokens) if both else 0
    count = len(questions)
    return Outcome(strategy.name, sum(strategy.up) / count, right / count, 1000 * cost / count)


def by_complexity(questions: Sequence[Question], share: float) -> Strategy:
    """The share of questions that score highest goes up."""
    highest = _highest([each.complexity for each in questions], round(share * len(questions)))
    return Strategy(f"complexity {share:.0%}", [at in highest for at in range(len(questions))])


def by_cascade(questions: Sequence[Question], share: float, *, before: float = 0.0, name: str = "cascade") -> Strategy:
    """As many go up as by complexity; where the cheap model's answer is known, those that are trusted least.

    Where it is not known nothing can be judged, and complexity decides. `before` is the part that complexity sends up
    before the call all the same.
    """
    up = list(by_complexity(questions, share).up)
    twice = [False] * len(questions)
    doubts = {at: -each.confidence for at, each in enumerate(questions) if each.confidence is not None}
    count = sum(up[at] for at in doubts)
    answered = list(doubts)
    complexities = [questions[at].complexity for at in answered]
    at_once = {answered[at] for at in _highest(complexities, round(before * count))}
    judged = [at for at in answered if at not in at_once]
    doubted = {judged[at] for at in _highest([doubts[at] for at in judged], count - len(at_once))}
    for at in answered:
        up[at], twice[at] = at in at_once or at in doubted, at in doubted
    return Strategy(f"{name} {share:.0%}", up, twice)


def by_both(questions: Sequence[Question], share: float) -> Strategy:
    """Half of those that go up do so before the call, and half after it."""
    return by_cascade(questions, share, before=_BEFORE, name="both")


def by_policy(questions: Sequence[Question]) -> Strategy:
    """A fixed threshold and a fixed bar, whatever share that is."""
    at_once = [each.complexity >= THRESHOLD for each in questions]
    twice = [
        each.confidence is not None and each.confidence < BAR and not first
        for each, first in zip(questions, at_once, strict=True)
    ]
    up = [first or second for first, second in zip(at_once, twice, strict=True)]
    return Strategy(f"both, at {THRESHOLD} and {BAR}", up, twice)


def strategies(questions: Sequence[Question]) -> list[Strategy]:
    """All ways to choose, the cheap and the flagship first."""
    count = len(questions)
    return [
        Strategy("all cheap", [False] * count),
        Strategy("all flagship", [True] * count),
        Strategy("rules only", [each.ruled for each in questions]),
        *(way(questions, share) for way in (by_complexity, by_cascade, by_both) for share in SHARES),
        by_policy(questions),
    ]


def _highest(values: Sequence[float], count: int) -> set[int]:
    return set(sorted(range(len(values)), key=lambda at: -values[at])[:count])


def _price(prices: tuple[float, float], tokens: int) -> float:
    return (prices[0] * tokens + prices[1] * ANSWER_TOKENS) / _MILLION
