"""From what a provider answers, or aiohttp raises where it does not, to our outcomes: one table, in one place."""

import json
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import aiohttp

from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure

# Beside aiohttp's own: what the system raises on a connection, and what Python raises where an answer is no HTTP.
CALL_ERRORS = (aiohttp.ClientError, OSError, ValueError)
# What OpenAI's own clients try again: at 408, 409, 429 and from 500 on, unless the provider says otherwise.
_PASSING = frozenset({408, 409, 429})
_SERVER_ERRORS = 500
# Nothing that a moment mends: the account is empty.
LASTING_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_SHOULD_RETRY = {"true": True, "false": False}
TOO_LARGE_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
# Long enough for any sentence, short enough for a status message.
_LONGEST_QUOTE = 300
# A day. What names a longer time means no time that a caller could wait.
LONGEST_RETRY_AFTER = 86_400

_BY_STATUS = {
    400: Outcome.REFUSED,
    401: Outcome.MISCONFIGURED,
    403: Outcome.MISCONFIGURED,
    404: Outcome.MISCONFIGURED,
    408: Outcome.TIMED_OUT,
    413: Outcome.TOO_LARGE,
    422: Outcome.REFUSED,
    429: Outcome.RATE_LIMITED,
}


def failure_of(error: aiohttp.ClientError | OSError | ValueError) -> ProviderFailure:
    """The outcome that an exception of a call stands for."""
    match error:
        case aiohttp.ConnectionTimeoutError():
            return ProviderFailure(Outcome.TIMED_OUT, "the connection was not made in time", sent=False)
        case TimeoutError():
            # The system's own, of a connection that stood.
            return ProviderFailure(Outcome.TIMED_OUT, "the connection timed out")
        case aiohttp.ClientConnectorCertificateError():
            return ProviderFailure(
                Outcome.CONNECTION_FAILED, "the provider's certificate is not trusted", sent=False, retry=False
            )
        case aiohttp.ClientConnectorError():
            return ProviderFailure(Outcome.CONNECTION_FAILED, "the connection failed", sent=False)
        case aiohttp.ClientError() | OSError():
            return ProviderFailure(Outcome.CONNECTION_FAILED, "the connection broke off")
        case _:
            return unreadable("the provider's answer cannot be read")


def unreadable(message: str) -> ProviderFailure:
    """An answer that makes no sense, such as the page of a proxy in between. It may be charged for, as may the next."""
    return ProviderFailure(Outcome.PROVIDER_FAILED, message, others_first=True)


def failure_of_status(status: int, reason: str, headers: Mapping[str, str], raw: bytes) -> ProviderFailure:
    """The outcome that an answer of a status other than 2xx stands for."""
    # What the API does not document is about this provider, and says nothing of the request.
    outcome = _BY_STATUS.get(status, Outcome.PROVIDER_FAILED)
    error = _error_in(raw)
    code = error.get("code")
    if outcome is Outcome.REFUSED and isinstance(code, str) and code in TOO_LARGE_CODES:
        outcome = Outcome.TOO_LARGE
    message = error.get("message")
    said = message if isinstance(message, str) else reason or "no reason given"
    return ProviderFailure(
        outcome,
        f"status {status}: {quote(said)}",
        http_status=status,
        retry_after=retry_after(headers),
        code=_word(code),
        param=_word(error.get("param")),
        retry=_may_pass(status, _word(code), headers),
    )


def _may_pass(status: int, code: str, headers: Mapping[str, str]) -> bool:
    said = _SHOULD_RETRY.get(headers.get("x-should-retry", ""))
    if said is not None:
        return said
    return code not in LASTING_CODES and (status in _PASSING or status >= _SERVER_ERRORS)


def _error_in(raw: bytes) -> Mapping[str, Any]:
    """The members of the error in an answer; none where it holds no such thing."""
    try:
        body = json.loads(raw.decode(errors="replace"))
    except (ValueError, RecursionError):
        return {}
    # Some providers say what is wrong at the top.
    error = body.get("error", body) if isinstance(body, dict) else None
    return error if isinstance(error, dict) else {}


def failure_in(chunk: bytes) -> ProviderFailure | None:
    """The error that a provider reports within a stream that began with status 200; None where the chunk is none."""
    if b'"error"' not in chunk:
        return None
    try:
        body = json.loads(chunk)
    except (ValueError, RecursionError):
        # Whoever reads the chunk will say so.
        return None
    error = body.get("error") if isinstance(body, dict) else None
    if not error:
        return None
    message = error.get("message") if isinstance(error, dict) else error
    said = message if isinstance(message, str) and message else "an error without a message"
    return ProviderFailure(Outcome.PROVIDER_FAILED, f"the provider says: {quote(said)}")


def _word(value: object) -> str:
    # Some providers have numbers for codes.
    return quote(str(value)) if isinstance(value, str | int) else ""


def quote(text: str) -> str:
    """A provider's words on one line, cut where they are long."""
    # JSON can hold half a character, and protobuf cannot.
    line = " ".join(text.encode(errors="replace").decode().split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[:_LONGEST_QUOTE]}…"


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The seconds after which a provider wants to be called again; None where it names no time that makes sense."""
    for name, unit in (("retry-after-ms", 1000), ("retry-after", 1)):
        try:
            seconds = float(headers.get(name, "")) / unit
        except ValueError:
            continue
        return _sensible(seconds)
    try:
        # A date means something by the provider's own clock only, which stands beside it.
        wait = parsedate_to_datetime(headers["retry-after"]) - parsedate_to_datetime(headers["date"])
    except (KeyError, ValueError, TypeError):
        return None
    return _sensible(wait.total_seconds())


def _sensible(seconds: float) -> float | None:
    return seconds if 0 < seconds <= LONGEST_RETRY_AFTER else None
