"""The state of a split with steps or a guard: up by steps, stopped by doubt, rolled back for good. Pure.

A split is known by the hash of what was written of it. Its new arm, the canary, is the second of two. Whoever calls
`advance` again with the same counts and the same time is given the same state again.

An arm is not rolled back by one bad spell: what is beyond the bar, and not by chance, stops it, and after a while it is
looked at anew, by what was counted from then on.
"""

from dataclasses import dataclass, replace
from enum import StrEnum

from pointsman_operator.tuning.arms import ArmCounts
from pointsman_operator.tuning.bars import Bar, Judgement, Verdict, judge

LOOK_AGAIN_SECONDS = 30.0
"""How long a spell may last that is not held against the canary."""
_WHOLE = 100
_MANY_LABELS = 200
_GATE = "Gate"


class Phase(StrEnum):
    """How far a split has come."""

    PROGRESSING = "Progressing"
    PAUSED = "Paused"
    PROMOTED = "Promoted"
    ROLLED_BACK = "RolledBack"

    @property
    def is_final(self) -> bool:
        """Whether it stays so until the split changes."""
        return self in {Phase.PROMOTED, Phase.ROLLED_BACK}


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitStep:
    """The canary's share in percent, and for how many seconds at least."""

    weight: int
    seconds: float = 0.0


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitRule:
    """What the policy says of a split. `weights` are those of both arms where there are no steps."""

    route: str
    split: str
    stable: str
    canary: str
    weights: tuple[int, int]
    steps: tuple[SplitStep, ...] = ()
    bar: Bar | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class SplitState:
    """Where a split stands; `since` is when its phase or its step last changed, in seconds of the epoch.

    `began` is when the step did. `stable_from` and `canary_from` are the counts with which the window that is looked at
    began. `passed` says that a window of this step was fine; `struck` is when one was bad, None where it was not.
    """

    split: str
    phase: Phase
    step: int
    since: float
    began: float
    stable_from: ArmCounts
    canary_from: ArmCounts
    passed: bool = False
    struck: float | None = None
    reason: str = ""
    message: str = ""


def weights_of(rule: SplitRule, state: SplitState | None) -> tuple[int, int]:
    """The weights in force, of the stable arm and the canary."""
    if state is not None and state.split == rule.split and state.phase is Phase.ROLLED_BACK:
        return (sum(rule.weights) or _WHOLE, 0)
    if not rule.steps:
        return rule.weights
    step = 0 if state is None or state.split != rule.split else min(state.step, len(rule.steps) - 1)
    return (_WHOLE - rule.steps[step].weight, rule.steps[step].weight)


def advance(
    state: SplitState | None, *, rule: SplitRule, stable: ArmCounts, canary: ArmCounts, now: float, gate: str = ""
) -> SplitState:
    """The state that follows. Counts are summed over the fleet; `gate` is why the next step may not be taken, if so."""
    if state is None or state.split != rule.split:
        return _begun(rule, stable=stable, canary=canary, now=now)
    if state.phase.is_final:
        return state
    judged = _judged(state, rule=rule, stable=stable, canary=canary, now=now)
    return _stepped(judged, rule=rule, stable=stable, canary=canary, now=now, gate=gate)


def _begun(rule: SplitRule, *, stable: ArmCounts, canary: ArmCounts, now: float, step: int = 0) -> SplitState:
    return SplitState(
        split=rule.split,
        phase=Phase.PROGRESSING,
        step=step,
        since=now,
        began=now,
        stable_from=stable,
        canary_from=canary,
        passed=rule.bar is None,
        reason=_going(rule),
        message=_aim(rule, step),
    )


def _judged(state: SplitState, *, rule: SplitRule, stable: ArmCounts, canary: ArmCounts, now: float) -> SplitState:
    bar = rule.bar
    if bar is None:
        return state
    anew = replace(state, stable_from=stable, canary_from=canary)
    new, old = canary - state.canary_from, stable - state.stable_from
    lost = not (new.is_sound and old.is_sound)
    if lost or (state.struck is not None and now < state.struck + LOOK_AGAIN_SECONDS):
        return anew
    least = bar.min_samples if state.struck is None else max(1, bar.min_samples // 10)
    seen = judge(bar, canary=new, stable=old, least=least)
    match seen.verdict:
        case Verdict.FINE:
            fine = replace(state, passed=True, struck=None)
            if new.requests >= 2 * bar.min_samples:
                fine = _moved_on(fine, new=new, stable=stable, canary=canary)
            held = state.reason == _GATE
            return fine if held else _in_phase(fine, Phase.PROGRESSING, _going(rule), _aim(rule, state.step), now)
        case Verdict.DOUBTFUL:
            # Looked at anew from here on: what is right at the limit does not change its phase at every look.
            doubted = anew if state.phase is Phase.PROGRESSING else state
            return _in_phase(replace(doubted, passed=False), Phase.PAUSED, seen.reason, _doubt(rule, seen), now)
        case Verdict.BAD:
            return _struck(state, anew, rule=rule, seen=seen, now=now)
        case Verdict.UNKNOWN:
            return state


def _struck(state: SplitState, anew: SplitState, *, rule: SplitRule, seen: Judgement, now: float) -> SplitState:
    if state.struck is None:
        struck = replace(anew, passed=False, struck=now)
        return _in_phase(struck, Phase.PAUSED, seen.reason, _warning(rule, seen), now)
    return _in_phase(state, Phase.ROLLED_BACK, seen.reason, _end(rule, seen, weights_of(rule, state)), now)


def _stepped(
    state: SplitState, *, rule: SplitRule, stable: ArmCounts, canary: ArmCounts, now: float, gate: str
) -> SplitState:
    """The next step, where this one is over."""
    halted = state.phase is Phase.PAUSED and state.reason != _GATE
    if not rule.steps or not state.passed or state.struck is not None or state.phase is Phase.ROLLED_BACK or halted:
        return state
    step = rule.steps[state.step]
    if now < state.began + step.seconds:
        return state
    if state.step + 1 == len(rule.steps):
        if step.weight < _WHOLE:
            return state
        return _in_phase(state, Phase.PROMOTED, "Promoted", f"{rule.canary} answers all requests of the route", now)
    if gate:
        return replace(_in_phase(state, Phase.PAUSED, _GATE, gate, now), message=gate)
    return _begun(rule, stable=stable, canary=canary, now=now, step=state.step + 1)


def _moved_on(state: SplitState, *, new: ArmCounts, stable: ArmCounts, canary: ArmCounts) -> SplitState:
    """A window from now on: what is old and good must not hide what is new and bad. Labels come seldom, and stay."""
    if new.labels >= _MANY_LABELS:
        return replace(state, stable_from=stable, canary_from=canary)
    before = (state.stable_from, state.canary_from)
    stable_from, canary_from = (
        replace(each, labels=was.labels, negative=was.negative)
        for each, was in zip((stable, canary), before, strict=True)
    )
    return replace(state, stable_from=stable_from, canary_from=canary_from)


def _in_phase(state: SplitState, phase: Phase, reason: str, message: str, now: float) -> SplitState:
    # While it is paused for the same reason, it says what it saw first: a status is no place for a running count.
    if (state.phase, state.reason) == (phase, reason):
        return state
    # From a pause it is back in the step that it was in; that began when it began.
    return replace(state, phase=phase, reason=reason, message=message, since=now)


def _going(rule: SplitRule) -> str:
    return "Step" if rule.steps else "Guarded"


def _aim(rule: SplitRule, step: int) -> str:
    needs = f"{rule.bar.min_samples:,} requests of {rule.canary} within the guard" if rule.bar else ""
    if not rule.steps:
        return f"the weights hold as long as {rule.canary} keeps within the guard"
    last = step + 1 == len(rule.steps)
    waits = " and ".join(filter(None, (needs, "its time" if rule.steps[step].seconds else "")))
    share = f"step {step + 1} of {len(rule.steps)}: {rule.steps[step].weight} %"
    if last and rule.steps[step].weight < _WHOLE:
        return f"{share}, the last"
    return f"{share}; {'promoted' if last else 'goes up'} after {waits}" if waits else share


def _doubt(rule: SplitRule, seen: Judgement) -> str:
    return f"{rule.canary} goes no further: {seen.message}, but that may be chance"


def _warning(rule: SplitRule, seen: Judgement) -> str:
    return (
        f"{rule.canary} goes no further: {seen.message}; it is rolled back if that lasts longer than "
        f"{LOOK_AGAIN_SECONDS:g} s"
    )


def _end(rule: SplitRule, seen: Judgement, weights: tuple[int, int]) -> str:
    return (
        f"{rule.canary} was rolled back at weight {weights[1]} of {sum(weights)}: {seen.message}; it stays so until "
        "the split changes"
    )
