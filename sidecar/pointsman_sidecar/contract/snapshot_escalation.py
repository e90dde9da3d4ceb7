"""What a snapshot says of stronger models, as the routing reads it."""

from decimal import Decimal, InvalidOperation

from pointsman_api.v1 import snapshot_pb2
from pointsman_sidecar.contract.rejections import SnapshotRejectedError
from pointsman_sidecar.routing.policy import AnswerFault, Escalation, WhenStreaming

_FAULTS = {
    snapshot_pb2.ANSWER_FAULT_INVALID_OUTPUT: AnswerFault.INVALID_OUTPUT,
    snapshot_pb2.ANSWER_FAULT_REFUSAL: AnswerFault.REFUSAL,
    snapshot_pb2.ANSWER_FAULT_TRUNCATION: AnswerFault.TRUNCATION,
}

_WHEN_STREAMING = {
    snapshot_pb2.WHEN_STREAMING_UNSPECIFIED: WhenStreaming.OFF,
    snapshot_pb2.WHEN_STREAMING_FIRST_TOKENS: WhenStreaming.FIRST_TOKENS,
    snapshot_pb2.WHEN_STREAMING_BUFFER: WhenStreaming.BUFFER,
    snapshot_pb2.WHEN_STREAMING_BUFFER_ALL: WhenStreaming.BUFFER_ALL,
}


def escalation(snapshot: snapshot_pb2.Snapshot) -> Escalation | None:
    """When a stronger model answers."""
    if not snapshot.HasField("escalation"):
        return None
    said = snapshot.escalation
    unknown: list[int] = [fault for fault in said.on if fault not in _FAULTS]
    if said.when_streaming not in _WHEN_STREAMING:
        unknown.append(said.when_streaming)
    if unknown:
        raise SnapshotRejectedError(f"escalation holds a value that this sidecar does not know ({unknown[0]})")
    if not 0 <= said.complexity_share < 100:  # noqa: PLR2004 - percent
        raise SnapshotRejectedError("escalation.complexity_share is not a number from 0 to 99")
    return Escalation(
        model=said.model,
        complexity_threshold=_share("complexity_threshold", said.complexity_threshold),
        complexity_share=said.complexity_share,
        confidence_below=_share("confidence_below", said.confidence_below),
        self_check_within=_share("self_check_within", said.self_check_within),
        on=frozenset(_FAULTS[fault] for fault in said.on),
        daily_limit=said.daily_limit,
        when_streaming=_WHEN_STREAMING[said.when_streaming],
        buffer_tokens=said.buffer_tokens,
    )


def _share(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        share = Decimal(text)
    except InvalidOperation:
        share = Decimal("NaN")
    if not (share.is_finite() and 0 <= share <= 1):
        raise SnapshotRejectedError(f"escalation.{name} is not a decimal number from 0 to 1")
    return float(share)
