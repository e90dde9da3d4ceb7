"""Arms and splits as they travel: what was counted of arms, and where splits stand."""

from collections.abc import Iterable, Iterator, Mapping

from pointsman_api.v1 import tuning_pb2
from pointsman_sidecar.tuning.arms import ArmTally
from pointsman_sidecar.tuning.splits import SplitState


def arm_messages(tallies: Iterable[ArmTally]) -> Iterator[tuning_pb2.ArmTally]:
    """What was counted, as it is sent."""
    for tally in tallies:
        yield tuning_pb2.ArmTally(
            split=tally.split,
            model=tally.model,
            requests=tally.requests,
            errors=tally.errors,
            latency=tally.latency,
            confidence=tally.confidence,
            labels=tally.labels,
            negative_labels=tally.negative,
        )


def read_splits(states: Iterable[tuning_pb2.SplitState]) -> Mapping[str, SplitState]:
    """Where splits stand, by name. One that holds no weights that can be drawn by is passed over."""
    return {
        state.split: SplitState(weights=tuple(state.weights), rolled_back=state.rolled_back)
        for state in states
        if any(state.weights) and min(state.weights) >= 0
    }
