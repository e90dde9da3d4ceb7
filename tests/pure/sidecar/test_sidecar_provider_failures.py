"""What each exception of the openai SDK stands for."""

import json

import httpx2
import openai
import pytest

from pointsman_sidecar.providers.failures import failure_in, failure_of, retry_after
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure

REQUEST = httpx2.Request("POST", "http://127.0.0.1:9/v1/chat/completions")


def status_error(
    kind: type[openai.APIStatusError],
    *,
    status: int,
    body: object = None,
    headers: dict[str, str] | None = None,
) -> openai.APIStatusError:
    """The SDK's exception for an answer with this status."""
    response = httpx2.Response(status, request=REQUEST, headers=headers)
    if kind is openai.OAuthError:
        return openai.OAuthError(response=response, body=body)
    return kind("the SDK's own message", response=response, body=body)


EXPECTED = {
    openai.BadRequestError: Outcome.REFUSED,
    openai.AuthenticationError: Outcome.MISCONFIGURED,
    openai.OAuthError: Outcome.MISCONFIGURED,
    openai.PermissionDeniedError: Outcome.MISCONFIGURED,
    openai.NotFoundError: Outcome.MISCONFIGURED,
    openai.ConflictError: Outcome.PROVIDER_FAILED,
    openai.UnprocessableEntityError: Outcome.REFUSED,
    openai.RateLimitError: Outcome.RATE_LIMITED,
    openai.InternalServerError: Outcome.PROVIDER_FAILED,
}
# Not of one status, or of none: each has a test of its own below.
OTHERS = {
    openai.APIError,
    openai.APIStatusError,
    openai.APIConnectionError,
    openai.APITimeoutError,
    openai.APIResponseValidationError,
}


def subclasses(kind: type[object]) -> set[type[object]]:
    """The class and all below it."""
    return {kind}.union(*(subclasses(each) for each in kind.__subclasses__()))


def test_every_exception_of_an_api_call_that_the_sdk_has_is_expected_here() -> None:
    """Fails when the SDK gains one: say above what it stands for, and check that `failure_of` says so too."""
    # By name, since looking at all that the SDK exports imports all of it.
    errors: set[type] = {getattr(openai, name) for name in openai.__all__ if name.endswith("Error")}
    exported = {each for each in errors if issubclass(each, openai.APIError)}

    assert exported == EXPECTED.keys() | OTHERS
    assert {each for each in subclasses(openai.APIError) if each.__module__.startswith("openai")} == exported


@pytest.mark.parametrize("kind", EXPECTED, ids=lambda kind: kind.__name__)
def test_an_error_by_status(kind: type[openai.APIStatusError]) -> None:
    status = getattr(kind, "status_code", 401 if kind is openai.OAuthError else 500)

    failure = failure_of(status_error(kind, status=status))

    assert failure.outcome is EXPECTED[kind]
    assert failure.http_status == status


def test_every_exception_without_a_status_is_a_failure_of_the_provider() -> None:
    for error in (
        openai.OpenAIError("x"),
        openai.APIError("x", REQUEST, body=None),
        openai.APIResponseValidationError(httpx2.Response(200, request=REQUEST), None),
        json.JSONDecodeError("x", "", 0),
        UnicodeDecodeError("utf-8", b"\xff", 0, 1, "x"),
        RecursionError("x"),
        ValueError("Exceeds the limit (4300 digits) for integer string conversion"),
    ):
        assert failure_of(error).outcome is Outcome.PROVIDER_FAILED


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        pytest.param(402, Outcome.PROVIDER_FAILED, id="payment required"),
        pytest.param(408, Outcome.TIMED_OUT, id="timeout"),
        pytest.param(413, Outcome.TOO_LARGE, id="too large"),
        pytest.param(418, Outcome.PROVIDER_FAILED, id="undocumented"),
        pytest.param(304, Outcome.PROVIDER_FAILED, id="redirected"),
    ],
)
def test_statuses_for_which_the_sdk_has_no_class(status: int, outcome: Outcome) -> None:
    assert failure_of(status_error(openai.APIStatusError, status=status)).outcome is outcome


@pytest.mark.parametrize("code", ["context_length_exceeded", "string_above_max_length"])
def test_a_request_beyond_the_context_window_is_too_large_and_not_refused(code: str) -> None:
    failure = failure_of(status_error(openai.BadRequestError, status=400, body={"message": "m", "code": code}))

    assert failure.outcome is Outcome.TOO_LARGE
    assert failure.may_fall_back


@pytest.mark.parametrize("code", ["invalid_value", None, 7, [], {}])
def test_any_other_code_of_a_bad_request_is_a_refusal(code: object) -> None:
    failure = failure_of(status_error(openai.BadRequestError, status=400, body={"message": "m", "code": code}))

    assert failure.outcome is Outcome.REFUSED
    assert not failure.may_fall_back


def test_only_a_refusal_and_a_cut_stream_stop_the_fallback() -> None:
    final = {outcome for outcome in Outcome if not ProviderFailure(outcome, "m").may_fall_back}

    assert final == {Outcome.REFUSED, Outcome.CUT}


@pytest.mark.parametrize(
    ("body", "sentence"),
    [
        pytest.param({"message": "No  such\nmodel."}, "status 404: No such model.", id="on one line"),
        pytest.param({"message": "x" * 400}, f"status 404: {'x' * 300}…", id="cut short"),
        pytest.param({"message": "No \ud800 model."}, "status 404: No ? model.", id="without half characters"),
        pytest.param({"message": ["x"]}, "status 404: Not Found", id="no text"),
        pytest.param("<html>", "status 404: Not Found", id="a page"),
        pytest.param(None, "status 404: Not Found", id="nothing"),
    ],
)
def test_the_provider_is_quoted(body: object, sentence: str) -> None:
    assert str(failure_of(status_error(openai.NotFoundError, status=404, body=body))) == sentence


def test_an_error_within_a_stream_is_quoted() -> None:
    failure = failure_in(b'{"error": {"message": "Overloaded."}}')

    assert failure is not None
    assert str(failure) == "the provider says: Overloaded."
    assert failure.outcome is Outcome.PROVIDER_FAILED


@pytest.mark.parametrize(
    "chunk", [b'{"choices": []}', b'{"error": null, "choices": []}', b'{"choices": ["error"]}', b'{"error"']
)
def test_a_chunk_that_is_no_error_is_left_to_its_reader(chunk: bytes) -> None:
    assert failure_in(chunk) is None


@pytest.mark.parametrize("chunk", [b'{"error": {}, "error": "Overloaded."}', b'{"error": ["Overloaded."]}'])
def test_an_error_of_another_shape_is_one_too(chunk: bytes) -> None:
    assert failure_in(chunk) is not None


def test_what_the_provider_calls_an_error_is_kept() -> None:
    body = {"message": "Too hot.", "param": "temperature", "code": "invalid_value"}

    failure = failure_of(status_error(openai.BadRequestError, status=400, body=body))

    assert (failure.code, failure.param) == ("invalid_value", "temperature")


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        ("2", 2.0),
        ("0.5", 0.5),
        ("86400", 86400.0),
        ("0", None),
        ("-1", None),
        ("Wed, 21 Oct 2026 07:28:00 GMT", None),
        ("", None),
        ("nan", None),
        ("inf", None),
        ("1e300", None),
        (None, None),
    ],
)
def test_retry_after_is_read_where_it_is_a_time_that_somebody_could_wait(
    header: str | None, seconds: float | None
) -> None:
    headers = {} if header is None else {"retry-after": header}

    failure = failure_of(status_error(openai.RateLimitError, status=429, headers=headers))

    assert failure.retry_after == seconds


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, 30.0),
        ({"retry-after": "Wed, 21 Oct 2026 07:27:00 GMT", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "tomorrow", "date": "Wed, 21 Oct 2026 07:28:00 GMT"}, None),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT", "date": "now"}, None),
        ({"retry-after-ms": "1500", "retry-after": "9"}, 1.5),
        ({"retry-after-ms": "soon", "retry-after": "9"}, 9.0),
        ({"retry-after-ms": "-1", "retry-after": "9"}, None),
        ({}, None),
    ],
)
def test_a_time_may_be_a_date_by_the_providers_own_clock_or_in_milliseconds(
    headers: dict[str, str], seconds: float | None
) -> None:
    assert retry_after(headers) == seconds


@pytest.mark.parametrize(
    ("status", "headers", "code", "retried"),
    [
        (408, {}, None, True),
        (409, {}, None, True),
        (429, {}, None, True),
        (500, {}, None, True),
        (503, {}, None, True),
        (529, {}, None, True),
        (401, {}, None, False),
        (404, {}, None, False),
        (418, {}, None, False),
        # The account is empty, and will be so in a moment.
        (429, {}, "insufficient_quota", False),
        # What the provider says itself counts most, but the request's own fault stays one.
        (503, {"x-should-retry": "false"}, None, False),
        (404, {"x-should-retry": "true"}, None, True),
        (400, {"x-should-retry": "true"}, None, False),
    ],
)
def test_what_may_pass_is_what_openais_clients_try_again(
    status: int, headers: dict[str, str], code: str | None, *, retried: bool
) -> None:
    client = openai.OpenAI(api_key="k", base_url="http://127.0.0.1:9/v1")
    response = httpx2.Response(
        status, request=REQUEST, headers=headers, json={"error": {"message": "No.", "code": code}}
    )

    failure = failure_of(client._make_status_error_from_response(response))

    assert failure.may_retry is retried
    assert failure.sent
