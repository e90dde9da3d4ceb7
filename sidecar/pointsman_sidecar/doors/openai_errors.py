"""A completion's error as OpenAI's API says it: status, type and code, by one table.

OpenAI's clients choose their exceptions by the status, and try again at 408, 409, 429 and from 500 on, unless the
header x-should-retry says otherwise.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from pointsman_sidecar.contract.decision_json import decision_json
from pointsman_sidecar.contract.errors import CompletionError, Kind

_INVALID = "invalid_request_error"
_SERVER = "server_error"
_FIELDS_WITHOUT_PARAM = frozenset({"", "body"})


@dataclass(frozen=True, slots=True)
class Status:
    """How an error is said. `retry` overrules what a client would do by the status alone."""

    status: int
    type: str
    code: str
    retry: bool | None = None


BY_REASON: Mapping[str, Status] = {
    "MALFORMED_REQUEST": Status(400, _INVALID, "invalid_request"),
    "REQUEST_TOO_LARGE": Status(413, _INVALID, "request_too_large"),
    "UNKNOWN_MODEL": Status(404, _INVALID, "model_not_found"),
    "UNKNOWN_DECISION": Status(404, _INVALID, "decision_not_found"),
    "MODEL_REQUIRED": Status(400, _INVALID, "model_required"),
    "PINNING_NOT_ALLOWED": Status(403, _INVALID, "pinning_not_allowed"),
    "REFUSED_BY_PROVIDER": Status(400, _INVALID, "refused_by_provider"),
    "NO_CAPABLE_MODEL": Status(400, _INVALID, "no_capable_model"),
    # The request is fine, and trying it again helps nobody until a person has seen to the policy.
    "NO_POLICY": Status(503, _SERVER, "no_policy", retry=False),
    "NOT_READY": Status(503, _SERVER, "not_ready"),
    "RATE_LIMITED": Status(429, "requests", "rate_limit_exceeded"),
    "OVERLOADED": Status(429, "requests", "overloaded"),
    # OpenAI's word for an account without money; its clients know not to hammer.
    "QUOTA_EXHAUSTED": Status(429, "insufficient_quota", "insufficient_quota", retry=False),
    "QUOTA_UNAVAILABLE": Status(503, _SERVER, "quota_unavailable"),
    "NO_MODEL_ANSWERED": Status(503, _SERVER, "no_model_answered"),
    "STREAM_CUT": Status(503, _SERVER, "stream_cut"),
    # The policy's whole time was used up: a client that tries again by itself would wait it out twice more.
    "DEADLINE_EXCEEDED": Status(504, _SERVER, "timeout", retry=False),
    "INTERNAL": Status(500, _SERVER, "internal_error"),
}
# For a reason that the table does not know.
BY_KIND: Mapping[Kind, Status] = {
    Kind.INVALID_ARGUMENT: Status(400, _INVALID, "invalid_request"),
    Kind.NOT_FOUND: Status(404, _INVALID, "not_found"),
    Kind.FAILED_PRECONDITION: Status(503, _SERVER, "failed_precondition", retry=False),
    Kind.RESOURCE_EXHAUSTED: Status(429, "requests", "resource_exhausted"),
    Kind.UNAVAILABLE: Status(503, _SERVER, "unavailable"),
    Kind.DEADLINE_EXCEEDED: BY_REASON["DEADLINE_EXCEEDED"],
    Kind.INTERNAL: BY_REASON["INTERNAL"],
}
# A budget that begins anew within so many seconds is worth a client's own wait.
_SOON = 5.0
_PARAMS = {
    "UNKNOWN_MODEL": "model",
    "MODEL_REQUIRED": "model",
    "PINNING_NOT_ALLOWED": "model",
    "UNKNOWN_DECISION": "decision_id",
}


def status_of(kind: Kind, reason: str) -> Status:
    """How errors of this kind and reason are said."""
    return BY_REASON.get(reason) or BY_KIND[kind]


def error_body(error: CompletionError, *, with_decision: bool = False) -> dict[str, object]:
    """The error in OpenAI's shape; with the decision beside it, where there is one and it was asked for."""
    said = status_of(error.kind, error.reason)
    field = error.violations[0].field if error.violations else ""
    param = error.param or _PARAMS.get(error.reason) or (None if field in _FIELDS_WITHOUT_PARAM else field)
    body = refusal(str(error), said, param=param, code=error.code)
    if with_decision and error.decision is not None:
        body["pointsman"] = decision_json(error.decision)
    return body


def refusal(message: str, said: Status, *, param: str | None = None, code: str = "") -> dict[str, object]:
    """An error in OpenAI's shape."""
    return {"error": {"message": message, "type": said.type, "param": param, "code": code or said.code}}


def error_headers(error: CompletionError) -> dict[str, str]:
    """The headers that tell a client whether and when to try again."""
    headers: dict[str, str] = {}
    retry = status_of(error.kind, error.reason).retry
    if error.quota is not None and error.retry_after is not None and error.retry_after <= _SOON:
        retry = True
    if retry is not None:
        headers["x-should-retry"] = "true" if retry else "false"
    if error.retry_after is not None:
        # Whole seconds for those who read no others; OpenAI's clients prefer the exact number.
        headers["retry-after"] = str(-int(-error.retry_after // 1))
        headers["retry-after-ms"] = f"{error.retry_after * 1000:.0f}"
    return headers
