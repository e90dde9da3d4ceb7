"""What is kept of splits: it goes on as the core says, whatever is written down and read again in between."""

import json
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.tuning.arms import ArmCounts
from pointsman_operator.tuning.bars import Bar
from pointsman_operator.tuning.kept_splits import KeptSplits, decode, encode, moved_on, taken_in
from pointsman_operator.tuning.splits import Phase
from pure.tuning.canaries import EVERRISING, HOUR, Canary, counts, labelled, rule

RULE = rule(*EVERRISING, bar=Bar(min_samples=100, max_errors=0.02))
BATCHES = st.builds(
    lambda requests, share, labels: (
        counts(requests, errors=int(requests * share), confidence=40) + labelled(labels, negative=labels // 2)
    ),
    st.integers(0, 300),
    st.sampled_from([0.0, 0.0, 0.01, 0.02, 0.5]),
    st.integers(0, 3),
)


def grown(stable: ArmCounts, canary: ArmCounts, *, split: str = "s-1") -> dict[tuple[str, str], ArmCounts]:
    return {(split, "mini"): stable, (split, "next"): canary}


def rolled_back() -> KeptSplits:
    kept = moved_on(KeptSplits(), [RULE], now=0)
    for turn in range(1, 20):
        kept = moved_on(taken_in(kept, grown(counts(0), counts(200, errors=100))), [RULE], now=60.0 * turn)
    assert kept.splits["s-1"].state.phase is Phase.ROLLED_BACK
    return kept


@given(ticks=st.lists(st.tuples(st.integers(0, 2 * int(HOUR)), BATCHES, BATCHES), max_size=30))
def test_it_goes_on_as_if_nobody_had_stopped_or_forgotten_anything(
    ticks: list[tuple[int, ArmCounts, ArmCounts]],
) -> None:
    plain = Canary(rule=RULE)
    kept = moved_on(KeptSplits(), [RULE], now=plain.now)
    for after, stable, canary in ticks:
        state = plain.look(after=after, stable=stable, canary=canary)
        kept = decode(
            json.loads(json.dumps(encode(moved_on(taken_in(kept, grown(stable, canary)), [RULE], now=plain.now))))
        )

        there = kept.splits["s-1"]
        nothing = ArmCounts()
        assert there.state == replace(state, stable_from=nothing, canary_from=nothing)
        assert there.weights == plain.weights
        assert there.rolled_back == ("next" if state.phase is Phase.ROLLED_BACK else "")


def test_a_split_that_comes_back_is_as_it_was() -> None:
    """Taken out of the policy, or out of sight since the policy was broken for a while."""
    gone = moved_on(rolled_back(), [], now=9_000)
    back = moved_on(gone, [RULE], now=10_000)

    assert gone.splits["s-1"].rolled_back == "next"
    assert back.splits["s-1"] == rolled_back().splits["s-1"]


def test_splits_that_are_long_gone_are_forgotten_and_those_that_are_not_are_kept() -> None:
    kept = rolled_back()
    for number in range(100):
        kept = moved_on(kept, [RULE, replace(RULE, route="other", split=f"o-{number}")], now=9_000)

    assert len(kept.splits) == 18
    assert kept.splits["s-1"].rolled_back == "next"


def test_counts_of_splits_that_ended_or_are_unknown_are_not_kept() -> None:
    kept = rolled_back()

    after = taken_in(kept, {**grown(counts(10), counts(10)), **grown(counts(10), counts(10), split="s-9")})

    assert kept.arms == {}
    assert after == kept


def test_a_gate_is_asked_before_each_step() -> None:
    asked = []
    kept = moved_on(KeptSplits(), [RULE], now=0)
    kept = taken_in(kept, grown(counts(0), counts(150)))

    def gate(_rule: object, state: object) -> str:
        asked.append(state)
        return "suite nightly failed"

    held = moved_on(kept, [RULE], now=HOUR, gate=gate)

    assert asked
    assert (held.splits["s-1"].state.phase, held.splits["s-1"].state.message) == (Phase.PAUSED, "suite nightly failed")
    assert held.splits["s-1"].weights == (95, 5)


@pytest.mark.parametrize(
    "spoilt",
    [
        pytest.param({"phase": "Healthy"}, id="a phase that there is not"),
        pytest.param({"weights": [1]}, id="one weight"),
        pytest.param({"arms": {"mini": {"requests": 1}}}, id="half an arm"),
    ],
)
def test_what_is_none_of_ours_is_refused(spoilt: dict[str, object]) -> None:
    (entry,) = encode(rolled_back())

    with pytest.raises((LookupError, TypeError, ValueError, AttributeError)):
        decode([{**entry, **spoilt}])
