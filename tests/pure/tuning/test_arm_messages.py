"""What a sidecar counts reaches the operator once, and what the operator decides reaches the sidecar."""

from hypothesis import given
from hypothesis import strategies as st

from pointsman_api.v1 import tuning_pb2 as pb
from pointsman_operator.push.tunings import is_sound
from pointsman_operator.tuning.arm_messages import arm_growth, split_messages
from pointsman_operator.tuning.arms import ArmCounts, summed
from pointsman_operator.tuning.kept_splits import KeptSplits, moved_on
from pointsman_sidecar.contract.splits import arm_messages, read_splits
from pointsman_sidecar.tuning.arms import ArmResult, ArmTallies
from pointsman_sidecar.tuning.splits import SplitState
from pure.tuning.canaries import EVERRISING, rule

RESULTS = st.builds(ArmResult, seconds=st.none() | st.floats(0, 1000), confidence=st.none() | st.floats(0, 1))


@given(rounds=st.lists(st.lists(st.tuples(st.sampled_from(["mini", "next"]), RESULTS), max_size=20), max_size=8))
def test_each_request_is_taken_in_once_however_often_it_is_said(rounds: list[list[tuple[str, ArmResult]]]) -> None:
    tallies, before, taken = ArmTallies(), list[pb.ArmTally](), list[ArmCounts]()
    for results in rounds:
        for model, result in results:
            tallies.add(result, split="s-1", model=model)
        after = [pb.ArmTally.FromString(each.SerializeToString()) for each in arm_messages(tallies)]
        assert is_sound(pb.Tally(process="p-1", arms=after))
        taken += arm_growth(before, after).values()
        assert arm_growth(after, after) == {}
        before = after

    whole = summed(taken)
    everything = [result for results in rounds for _, result in results]
    assert whole.requests == len(everything)
    assert whole.errors == sum(result.seconds is None for result in everything)
    assert whole.answers == whole.requests - whole.errors
    assert whole.judged == sum(result.confidence is not None for result in everything)


def test_labels_are_taken_in_too() -> None:
    tallies = ArmTallies()
    tallies.label(split="s-1", model="next", negative=True)
    tallies.label(split="s-1", model="next", negative=False)

    (grown,) = arm_growth([], arm_messages(tallies)).values()

    assert (grown.labels, grown.negative) == (2, 1)


def test_an_arm_that_was_given_up_and_counted_anew_is_new() -> None:
    before = [pb.ArmTally(split="s-1", model="next", requests=10, errors=1)]
    after = [pb.ArmTally(split="s-1", model="next", requests=4)]

    assert arm_growth(before, after) == {("s-1", "next"): ArmCounts(requests=4)}


def test_what_no_sidecar_of_ours_says_is_not_sound() -> None:
    good = pb.ArmTally(split="s-1", model="next", requests=1)

    def sound(*arms: pb.ArmTally) -> bool:
        return is_sound(pb.Tally(process="p-1", arms=arms))

    assert sound(good)
    assert not sound(*[good] * 1000)
    assert not sound(pb.ArmTally(split="s-1", model="next", latency=[1] * 1000))
    assert not sound(pb.ArmTally(model="next"))
    assert arm_growth([], [pb.ArmTally(split="s-1", model="next", requests=-1)]) == {}


def test_sidecars_are_told_the_weights_in_force() -> None:
    kept = moved_on(KeptSplits(), [rule(*EVERRISING)], now=0)

    assert read_splits(split_messages(kept)) == {"s-1": SplitState(weights=(95, 5))}


def test_a_state_that_cannot_be_drawn_by_is_passed_over() -> None:
    assert read_splits([pb.SplitState(split="a"), pb.SplitState(split="b", weights=[-1, 2])]) == {}
