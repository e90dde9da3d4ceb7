"""What a sidecar has counted, as it is sent, and what the operator made of all counts, as it is received."""

from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from itertools import zip_longest

from pointsman_api.v1 import tuning_pb2
from pointsman_sidecar.confidence.calibration import Labelled, fit
from pointsman_sidecar.contract.splits import arm_messages, read_splits
from pointsman_sidecar.tuning.arms import CONFIDENCE_BINS
from pointsman_sidecar.tuning.counting import PolicyCounts
from pointsman_sidecar.tuning.tuning import Tuning


class UnreadableTuningError(Exception):
    """What was received cannot be put in force. The text says why."""


def tally_of(counts: PolicyCounts) -> tuning_pb2.Tally:
    """What was counted, as it is sent."""
    tally = tuning_pb2.Tally(process=counts.process, began=counts.began, policy_uid=counts.policy_uid)
    if bins := _to_the_last(counts.scores.bins):
        tally.complexity.bins.extend(bins)
        tally.complexity.high = counts.scores.high
    for model, labels in counts.labels.items():
        tally.labels.add(model=model, right=_to_the_last(labels.right), wrong=_to_the_last(labels.wrong))
    tally.arms.extend(arm_messages(counts.arms))
    return tally


def read_tuning(update: tuning_pb2.Tuning) -> Tuning:
    """A tuning as it was sent.

    Raises:
        UnreadableTuningError: it holds what is none.
    """
    return Tuning(
        policy_uid=update.policy_uid,
        version=update.version,
        complexity_threshold=_threshold(update.complexity_threshold),
        complexity_share=update.complexity_share,
        calibration=fit(_labels(update.labels)) if update.labels else None,
        splits=read_splits(update.splits),
    )


def _labels(tallies: Iterable[tuning_pb2.LabelTally]) -> Iterator[Labelled]:
    """Labels as they were counted: those of one bin are alike."""
    for tally in tallies:
        for at, (right, wrong) in enumerate(zip_longest(tally.right, tally.wrong, fillvalue=0)):
            if at >= CONFIDENCE_BINS:
                raise UnreadableTuningError(f"labels of a model are in more than {CONFIDENCE_BINS} bins")
            if count := right + wrong:
                yield Labelled(tally.model, (at + 0.5) / CONFIDENCE_BINS, right / count, count)


def _to_the_last(bins: Sequence[int]) -> Sequence[int]:
    """The bins up to the last that is not empty."""
    return bins[: next((at for at in range(len(bins), 0, -1) if bins[at - 1]), 0)]


def _threshold(text: str) -> float | None:
    if not text:
        return None
    try:
        threshold = Decimal(text)
    except InvalidOperation:
        threshold = Decimal("NaN")
    if not (threshold.is_finite() and 0 <= threshold <= 1):
        raise UnreadableTuningError("complexity_threshold is not a decimal number from 0 to 1")
    return float(threshold)
