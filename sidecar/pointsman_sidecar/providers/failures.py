"""From the openai SDK's exceptions to our outcomes: one table, in one place."""

import json
from collections.abc import Iterator, Mapping
from email.utils import parsedate_to_datetime

import aiohttp
import httpx2
import openai

from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure

# Beside the SDK's own exceptions: what its transport lets through where an answer is no HTTP, and what Python raises
# where it is no JSON, no UTF-8, or nested or numbered beyond what it reads.
CALL_ERRORS = (openai.OpenAIError, aiohttp.ClientError, httpx2.HTTPError, ValueError, RecursionError)
_TIMEOUT_STATUS = 408
_TOO_LARGE_STATUS = 413
# What OpenAI's own clients try again: at 408, 409, 429 and from 500 on, unless the provider says otherwise.
_PASSING = frozenset({408, 409, 429})
_SERVER_ERRORS = 500
# Nothing that a moment mends: the account is empty.
_LASTING_CODES = frozenset({"insufficient_quota", "billing_hard_limit_reached"})
_SHOULD_RETRY = {"true": True, "false": False}
_TOO_LARGE_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
# Long enough for any sentence, short enough for a status message.
_LONGEST_QUOTE = 300
# A day. What names a longer time means no time that a caller could wait.
_LONGEST_RETRY_AFTER = 86_400

_BY_TYPE: dict[type[openai.APIStatusError], Outcome] = {
    openai.BadRequestError: Outcome.REFUSED,
    openai.UnprocessableEntityError: Outcome.REFUSED,
    openai.AuthenticationError: Outcome.MISCONFIGURED,
    openai.PermissionDeniedError: Outcome.MISCONFIGURED,
    openai.NotFoundError: Outcome.MISCONFIGURED,
    openai.ConflictError: Outcome.PROVIDER_FAILED,
    openai.RateLimitError: Outcome.RATE_LIMITED,
    openai.InternalServerError: Outcome.PROVIDER_FAILED,
}


def failure_of(
    error: openai.OpenAIError | aiohttp.ClientError | httpx2.HTTPError | ValueError | RecursionError,
) -> ProviderFailure:
    """The outcome that an exception of the SDK or its transport stands for."""
    match error:
        case openai.APITimeoutError() if _caused_by(error, TimeoutError):
            return ProviderFailure(Outcome.TIMED_OUT, "the connection was not made in time", sent=False)
        case openai.APIConnectionError() | aiohttp.ClientError() | httpx2.HTTPError():
            return _of_connection(error)
        case openai.APIStatusError():
            return _of_status(error)
        case _:
            return unreadable("the provider's answer cannot be read")


def unreadable(message: str) -> ProviderFailure:
    """An answer that makes no sense. Another one would be charged for too, and make no more."""
    return ProviderFailure(Outcome.PROVIDER_FAILED, message, retry=False)


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
    return ProviderFailure(Outcome.PROVIDER_FAILED, f"the provider says: {_quote(said)}")


def _of_connection(error: BaseException) -> ProviderFailure:
    if _caused_by(error, aiohttp.ClientConnectorCertificateError):
        return ProviderFailure(
            Outcome.CONNECTION_FAILED, "the provider's certificate is not trusted", sent=False, retry=False
        )
    if _caused_by(error, aiohttp.ClientConnectorError):
        return ProviderFailure(Outcome.CONNECTION_FAILED, "the connection failed", sent=False)
    return ProviderFailure(Outcome.CONNECTION_FAILED, "the connection broke off")


def _caused_by(error: BaseException, kind: type[BaseException]) -> bool:
    # The SDK's transport reports a connection that is refused or closed as a timeout too; only the cause tells.
    return any(isinstance(each, kind) for each in _causes(error))


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__


def _of_status(error: openai.APIStatusError) -> ProviderFailure:
    status = error.status_code
    outcome = next((outcome for type_, outcome in _BY_TYPE.items() if isinstance(error, type_)), None)
    if status == _TOO_LARGE_STATUS or (outcome is Outcome.REFUSED and error.code in _TOO_LARGE_CODES):
        outcome = Outcome.TOO_LARGE
    elif status == _TIMEOUT_STATUS:
        outcome = Outcome.TIMED_OUT
    elif outcome is None:
        # A 3xx or 4xx that the API does not document is about this provider, and says nothing of the request.
        outcome = Outcome.PROVIDER_FAILED
    return ProviderFailure(
        outcome,
        f"status {status}: {_quote(_said(error))}",
        http_status=status,
        retry_after=retry_after(error.response.headers),
        code=_word(error.code),
        param=_word(error.param),
        retry=_may_pass(status, _word(error.code), error.response.headers),
    )


def _may_pass(status: int, code: str, headers: Mapping[str, str]) -> bool:
    said = _SHOULD_RETRY.get(headers.get("x-should-retry", ""))
    if said is not None:
        return said
    return code not in _LASTING_CODES and (status in _PASSING or status >= _SERVER_ERRORS)


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    return error.response.reason_phrase or "no reason given"


def _word(value: object) -> str:
    return _quote(value) if isinstance(value, str) else ""


def _quote(text: str) -> str:
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
    return seconds if 0 < seconds <= _LONGEST_RETRY_AFTER else None
