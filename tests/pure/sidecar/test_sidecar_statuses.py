"""A completion's error as a gRPC status: what a caller's code can read from it."""

from base64 import b64encode
from typing import TypeVar
from urllib.parse import quote

import grpc
import pytest
from google.protobuf.message import Message
from google.rpc import error_details_pb2, status_pb2

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.requests import Violation
from pointsman_sidecar.doors.statuses import DETAILS_KEY, status

Detail = TypeVar("Detail", bound=Message)

# All headers of an answer together, by gRPC's default; HTTP/2 counts this much for each beside its name and value.
HEADER_LIMIT = 8 * 1024
PER_HEADER = 32
# For :status, content-type, grpc-status and the like.
OTHER_HEADERS = 250


def unpacked(error: CompletionError, kind: type[Detail]) -> Detail | None:
    """The detail of this kind, None where there is none."""
    for packed in status_pb2.Status.FromString(status(error)[2]).details:
        detail = kind()
        if packed.Unpack(detail):
            return detail
    return None


def header_bytes(error: CompletionError) -> int:
    """What the status takes of the headers, as gRPC encodes them."""
    _, message, details = status(error)
    encoded = quote(message, safe=" !\"#$&'()*+,-./:;<=>?@[\\]^_`{|}~")
    return (
        len("grpc-message") + len(encoded) + len(DETAILS_KEY) + len(b64encode(details)) + 2 * PER_HEADER + OTHER_HEADERS
    )


def a_decision(*, attempts: int = 1, message: str = "status 503: overloaded") -> decision_pb2.Decision:
    """A decision after so many failed attempts."""
    return decision_pb2.Decision(
        id="0123456789abcdef",
        policy=decision_pb2.PolicyRef(namespace="shop", name="support"),
        attempts=[decision_pb2.Attempt(model=f"model-{number}", message=message) for number in range(attempts)],
    )


@pytest.mark.parametrize(
    ("kind", "code"),
    [
        (Kind.INVALID_ARGUMENT, grpc.StatusCode.INVALID_ARGUMENT),
        (Kind.FAILED_PRECONDITION, grpc.StatusCode.FAILED_PRECONDITION),
        (Kind.UNAVAILABLE, grpc.StatusCode.UNAVAILABLE),
        (Kind.DEADLINE_EXCEEDED, grpc.StatusCode.DEADLINE_EXCEEDED),
        (Kind.INTERNAL, grpc.StatusCode.INTERNAL),
    ],
)
def test_each_kind_of_error_has_its_status(kind: Kind, code: grpc.StatusCode) -> None:
    given, message, details = status(CompletionError(kind, "WHY", "A sentence."))

    assert (given, message) == (code, "A sentence.")
    packed = status_pb2.Status.FromString(details)
    assert (packed.code, packed.message) == (code.value[0], "A sentence.")


def test_every_kind_of_error_has_a_status() -> None:
    for kind in Kind:
        assert status(CompletionError(kind, "WHY", "A sentence."))[0] is not grpc.StatusCode.UNKNOWN


def test_the_details_say_why_in_googles_own_types() -> None:
    error = CompletionError(
        Kind.UNAVAILABLE, "NO_MODEL_ANSWERED", "No model answered.", retry_after=1.5, decision=a_decision()
    )

    info = unpacked(error, error_details_pb2.ErrorInfo)
    retry = unpacked(error, error_details_pb2.RetryInfo)

    assert info is not None
    assert (info.reason, info.domain, dict(info.metadata)) == (
        "NO_MODEL_ANSWERED",
        "pointsman.dev",
        {"decision_id": "0123456789abcdef"},
    )
    assert retry is not None
    assert retry.retry_delay.ToMilliseconds() == 1500
    assert unpacked(error, decision_pb2.Decision) == a_decision()
    assert unpacked(error, error_details_pb2.BadRequest) is None


def test_a_malformed_request_has_its_violations_by_field() -> None:
    error = CompletionError(
        Kind.INVALID_ARGUMENT, "MALFORMED_REQUEST", "m", violations=(Violation("messages", "is empty"),)
    )

    bad = unpacked(error, error_details_pb2.BadRequest)

    assert bad is not None
    assert [(each.field, each.description) for each in bad.field_violations] == [("messages", "is empty")]
    assert unpacked(error, error_details_pb2.RetryInfo) is None
    assert unpacked(error, decision_pb2.Decision) is None


@pytest.mark.parametrize("letter", ["x", "é", "鍵", "🔑", "%", "\n"])
def test_a_status_stays_below_the_limit_of_headers_whatever_is_said_in_it(letter: str) -> None:
    """A status beyond the limit reaches no caller: the call would end without a reason."""
    sentence = letter * 300
    error = CompletionError(
        Kind.UNAVAILABLE,
        "NO_MODEL_ANSWERED",
        f"no model answered: {'; '.join([sentence] * 16)}",
        violations=tuple(Violation(f"messages[{number}]", sentence) for number in range(50)),
        decision=a_decision(attempts=16, message=sentence),
    )

    assert header_bytes(error) <= HEADER_LIMIT
    assert status(error)[1].startswith("no model answered: ")
    assert status(error)[1].endswith("…")
    info = unpacked(error, error_details_pb2.ErrorInfo)
    assert info is not None
    assert info.metadata["decision_id"] == "0123456789abcdef"


def test_a_decision_of_the_usual_size_is_not_left_out() -> None:
    decided = a_decision(attempts=4, message="status 429: " + "Rate limit reached for requests. " * 4)
    error = CompletionError(Kind.UNAVAILABLE, "NO_MODEL_ANSWERED", "m" * 600, decision=decided)

    assert unpacked(error, decision_pb2.Decision) == decided
