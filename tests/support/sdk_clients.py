"""Calls through the openai SDK, as the sidecar once made them: what its own calls must equal."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from types import TracebackType
from typing import Self

import aiohttp
import httpx2
import openai
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient, Omit, omit
from openai._types import RequestOptions  # the type of post()'s options, which the SDK exports nowhere else

from pointsman_sidecar.providers.events import EventSplitter
from pointsman_sidecar.providers.failures import (
    LASTING_CODES,
    LONGEST_RETRY_AFTER,
    TOO_LARGE_CODES,
    failure_in,
    quote,
    retry_after,
    unreadable,
)
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure
from pointsman_sidecar.routing.policy import Provider

# Beside the SDK's own exceptions: what its transport lets through where an answer is no HTTP, and what Python raises
# where it is no JSON, no UTF-8, or nested or numbered beyond what it reads.
CALL_ERRORS = (openai.OpenAIError, aiohttp.ClientError, httpx2.HTTPError, ValueError, RecursionError)
_TIMEOUT_STATUS = 408
_TOO_LARGE_STATUS = 413
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
# The SDK wants a key even where the provider asks for none; it is not sent.
_NO_KEY = "none"
_MOST_CLIENTS = 64
# How long the end of the body may take after the end of the stream, so that the connection can serve again.
_LAST_BYTES = 0.05
_DONE = b"[DONE]"


class SdkClients:
    """Calls providers as `ProviderClients` does, through the SDK."""

    def __init__(self) -> None:
        self._http = DefaultAioHttpClient(timeout=None)
        self._client = lru_cache(maxsize=_MOST_CLIENTS)(self._new_client)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._http.aclose()

    async def answer(
        self, provider: Provider, *, path: str, api_key: str, body: bytes, connect_timeout: float
    ) -> bytes:
        """The answer to `body`, as it came. Only the connection is timed here; the caller bounds the whole.

        Raises:
            ProviderFailure: there is no answer.
        """
        client = self._client(provider.base_url, api_key)
        try:
            response = await client.post(
                path, cast_to=httpx2.Response, content=body, options=_options(api_key, connect_timeout)
            )
        except CALL_ERRORS as error:
            raise failure_of(error, client) from error
        return response.content

    @asynccontextmanager
    async def stream(
        self, provider: Provider, *, path: str, api_key: str, body: bytes, connect_timeout: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The chunks of the answer to `body`, each as it came, until the provider says that it is done.

        Leaving the context closes the connection, wherever the stream stands.

        Raises:
            ProviderFailure: there is no answer, or, from the iterator, no more of it.
        """
        client = self._client(provider.base_url, api_key)
        try:
            stream = await client.post(
                path,
                cast_to=object,
                content=body,
                stream=True,
                stream_cls=AsyncStream[object],
                options=_options(api_key, connect_timeout),
            )
        except CALL_ERRORS as error:
            raise failure_of(error, client) from error
        try:
            yield _chunks(stream.response, client)
        finally:
            await stream.close()

    def _new_client(self, base_url: str, api_key: str) -> AsyncOpenAI:
        if not (api_key.isascii() and api_key.isprintable()):
            raise ProviderFailure(
                Outcome.MISCONFIGURED, "the provider's key cannot be sent: it holds what no header can", sent=False
            )
        client = AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or _NO_KEY,
            http_client=self._http,
            max_retries=0,
        )
        # The SDK offers no other way to keep the environment's OPENAI_CUSTOM_HEADERS out, a foreign key among them.
        client._custom_headers = {}
        return client


async def _chunks(response: httpx2.Response, client: AsyncOpenAI) -> AsyncIterator[bytes]:
    # The SDK's own iterator would decode every chunk, and what is sent on must be what came.
    splitter = EventSplitter()
    body = response.aiter_bytes()
    try:
        async for received in body:
            for data in splitter.feed(received):
                if data.startswith(_DONE):
                    await _drain(body)
                    return
                if failure := failure_in(data):
                    raise failure
                yield data
    except CALL_ERRORS as error:
        raise failure_of(error, client) from error


async def _drain(body: AsyncIterator[bytes]) -> None:
    with suppress(TimeoutError, *CALL_ERRORS):
        async with asyncio.timeout(_LAST_BYTES):
            async for _ in body:
                pass


def _options(api_key: str, connect_timeout: float) -> RequestOptions:
    # What the SDK finds in the environment is not the provider's business: only what the operator gives is sent.
    headers: dict[str, str | Omit] = {"OpenAI-Organization": omit, "OpenAI-Project": omit}
    if not api_key:
        headers["Authorization"] = omit
    return {"headers": headers, "timeout": httpx2.Timeout(None, connect=connect_timeout)}


def failure_of(
    error: openai.OpenAIError | aiohttp.ClientError | httpx2.HTTPError | ValueError | RecursionError,
    client: AsyncOpenAI,
) -> ProviderFailure:
    """The outcome that an exception of the SDK or its transport stands for."""
    match error:
        case openai.APITimeoutError() if _caused_by(error, TimeoutError):
            return ProviderFailure(Outcome.TIMED_OUT, "the connection was not made in time", sent=False)
        case openai.APIConnectionError() | aiohttp.ClientError() | httpx2.HTTPError():
            return _of_connection(error)
        case openai.APIStatusError():
            return _of_status(error, client)
        case _:
            return unreadable("the provider's answer cannot be read")


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


def _of_status(error: openai.APIStatusError, client: AsyncOpenAI) -> ProviderFailure:
    status = error.status_code
    outcome = next((outcome for type_, outcome in _BY_TYPE.items() if isinstance(error, type_)), None)
    if status == _TOO_LARGE_STATUS or (outcome is Outcome.REFUSED and error.code in TOO_LARGE_CODES):
        outcome = Outcome.TOO_LARGE
    elif status == _TIMEOUT_STATUS:
        outcome = Outcome.TIMED_OUT
    elif outcome is None:
        # A 3xx or 4xx that the API does not document is about this provider, and says nothing of the request.
        outcome = Outcome.PROVIDER_FAILED
    return ProviderFailure(
        outcome,
        f"status {status}: {quote(_said(error))}",
        http_status=status,
        retry_after=_retry_after(client, error.response.headers),
        code=_word(error.code),
        param=_word(error.param),
        retry=_may_pass(client, error),
    )


def _said(error: openai.APIStatusError) -> str:
    body = error.body
    if isinstance(body, dict) and isinstance(body.get("message"), str):
        return str(body["message"])
    return error.response.reason_phrase or "no reason given"


def _word(value: object) -> str:
    return quote(value) if isinstance(value, str) else ""


def _may_pass(client: AsyncOpenAI, error: openai.APIStatusError) -> bool:
    """What the SDK itself says. How long it would wait is left out: ours looks at the time that is left instead."""
    said = {name: value for name, value in error.response.headers.items() if not name.startswith("retry-after")}
    asked = httpx2.Response(error.status_code, headers=said)
    return client._should_retry(asked) and error.code not in LASTING_CODES


def _retry_after(client: AsyncOpenAI, headers: httpx2.Headers) -> float | None:
    """What the SDK itself reads, where it names a time that makes sense."""
    if "," in headers.get("retry-after", "") and "retry-after-ms" not in headers:
        # A date. The SDK holds it against this machine's clock, and ours on purpose against the provider's.
        return retry_after(headers)
    seconds = client._parse_retry_after_header(headers)
    return seconds if seconds is not None and 0 < seconds <= LONGEST_RETRY_AFTER else None
