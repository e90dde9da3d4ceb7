"""A completion's error as a gRPC status with google.rpc details."""

import grpc
from google.protobuf.any_pb2 import Any
from google.protobuf.message import Message
from google.rpc import code_pb2, error_details_pb2, status_pb2

from pointsman_sidecar.contract.errors import CompletionError, Kind

DOMAIN = "pointsman.dev"
# Where gRPC carries a whole google.rpc.Status, by its own convention.
DETAILS_KEY = "grpc-status-details-bin"
# gRPC peers refuse headers beyond 8 KiB in all; the message, the details (in base64) and the rest must fit.
_MOST_MESSAGE_BYTES = 2000
_MOST_DETAILS_BYTES = 4096

_CODES = {
    Kind.INVALID_ARGUMENT: (grpc.StatusCode.INVALID_ARGUMENT, code_pb2.INVALID_ARGUMENT),
    Kind.NOT_FOUND: (grpc.StatusCode.NOT_FOUND, code_pb2.NOT_FOUND),
    Kind.FAILED_PRECONDITION: (grpc.StatusCode.FAILED_PRECONDITION, code_pb2.FAILED_PRECONDITION),
    Kind.RESOURCE_EXHAUSTED: (grpc.StatusCode.RESOURCE_EXHAUSTED, code_pb2.RESOURCE_EXHAUSTED),
    Kind.UNAVAILABLE: (grpc.StatusCode.UNAVAILABLE, code_pb2.UNAVAILABLE),
    Kind.DEADLINE_EXCEEDED: (grpc.StatusCode.DEADLINE_EXCEEDED, code_pb2.DEADLINE_EXCEEDED),
    Kind.INTERNAL: (grpc.StatusCode.INTERNAL, code_pb2.INTERNAL),
}


def status(error: CompletionError) -> tuple[grpc.StatusCode, str, bytes]:
    """Code, sentence and serialized google.rpc.Status of an error."""
    code, number = _CODES[error.kind]
    message = _shortened(str(error))
    details = status_pb2.Status(code=number, message=message)
    info = error_details_pb2.ErrorInfo(reason=error.reason, domain=DOMAIN)
    if error.decision is not None:
        info.metadata["decision_id"] = error.decision.id
    if error.quota is not None:
        info.metadata["quota"] = error.quota.quota
        if error.quota.HasField("resets_at"):
            info.metadata["resets_at"] = error.quota.resets_at.ToJsonString()
    _add(details, info)
    if error.retry_after is not None:
        retry = error_details_pb2.RetryInfo()
        retry.retry_delay.FromMilliseconds(round(error.retry_after * 1000))
        _add(details, retry)
    if error.quota is not None:
        failed = error_details_pb2.QuotaFailure.Violation(subject=error.quota.quota, description=message)
        _add(details, error_details_pb2.QuotaFailure(violations=[failed]))
    if error.violations:
        violations = [
            error_details_pb2.BadRequest.FieldViolation(field=each.field, description=each.description)
            for each in error.violations
        ]
        _add(details, error_details_pb2.BadRequest(field_violations=violations))
    if error.decision is not None:
        _add(details, error.decision)
    return code, message, details.SerializeToString()


def _shortened(message: str) -> str:
    left = _MOST_MESSAGE_BYTES
    for end, letter in enumerate(message):
        # gRPC percent-encodes what is not printable ASCII, and the percent sign itself.
        left -= 1 if " " <= letter <= "~" and letter != "%" else 3 * len(letter.encode())
        if left < 0:
            return f"{message[:end]}…"
    return message


def _add(details: status_pb2.Status, detail: Message) -> None:
    packed = Any()
    packed.Pack(detail)
    # What does not fit is left out rather than lose the status: the sentence and the id say what matters.
    if details.ByteSize() + packed.ByteSize() <= _MOST_DETAILS_BYTES:
        details.details.append(packed)
