"""What a sidecar has counted, as it is sent, and what the operator made of all counts, as it is received."""

from decimal import Decimal, InvalidOperation

from pointsman_api.v1 import tuning_pb2
from pointsman_sidecar.tuning.counting import PolicyCounts
from pointsman_sidecar.tuning.tuning import Tuning


class UnreadableTuningError(Exception):
    """What was received cannot be put in force. The text says why."""


def tally_of(counts: PolicyCounts) -> tuning_pb2.Tally:
    """What was counted, as it is sent."""
    tally = tuning_pb2.Tally(process=counts.process, began=counts.began, policy_uid=counts.policy_uid)
    bins = counts.scores.bins
    if length := next((at for at in range(len(bins), 0, -1) if bins[at - 1]), 0):
        tally.complexity.bins.extend(bins[:length])
        tally.complexity.high = counts.scores.high
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
    )


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
