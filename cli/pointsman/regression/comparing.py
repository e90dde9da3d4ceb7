"""What came of a suite on both sides: who passed what, what is a regression, what it took. Pure."""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from pointsman.regression.properties import ANSWERED, Failed

_THOUSAND = 1_000


@dataclass(frozen=True, kw_only=True, slots=True)
class Run:
    """One time that a case was asked of a side. `cost` is amount and currency; tokens are None where nobody counted."""

    failed: tuple[Failed, ...]
    seconds: float
    tokens: int | None = None
    cost: tuple[Decimal, str] | None = None

    @property
    def passed(self) -> bool:
        """Whether the answer has all that is expected."""
        return not self.failed

    @property
    def answered(self) -> bool:
        """Whether there was an answer."""
        return all(each.property != ANSWERED for each in self.failed)


@dataclass(frozen=True, kw_only=True, slots=True)
class Compared:
    """A case on both sides. Of several runs, more than half decide."""

    name: str
    baseline: tuple[Run, ...]
    candidate: tuple[Run, ...]

    @property
    def regressed(self) -> bool:
        """Whether the baseline passes it and the candidate does not."""
        return passes(self.baseline) and not passes(self.candidate)

    @property
    def compared(self) -> bool:
        """Whether the baseline answered, so that there is something to compare with."""
        return _most([run.answered for run in self.baseline])


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """What came of all cases."""

    cases: tuple[Compared, ...]
    allowed: int

    @property
    def regressions(self) -> tuple[Compared, ...]:
        """The cases that the baseline passes and the candidate does not."""
        return tuple(each for each in self.cases if each.regressed)

    @property
    def obstacle(self) -> str:
        """Why nothing follows from the comparison, in a sentence; empty where something does."""
        if unanswered := sum(not each.compared for each in self.cases):
            cases = "1 case" if unanswered == 1 else f"{unanswered:,} cases"
            return f"{cases} could not be compared: the baseline gave no answer"
        if not any(passes(each.baseline) for each in self.cases):
            return "the baseline passes no case, so nothing can be worse: look at the suite"
        return ""

    @property
    def passed(self) -> bool:
        """Whether the candidate may take the baseline's place, as far as the suite tells."""
        return not self.obstacle and len(self.regressions) <= self.allowed


@dataclass(frozen=True, kw_only=True, slots=True)
class Summary:
    """A side in numbers: cases, seconds, and of a call on average tokens and, by currency, the cost of 1,000.

    Numbers are those of answers, None where there are none.
    """

    passed: int
    failed: int
    p50: float | None
    p95: float | None
    tokens: float | None
    cost: Mapping[str, Decimal]


def passes(runs: Sequence[Run]) -> bool:
    """Whether a case is passed: by more than half of the runs."""
    return _most([run.passed for run in runs])


def lacking(runs: Sequence[Run]) -> list[tuple[Failed, int]]:
    """What was missing, in the order of the suite, and in how many runs; the sentence is the first one's."""
    first: dict[str, Failed] = {}
    counts: Counter[str] = Counter()
    for run in runs:
        for each in run.failed:
            first.setdefault(each.property, each)
            counts[each.property] += 1
    return [(each, counts[name]) for name, each in first.items()]


def summary(cases: Sequence[Sequence[Run]]) -> Summary:
    """The numbers of one side."""
    answered = [run for runs in cases for run in runs if run.answered]
    seconds = sorted(run.seconds for run in answered)
    counted = [run.tokens for run in answered if run.tokens is not None]
    costs: dict[str, Decimal] = {}
    calls: Counter[str] = Counter()
    for run in answered:
        if run.cost is not None:
            amount, currency = run.cost
            costs[currency] = costs.get(currency, Decimal(0)) + amount
            calls[currency] += 1
    passed = sum(passes(runs) for runs in cases)
    return Summary(
        passed=passed,
        failed=len(cases) - passed,
        p50=_quantile(seconds, 0.5),
        p95=_quantile(seconds, 0.95),
        tokens=sum(counted) / len(counted) if counted else None,
        cost={currency: amount * _THOUSAND / calls[currency] for currency, amount in sorted(costs.items())},
    )


def _most(verdicts: Sequence[bool]) -> bool:
    return 2 * sum(verdicts) > len(verdicts)


def _quantile(ordered: Sequence[float], share: float) -> float | None:
    """The smallest that so many are not above."""
    return ordered[max(0, math.ceil(share * len(ordered)) - 1)] if ordered else None
