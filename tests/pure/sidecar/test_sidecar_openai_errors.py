"""A completion's error in OpenAI's shape, by a table that the SDK itself is asked about."""

import httpx2
import openai
import pytest

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.requests import Violation
from pointsman_sidecar.doors.openai_errors import BY_KIND, BY_REASON, error_body, error_headers, status_of

EXPECTED: dict[str, tuple[Kind, int, type[openai.APIStatusError]]] = {
    "MALFORMED_REQUEST": (Kind.INVALID_ARGUMENT, 400, openai.BadRequestError),
    "REQUEST_TOO_LARGE": (Kind.INVALID_ARGUMENT, 413, openai.APIStatusError),
    "UNKNOWN_MODEL": (Kind.INVALID_ARGUMENT, 404, openai.NotFoundError),
    "UNKNOWN_DECISION": (Kind.NOT_FOUND, 404, openai.NotFoundError),
    "MODEL_REQUIRED": (Kind.INVALID_ARGUMENT, 400, openai.BadRequestError),
    "PINNING_NOT_ALLOWED": (Kind.INVALID_ARGUMENT, 403, openai.PermissionDeniedError),
    "REFUSED_BY_PROVIDER": (Kind.INVALID_ARGUMENT, 400, openai.BadRequestError),
    "NO_CAPABLE_MODEL": (Kind.FAILED_PRECONDITION, 400, openai.BadRequestError),
    "NO_POLICY": (Kind.FAILED_PRECONDITION, 503, openai.InternalServerError),
    "NOT_READY": (Kind.UNAVAILABLE, 503, openai.InternalServerError),
    "RATE_LIMITED": (Kind.UNAVAILABLE, 429, openai.RateLimitError),
    "OVERLOADED": (Kind.RESOURCE_EXHAUSTED, 429, openai.RateLimitError),
    "QUOTA_EXHAUSTED": (Kind.RESOURCE_EXHAUSTED, 429, openai.RateLimitError),
    "QUOTA_UNAVAILABLE": (Kind.UNAVAILABLE, 503, openai.InternalServerError),
    "NO_MODEL_ANSWERED": (Kind.UNAVAILABLE, 503, openai.InternalServerError),
    "STREAM_CUT": (Kind.UNAVAILABLE, 503, openai.InternalServerError),
    "DEADLINE_EXCEEDED": (Kind.DEADLINE_EXCEEDED, 504, openai.InternalServerError),
    "INTERNAL": (Kind.INTERNAL, 500, openai.InternalServerError),
}


def test_every_reason_has_a_row_here() -> None:
    assert EXPECTED.keys() == BY_REASON.keys()
    assert BY_KIND.keys() == set(Kind)


@pytest.mark.parametrize("reason", EXPECTED)
def test_a_reason_makes_the_sdk_raise_its_own_exception(reason: str) -> None:
    kind, status, exception = EXPECTED[reason]
    error = CompletionError(kind, reason, "No.")
    response = httpx2.Response(
        status_of(kind, reason).status,
        json=error_body(error),
        headers=error_headers(error),
        request=httpx2.Request("POST", "http://127.0.0.1/v1/chat/completions"),
    )
    client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1/v1")

    raised = client._make_status_error_from_response(response)

    assert type(raised) is exception
    assert (raised.status_code, raised.body["message"]) == (status, "No.")  # type: ignore[index] # as the API says
    assert raised.code == BY_REASON[reason].code
    client.close()


@pytest.mark.parametrize("kind", Kind)
def test_a_reason_that_is_not_in_the_table_goes_by_its_kind(kind: Kind) -> None:
    assert status_of(kind, "NEW") is BY_KIND[kind]


def test_a_field_that_is_wrong_is_the_param() -> None:
    wrong = (Violation("messages[0].role", "is not set"),)

    body = error_body(CompletionError(Kind.INVALID_ARGUMENT, "MALFORMED_REQUEST", "No.", violations=wrong))

    assert body == {
        "error": {
            "message": "No.",
            "type": "invalid_request_error",
            "param": "messages[0].role",
            "code": "invalid_request",
        }
    }


def test_the_providers_own_words_for_what_is_wrong_are_kept() -> None:
    error = CompletionError(
        Kind.INVALID_ARGUMENT, "REFUSED_BY_PROVIDER", "No.", code="invalid_value", param="temperature"
    )

    assert error_body(error)["error"] == {
        "message": "No.",
        "type": "invalid_request_error",
        "param": "temperature",
        "code": "invalid_value",
    }


def test_a_client_learns_whether_and_when_to_try_again() -> None:
    def headers(kind: Kind, reason: str, retry_after: float | None = None) -> dict[str, str]:
        return error_headers(CompletionError(kind, reason, "No.", retry_after=retry_after))

    assert headers(Kind.UNAVAILABLE, "RATE_LIMITED", 1.25) == {"retry-after": "2", "retry-after-ms": "1250"}
    assert headers(Kind.FAILED_PRECONDITION, "NO_POLICY") == {"x-should-retry": "false"}
    assert headers(Kind.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED") == {"x-should-retry": "false"}
    assert headers(Kind.UNAVAILABLE, "NOT_READY") == {}


def test_the_decision_stands_beside_the_error_where_it_was_asked_for() -> None:
    error = CompletionError(Kind.UNAVAILABLE, "NO_MODEL_ANSWERED", "No.", decision=decision_pb2.Decision(id="d-1"))

    assert "pointsman" not in error_body(error)
    assert error_body(error, with_decision=True)["pointsman"]["id"] == "d-1"  # type: ignore[index] # it is an object


@pytest.mark.parametrize(("seconds", "retry"), [(3.0, "true"), (3_600.0, "false")])
def test_a_budget_that_begins_anew_soon_is_worth_another_try(seconds: float, retry: str) -> None:
    quota = decision_pb2.QuotaLevel(quota="TokenQuota shop/month")
    error = CompletionError(
        Kind.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED", "nothing is left", retry_after=seconds, quota=quota
    )

    assert error_headers(error)["x-should-retry"] == retry
    assert error_headers(error)["retry-after"] == str(int(seconds))
