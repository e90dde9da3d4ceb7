"""Arms and splits as they travel: what is new of arms in a tally, and what sidecars are told of splits. Pure."""

from collections.abc import Iterable, Iterator, Mapping

from pointsman_api.v1 import tuning_pb2 as pb
from pointsman_operator.tuning.arms import ArmCounts
from pointsman_operator.tuning.kept_splits import KeptSplits


def arm_growth(before: Iterable[pb.ArmTally], after: Iterable[pb.ArmTally]) -> Mapping[tuple[str, str], ArmCounts]:
    """What is new since then, by split and model. An arm that was counted anew is new as a whole.

    Numbers below 0, which no sidecar of ours says, are passed over.
    """
    was = {(each.split, each.model): _counts(each) for each in before}
    grown = {}
    for each in after:
        key, counts = (each.split, each.model), _counts(each)
        more = counts - was.get(key, ArmCounts())
        if not more.is_sound:
            more = counts
        if counts.is_sound and more != ArmCounts():
            grown[key] = more
    return grown


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
