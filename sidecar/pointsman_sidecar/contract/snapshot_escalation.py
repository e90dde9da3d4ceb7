"""What a snapshot says of stronger models, as the routing reads it."""

from decimal import Decimal, InvalidOperation

from pointsman_api.v1 import snapshot_pb2
from pointsman_sidecar.contract.rejections import SnapshotRejectedError
from pointsman_sidecar.routing.policy import AnswerFault, Escalation

_FAULTS = {
    snapshot_pb2.ANSWER_FAULT_INVALID_OUTPUT: AnswerFault.INVALID_OUTPUT,
    snapshot_pb2.ANSWER_FAULT_REFUSAL: AnswerFault.REFUSAL,
    snapshot_pb2.ANSWER_FAULT_TRUNCATION: AnswerFault.TRUNCATION,
}


def escalation(snapshot: snapshot_pb2.Snapshot) -> Escalation | None:
    """When a stronger model answers."""
    if not snapshot.HasField("escalation"):
        return None
    said = snapshot.escalation
    for fault in said.on:
        if fault not in _FAULTS:
            raise SnapshotRejectedError(f"escalation holds a value that this sidecar does not know ({fault})")
    return Escalation(
        model=said.model,
        confidence_below=_share(said.confidence_below) if said.confidence_below else None,
        on=frozenset(_FAULTS[fault] for fault in said.on),
        daily_limit=said.daily_limit,
    )


def _share(text: str) -> float:
    try:
        share = Decimal(text)
    except InvalidOperation:
        share = Decimal("NaN")
    if not (share.is_finite() and 0 <= share <= 1):
        raise SnapshotRejectedError("escalation.confidence_below is not a decimal number from 0 to 1")
    return float(share)
