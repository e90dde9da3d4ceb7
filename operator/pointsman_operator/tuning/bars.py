"""Whether the new arm of a split keeps the policy's bar: from what was counted of both arms to a verdict."""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto

from pointsman_operator.tuning.arms import CONFIDENCE_GRAIN, ArmCounts
from pointsman_operator.tuning.chances import least_excess, mean_error, share_bounds

FEW = 20
"""Of what comes seldom, labels and confidences, and of the other arm's requests: fewer than these say nothing."""
_SLOW_SHARE = 0.05


class Verdict(Enum):
    """What the counts say, the worst last."""

    UNKNOWN = auto()
    FINE = auto()
    # Beyond the bar, but that may be chance.
    DOUBTFUL = auto()
    # Beyond the bar, and not by chance.
    BAD = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Bar:
    """What is asked of the new arm, the canary; of the limits, None is not asked. Shares and scores are from 0 to 1.

    What is `over_stable` is compared with the other arm in the same time.
    """

    min_samples: int
    max_errors: float | None = None
    max_errors_over_stable: float | None = None
    max_p95: float | None = None
    max_p95_over_stable: float | None = None
    min_confidence: float | None = None
    max_confidence_below_stable: float | None = None
    max_negative: float | None = None
    max_negative_over_stable: float | None = None

    @property
    def asks_confidence(self) -> bool:
        """Whether it looks at confidence."""
        return self.min_confidence is not None or self.max_confidence_below_stable is not None


@dataclass(frozen=True, kw_only=True, slots=True)
class Judgement:
    """A verdict, the measure that led to it as a reason for programs, and a sentence."""

    verdict: Verdict
    reason: str = ""
    message: str = ""


def judge(bar: Bar, *, canary: ArmCounts, stable: ArmCounts, least: int) -> Judgement:
    """Judge what was counted in one window, which must hold `least` requests of the canary to be bad.

    It is fine only once there are as many as the bar asks for.
    """
    if canary.requests < least:
        return Judgement(verdict=Verdict.UNKNOWN)
    seen = [*_errors(bar, canary, stable), *_latency(bar, canary, stable)]
    seen += [*_confidence(bar, canary, stable), *_feedback(bar, canary, stable)]
    worst = max(seen, key=lambda each: each.verdict.value, default=Judgement(verdict=Verdict.FINE))
    if worst.verdict is not Verdict.BAD and canary.requests < bar.min_samples:
        return Judgement(verdict=Verdict.UNKNOWN)
    if worst.verdict is Verdict.FINE and bar.asks_confidence and canary.judged < FEW:
        return Judgement(verdict=Verdict.UNKNOWN)
    return worst


def _errors(bar: Bar, canary: ArmCounts, stable: ArmCounts) -> Iterator[Judgement]:
    said = f"it failed {_of(canary.errors, canary.requests)} requests"
    if (most := bar.max_errors) is not None:
        yield Judgement(
            verdict=_share_verdict(canary.errors, canary.requests, most),
            reason="ErrorRate",
            message=f"{said}, more than {_percent(most)}",
        )
    if (most := bar.max_errors_over_stable) is not None and stable.requests >= FEW:
        yield Judgement(
            verdict=_excess_verdict(canary.errors, canary.requests, stable.errors, stable.requests, most),
            reason="ErrorRate",
            message=f"{said}, more than {_points(most)} above the other arm's {_of(stable.errors, stable.requests)}",
        )


def _latency(bar: Bar, canary: ArmCounts, stable: ArmCounts) -> Iterator[Judgement]:
    if canary.answers < FEW:
        return
    said = f"its 95th percentile of latency is {_seconds(canary.p95)}"
    if (most := bar.max_p95) is not None:
        yield Judgement(
            verdict=_share_verdict(canary.slower_than(most), canary.answers, _SLOW_SHARE),
            reason="Latency",
            message=f"{said}, more than {_seconds(most)}",
        )
    if (more := bar.max_p95_over_stable) is not None and stable.answers >= FEW:
        most = stable.p95 * (1 + more)
        yield Judgement(
            # How sure the other arm's own percentile is counts, too: both are asked how many were slower.
            verdict=_excess_verdict(
                canary.slower_than(most), canary.answers, _SLOW_SHARE * stable.answers, stable.answers, 0.0
            ),
            reason="Latency",
            message=f"{said}, more than {_percent(more)} above the other arm's {_seconds(stable.p95)}",
        )


def _confidence(bar: Bar, canary: ArmCounts, stable: ArmCounts) -> Iterator[Judgement]:
    if canary.judged < FEW:
        return
    mean = canary.mean_confidence
    off = mean_error(canary.confidence_variance, canary.judged, grain=CONFIDENCE_GRAIN)
    said = f"the mean confidence of {canary.judged} answers is {mean:.2f}"
    if (least := bar.min_confidence) is not None:
        yield Judgement(
            verdict=_verdict(surely=mean + off < least, seemingly=mean < least),
            reason="Confidence",
            message=f"{said}, less than {least:g}",
        )
    if (less := bar.max_confidence_below_stable) is not None and stable.judged >= FEW:
        gap = stable.mean_confidence - mean
        other = mean_error(stable.confidence_variance, stable.judged, grain=CONFIDENCE_GRAIN)
        yield Judgement(
            verdict=_verdict(surely=gap - (off**2 + other**2) ** 0.5 > less, seemingly=gap > less),
            reason="Confidence",
            message=f"{said}, more than {less:g} below the other arm's {stable.mean_confidence:.2f}",
        )


def _feedback(bar: Bar, canary: ArmCounts, stable: ArmCounts) -> Iterator[Judgement]:
    if canary.labels < FEW:
        return
    said = f"{_of(canary.negative, canary.labels)} labels of its answers are negative"
    if (most := bar.max_negative) is not None:
        yield Judgement(
            verdict=_share_verdict(canary.negative, canary.labels, most),
            reason="NegativeFeedback",
            message=f"{said}, more than {_percent(most)}",
        )
    if (most := bar.max_negative_over_stable) is not None and stable.labels >= FEW:
        yield Judgement(
            verdict=_excess_verdict(canary.negative, canary.labels, stable.negative, stable.labels, most),
            reason="NegativeFeedback",
            message=f"{said}, more than {_points(most)} above the other arm's {_of(stable.negative, stable.labels)}",
        )


def _share_verdict(hits: float, of: int, most: float) -> Verdict:
    return _verdict(surely=share_bounds(hits, of)[0] > most, seemingly=of > 0 and hits / of > most)


def _excess_verdict(hits: float, of: int, other_hits: float, other_of: int, most: float) -> Verdict:
    return _verdict(
        surely=least_excess(hits, of, other_hits=other_hits, other_of=other_of) > most,
        seemingly=hits / of - other_hits / other_of > most,
    )


def _verdict(*, surely: bool, seemingly: bool) -> Verdict:
    if surely:
        return Verdict.BAD
    return Verdict.DOUBTFUL if seemingly else Verdict.FINE


def _of(hits: int, of: int) -> str:
    return f"{hits:,} of {of:,} ({_percent(hits / of)})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _points(share: float) -> str:
    return f"{100 * share:.3g} points"


def _seconds(seconds: float) -> str:
    return f"{1000 * seconds:.0f} ms" if seconds < 1 else f"{seconds:.3g} s"
