"""Arms and splits as they travel: what is new of arms in a tally, and what sidecars are told of splits. Pure."""

from collections.abc import Iterable, Iterator, Mapping, Sequence

from pointsman_api.v1 import tuning_pb2 as pb
from pointsman_operator.tuning.arms import ArmCounts
from pointsman_operator.tuning.kept_splits import KeptSplits

_MOST_ARMS = 256
_LONGEST_NAME = 64
_MOST_LATENCY_BINS = 161
_MOST_CONFIDENCE_BINS = 50


def arm_growth(before: Iterable[pb.ArmTally], after: Iterable[pb.ArmTally]) -> Mapping[tuple[str, str], ArmCounts]:
    """What is new since then, by split and model. An arm that was counted anew is new as a whole."""
    was = {(each.split, each.model): _counts(each) for each in before}
    grown = {}
    for each in after:
        key, counts = (each.split, each.model), _counts(each)
        more = counts - was.get(key, ArmCounts())
        if not more.is_sound:
            more = counts
        if more != ArmCounts():
            grown[key] = more
    return grown


def are_sound(arms: Sequence[pb.ArmTally]) -> bool:
    """Whether they are no larger than what a sidecar of ours says, and hold no number below 0."""
    return len(arms) <= _MOST_ARMS and all(
        0 < len(each.split) <= _LONGEST_NAME
        and 0 < len(each.model) <= _LONGEST_NAME
        and len(each.latency) <= _MOST_LATENCY_BINS
        and len(each.confidence) <= _MOST_CONFIDENCE_BINS
        and _counts(each).is_sound
        for each in arms
    )


def split_messages(kept: KeptSplits) -> Iterator[pb.SplitState]:
    """What sidecars are told, in the order of the splits' names."""
    for name, each in sorted(kept.splits.items()):
        yield pb.SplitState(split=name, weights=each.weights, rolled_back=each.rolled_back)


def _counts(tally: pb.ArmTally) -> ArmCounts:
    return ArmCounts(
        requests=tally.requests,
        errors=tally.errors,
        latency=tuple(tally.latency),
        confidence=tuple(tally.confidence),
        labels=tally.labels,
        negative=tally.negative_labels,
    )
