"""What a snapshot says of stronger models, as the routing reads it."""

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
    return Escalation(model=said.model, on=frozenset(_FAULTS[fault] for fault in said.on), daily_limit=said.daily_limit)
