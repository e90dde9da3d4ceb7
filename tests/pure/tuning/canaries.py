"""Canaries for tests: a rule, a fleet that counts what it is told, and the state as it goes on."""

from collections.abc import Iterator
from dataclasses import dataclass, field, replace

from pointsman_operator.tuning.arms import ArmCounts
from pointsman_operator.tuning.bars import Bar
from pointsman_operator.tuning.splits import SplitRule, SplitState, SplitStep, advance, weights_of

HOUR = 3600.0
FAST, SLOW = 60, 90  # bins: 181 ms and 2.4 s
EVERRISING = (SplitStep(weight=5, seconds=HOUR), SplitStep(weight=25, seconds=HOUR), SplitStep(weight=100))


def rule(*steps: SplitStep, bar: Bar | None = None, split: str = "s-1") -> SplitRule:
    """A split of `mini` and `next`; without steps, 95 to 5."""
    return SplitRule(
        route="new",
        split=split,
        stable="mini",
        canary="next",
        weights=(0, 0) if steps else (95, 5),
        steps=steps,
        bar=bar,
    )


def counts(requests: int, *, errors: int = 0, latency: int = FAST, confidence: int | None = None) -> ArmCounts:
    """What came of so many requests. `latency` is the bin of all that were answered, `confidence` that of theirs."""
    answers = requests - errors
    return ArmCounts(
        requests=requests,
        errors=errors,
        latency=(0,) * latency + (answers,) if answers else (),
        confidence=() if confidence is None or not answers else (0,) * confidence + (answers,),
    )


@dataclass(kw_only=True)
class Canary:
    """A split as it goes on. Time goes by as it is looked at."""

    rule: SplitRule
    now: float = 1_000_000.0
    stable: ArmCounts = field(default_factory=ArmCounts)
    canary: ArmCounts = field(default_factory=ArmCounts)
    state: SplitState | None = None
    gate: str = ""

    def __post_init__(self) -> None:
        self.look()

    def look(
        self, *, after: float = 0.0, stable: ArmCounts | None = None, canary: ArmCounts | None = None
    ) -> SplitState:
        """Look again after so many seconds, in which this was counted."""
        self.now += after
        self.stable += stable or ArmCounts()
        self.canary += canary or ArmCounts()
        self.state = advance(
            self.state, rule=self.rule, stable=self.stable, canary=self.canary, now=self.now, gate=self.gate
        )
        return self.state

    def ticks(self, number: int, *, after: float, canary: ArmCounts, stable: ArmCounts | None = None) -> Iterator[str]:
        """The phases as it is looked at so often, each time after so long and so much more."""
        for _ in range(number):
            yield self.look(after=after, canary=canary, stable=stable).phase

    @property
    def weights(self) -> tuple[int, int]:
        """Those in force."""
        return weights_of(self.rule, self.state)


def labelled(labels: int, *, negative: int) -> ArmCounts:
    """So many labels and no request."""
    return replace(ArmCounts(), labels=labels, negative=negative)
