"""What ways to choose would have cost, and got right, on recorded questions of all sets mixed. Pure.

A strategy says for each question whether the stronger model answers it; one that asks both says so in `twice`.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from pointsman_sidecar.complexity.measures import Kind, measure
from pointsman_sidecar.routing.estimates import text_tokens
from training.sets import Row

# Dollars a million tokens, in and out: gpt-4o-mini's and gpt-4o's list prices, 16.7 to 1.
WEAK = (0.15, 0.60)
STRONG = (2.50, 10.00)
# The sets do not tell how long each answer was: all are taken to be as long as a short reasoned answer.
ANSWER_TOKENS = 200
_LONG_TOKENS = 300
_MILLION = 1_000_000


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


def played(rows: Sequence[Row], strategy: Strategy) -> Outcome:
    """Play a strategy."""
    twice = strategy.twice or [False] * len(rows)
    right = cost = 0.0
    for row, up, both in zip(rows, strategy.up, twice, strict=True):
        tokens = text_tokens(row.prompt)
        right += row.strong if up else row.weak
        cost += _price(STRONG, tokens) if up else _price(WEAK, tokens)
        cost += _price(WEAK, tokens) if both else 0
    count = len(rows)
    return Outcome(strategy.name, sum(strategy.up) / count, right / count, 1000 * cost / count)


def by_score(scores: Sequence[float], share: float) -> list[bool]:
    """The share of questions that score highest goes up."""
    count = round(share * len(scores))
    highest = set(sorted(range(len(scores)), key=lambda at: -scores[at])[:count])
    return [at in highest for at in range(len(scores))]


def by_rules(rows: Sequence[Row]) -> list[bool]:
    """What a platform team would write without a score: long requests and formal mathematics go up."""
    return [text_tokens(row.prompt) > _LONG_TOKENS or measure(row.prompt).kind is Kind.FORMAL for row in rows]


def strategies(rows: Sequence[Row], scores: Sequence[float]) -> list[Strategy]:
    """The ways to choose that need no answer."""
    count = len(rows)
    return [
        Strategy("all cheap", [False] * count),
        Strategy("all flagship", [True] * count),
        Strategy("rules only", by_rules(rows)),
        *(Strategy(f"complexity {share:.0%}", by_score(scores, share)) for share in (0.05, 0.1, 0.2, 0.4)),
    ]


def _price(prices: tuple[float, float], tokens: int) -> float:
    return (prices[0] * tokens + prices[1] * ANSWER_TOKENS) / _MILLION
