"""What came of a suite, as JSON: numbers and names, nothing of what was asked or answered. Pure."""

from collections.abc import Sequence
from typing import Any

from pointsman.regression.comparing import Run, Summary, Verdict, lacking, passes, summary
from pointsman.regression.sides import Side, models_of
from pointsman.regression.suites import Suite


def report(suite: Suite, sides: tuple[Side, Side], verdict: Verdict, *, at: str) -> dict[str, Any]:
    """The whole report."""
    baseline, candidate = sides
    return {
        "suite": suite.name,
        "digest": suite.digest,
        "at": at,
        "passed": verdict.passed,
        "regressions": len(verdict.regressions),
        "allowed": verdict.allowed,
        **({"obstacle": verdict.obstacle} if verdict.obstacle else {}),
        "baseline": _side(baseline, [each.baseline for each in verdict.cases]),
        "candidate": _side(candidate, [each.candidate for each in verdict.cases]),
        "cases": [
            {
                "name": each.name,
                "regressed": each.regressed,
                "baseline": _case(each.baseline),
                "candidate": _case(each.candidate),
            }
            for each in verdict.cases
        ],
    }


def record(suite: Suite, sides: tuple[Side, Side], verdict: Verdict, *, at: str) -> dict[str, Any]:
    """What the policy's annotation says of it: `pointsman_operator.compile.regressions` reads it.

    Only of two models: of two policies there is nothing that an arm of a split could be compared with.
    """
    models = models_of(sides)
    if models is None:
        raise ValueError("two policies were compared, and a record is of two models")
    baseline, candidate = models
    return {
        "passed": verdict.passed,
        "cases": len(verdict.cases),
        "regressions": len(verdict.regressions),
        "baseline": baseline,
        "candidate": candidate,
        "suite": suite.digest,
        "at": at,
    }


def _side(side: Side, cases: Sequence[Sequence[Run]]) -> dict[str, Any]:
    numbers: Summary = summary(cases)
    return {
        "name": side.name,
        **({"model": side.model} if side.model else {}),
        "passed": numbers.passed,
        "failed": numbers.failed,
        "p50_ms": _milliseconds(numbers.p50),
        "p95_ms": _milliseconds(numbers.p95),
        "tokens_per_call": None if numbers.tokens is None else round(numbers.tokens, 1),
        "cost_per_1000_calls": {currency: f"{amount:.6f}" for currency, amount in numbers.cost.items()},
    }


def _case(runs: Sequence[Run]) -> dict[str, Any]:
    return {
        "passed": passes(runs),
        "runs": len(runs),
        "runs_passed": sum(run.passed for run in runs),
        "lacking": [
            {"property": each.property, "runs": times, "message": each.message} for each, times in lacking(runs)
        ],
    }


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 1)
