"""What each exception of aiohttp, and each status, stands for."""

import json
import ssl
from collections.abc import Mapping
from http.client import responses

import aiohttp
import pytest
from aiohttp.client_reqrep import ConnectionKey
from yarl import URL

from pointsman_sidecar.providers.failures import failure_in, failure_of, failure_of_status, retry_after, unreadable
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure


def answered(status: int, *, body: object = None, headers: Mapping[str, str] | None = None) -> ProviderFailure:
    """What an answer with this status stands for; `body` is the error in it."""
    return failure_of_status(status, responses.get(status, ""), headers or {}, json.dumps({"error": body}).encode())


EXPECTED = {
    304: Outcome.PROVIDER_FAILED,
    400: Outcome.REFUSED,
    401: Outcome.MISCONFIGURED,
    402: Outcome.PROVIDER_FAILED,
    403: Outcome.MISCONFIGURED,
    404: Outcome.MISCONFIGURED,
    408: Outcome.TIMED_OUT,
    409: Outcome.PROVIDER_FAILED,
    413: Outcome.TOO_LARGE,
    418: Outcome.PROVIDER_FAILED,
    422: Outcome.REFUSED,
    429: Outcome.RATE_LIMITED,
    500: Outcome.PROVIDER_FAILED,
    503: Outcome.PROVIDER_FAILED,
}


@pytest.mark.parametrize(("status", "outcome"), EXPECTED.items())
def test_an_error_by_status(status: int, outcome: Outcome) -> None:
    failure = answered(status)

    assert failure.outcome is outcome
    assert failure.http_status == status


@pytest.mark.parametrize(
    "error",
    [
        aiohttp.ServerDisconnectedError(),
        aiohttp.ClientOSError(104, "reset"),
        aiohttp.ClientPayloadError("cut"),
        aiohttp.ClientConnectionResetError("reset"),
        aiohttp.InvalidURL(URL("http://x")),
        ConnectionResetError(104, "reset"),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_connection_that_fails_or_breaks_off(error: aiohttp.ClientError | OSError) -> None:
    failure = failure_of(error)

    assert failure.outcome is Outcome.CONNECTION_FAILED
    assert failure.may_retry
    assert failure.sent, "it may have come through"


KEY = ConnectionKey(
    "provider.example", 443, is_ssl=True, ssl=True, proxy=None, proxy_auth=None, proxy_headers_hash=None
)


@pytest.mark.parametrize(
    ("error", "retried"),
    [
        (aiohttp.ClientConnectorError(KEY, OSError(111, "refused")), True),
        (aiohttp.ClientConnectorDNSError(KEY, OSError(-2, "unknown")), True),
        (aiohttp.ClientConnectorSSLError(KEY, OSError(1, "no TLS")), True),
        (aiohttp.ClientConnectorCertificateError(KEY, ssl.CertificateError("self-signed")), False),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_connection_that_is_not_made_has_sent_nothing(error: aiohttp.ClientError, *, retried: bool) -> None:
    failure = failure_of(error)

    assert failure.outcome is Outcome.CONNECTION_FAILED
    assert failure.may_retry is retried
    assert not failure.sent


@pytest.mark.parametrize(
    ("error", "sent"),
    [(aiohttp.ConnectionTimeoutError(), False), (aiohttp.SocketTimeoutError(), True), (TimeoutError(), True)],
)
def test_a_connection_that_takes_too_long(error: OSError, *, sent: bool) -> None:
    failure = failure_of(error)

    assert failure.outcome is Outcome.TIMED_OUT
    assert failure.sent is sent


def test_what_python_cannot_read_is_a_failure_of_the_provider_that_others_are_asked_after_first() -> None:
    failure = failure_of(ValueError("no port"))

    assert failure.outcome is Outcome.PROVIDER_FAILED
    assert failure.may_retry
    assert failure.others_first


@pytest.mark.parametrize(
    ("failure", "others_first"),
    [
        (ProviderFailure(Outcome.TIMED_OUT, "no answer"), True),
        (ProviderFailure(Outcome.TIMED_OUT, "status 408", http_status=408), False),
        (ProviderFailure(Outcome.PROVIDER_FAILED, "status 500", http_status=500), False),
        (unreadable("no choices"), True),
    ],
    ids=str,
)
def test_what_took_time_or_may_be_charged_for_is_asked_of_others_first(
    failure: ProviderFailure, *, others_first: bool
) -> None:
    assert failure.may_retry
    assert failure.others_first is others_first
    assert failure.sent


@pytest.mark.parametrize("code", ["context_length_exceeded", "string_above_max_length"])
def test_a_request_beyond_the_context_window_is_too_large_and_not_refused(code: str) -> None:
    failure = answered(400, body={"message": "m", "code": code})

    assert failure.outcome is Outcome.TOO_LARGE
    assert failure.may_fall_back


@pytest.mark.parametrize("code", ["invalid_value", None, 7, [], {}])
def test_any_other_code_of_a_bad_request_is_a_refusal(code: object) -> None:
    failure = answered(400, body={"message": "m", "code": code})

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
    assert str(answered(404, body=body)) == sentence


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

    failure = answered(400, body=body)

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

    failure = answered(429, headers=headers)

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
    failure = answered(status, body={"message": "No.", "code": code}, headers=headers)

    assert failure.may_retry is retried
    assert failure.sent
