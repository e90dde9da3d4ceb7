"""From the openai SDK's exceptions to our outcomes: one table, in one place."""

import json

import openai

from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure

_TIMEOUT_STATUS = 408
_TOO_LARGE_STATUS = 413
_SERVER_ERRORS = 500
_TOO_LARGE_CODES = frozenset({"context_length_exceeded", "string_above_max_length"})
# Long enough for any sentence, short enough for a status message.
_LONGEST_QUOTE = 300

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


def failure_of(error: openai.OpenAIError | json.JSONDecodeError | UnicodeDecodeError) -> ProviderFailure:
    """The outcome that an exception of the SDK stands for."""
    match error:
        case openai.APITimeoutError():
            return ProviderFailure(Outcome.TIMED_OUT, "the connection was not made in time")
        case openai.APIConnectionError():
            return ProviderFailure(Outcome.CONNECTION_FAILED, "the connection failed or broke off")
        case openai.APIStatusError():
            return _of_status(error)
        case openai.APIError():
            # The provider reports an error within a stream that began with status 200.
            return ProviderFailure(Outcome.PROVIDER_FAILED, f"the provider says: {_quote(error.message)}")
        case _:
            return ProviderFailure(Outcome.PROVIDER_FAILED, "the provider's answer cannot be read")


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
        retry_after=_retry_after(error.response.headers.get("retry-after")),
    )


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    return error.response.reason_phrase or "no reason given"


def _quote(text: str) -> str:
    line = " ".join(text.split())
    return line if len(line) <= _LONGEST_QUOTE else f"{line[:_LONGEST_QUOTE]}…"


def _retry_after(header: str | None) -> float | None:
    try:
        seconds = float(header or "")
    except ValueError:
        # The other form of the header is a date, which needs a clock that agrees with the provider's.
        return None
    return seconds if seconds > 0 else None
