"""What a policy's annotations say of a suite of regressions: written by `pointsman regress --record`, read here. Pure.

Whoever may edit the policy may write them, and may as well set the weights that they are asked for: they spare an
oversight, and prove nothing to anybody.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from pointsman_operator.resources.kinds import REGRESSION_PREFIX
from pointsman_operator.resources.policy import ModelRoutingPolicy

# Ours are a tenth of that.
_LONGEST: Final = 4096
_LONGEST_SHOWN: Final = 64


class Standing(StrEnum):
    """How a candidate stands with a suite."""

    PASSED = "Passed"
    FAILED = "Failed"
    ABSENT = "Absent"


@dataclass(frozen=True, kw_only=True, slots=True)
class Regressions:
    """The standing, and a sentence where it is not Passed: what was found, or what to run."""

    standing: Standing
    message: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class _Result:
    passed: bool
    cases: int
    regressions: int
    baseline: str
    candidate: str
    at: str


def provider_model(policy: ModelRoutingPolicy, name: str) -> str:
    """A model of the policy as results name it: its provider and the provider's name, which a local name may outlive.

    Empty where the policy has no such model.
    """
    return next((f"{each.provider_ref.name}/{each.model}" for each in policy.spec.models if each.name == name), "")


def read_regressions(annotations: Mapping[str, str], *, suite: str, baseline: str, candidate: str) -> Regressions:
    """How the candidate stands with the suite beside the baseline. Both are named as `provider_model` does."""
    run = f"run `pointsman regress` with the suite for {candidate} beside {baseline}, and --record"
    text = annotations.get(REGRESSION_PREFIX + suite)
    if text is None:
        return _absent(f"suite {suite} has not been run: {run}")
    result = _read(text)
    if result is None:
        return _absent(f"the annotation {REGRESSION_PREFIX}{suite} cannot be read: {run}")
    if (result.baseline, result.candidate) != (baseline, candidate):
        was = f"{_shown(result.candidate)} beside {_shown(result.baseline)}"
        return _absent(f"suite {suite} was last run for {was}: {run}")
    if not result.passed:
        found = f"{result.regressions:,} regressions in {result.cases:,} cases"
        return Regressions(
            standing=Standing.FAILED,
            message=f"{candidate} did not pass suite {suite} at {_shown(result.at)}: {found}; once it is better, {run}",
        )
    return Regressions(standing=Standing.PASSED)


def _absent(message: str) -> Regressions:
    return Regressions(standing=Standing.ABSENT, message=message)


def _read(text: str) -> _Result | None:
    """The result; None where the text is none of ours."""
    if len(text) > _LONGEST:
        return None
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(found, dict):
        return None
    cases, regressions = (_count(found.get(name)) for name in ("cases", "regressions"))
    names = [found.get(name) for name in ("baseline", "candidate", "at")]
    passed = found.get("passed")
    if cases is None or regressions is None or not isinstance(passed, bool):
        return None
    texts = [each for each in names if isinstance(each, str) and each]
    if len(texts) < len(names) or regressions > cases or not cases:
        return None
    baseline, candidate, at = texts
    return _Result(passed=passed, cases=cases, regressions=regressions, baseline=baseline, candidate=candidate, at=at)


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None


def _shown(text: str) -> str:
    """What somebody wrote, as a status may show it: on one line, and short."""
    line = "".join(letter if letter.isprintable() else "?" for letter in text)
    return line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}…"
