"""The connections to providers: one pool for the process, one SDK client for each endpoint and key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from functools import lru_cache
from types import TracebackType
from typing import Self

import httpx2
from openai import AsyncOpenAI, AsyncStream, DefaultAioHttpClient, Omit, omit
from openai._types import RequestOptions  # the type of post()'s options, which the SDK exports nowhere else

from pointsman_sidecar.providers.events import EventSplitter
from pointsman_sidecar.providers.failures import CALL_ERRORS, failure_in, failure_of
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure
from pointsman_sidecar.routing.policy import Provider

# The SDK wants a key even where the provider asks for none; it is not sent.
_NO_KEY = "none"
_MOST_CLIENTS = 64
# How long the end of the body may take after the end of the stream, so that the connection can serve again.
_LAST_BYTES = 0.05
_DONE = b"[DONE]"


class ProviderClients:
    """Calls providers. An async context manager: leaving it closes the connections."""

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
        try:
            response = await self._client(provider.base_url, api_key).post(
                path, cast_to=httpx2.Response, content=body, options=_options(api_key, connect_timeout)
            )
        except CALL_ERRORS as error:
            raise failure_of(error) from error
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
        try:
            stream = await self._client(provider.base_url, api_key).post(
                path,
                cast_to=object,
                content=body,
                stream=True,
                stream_cls=AsyncStream[object],
                options=_options(api_key, connect_timeout),
            )
        except CALL_ERRORS as error:
            raise failure_of(error) from error
        try:
            yield _chunks(stream.response)
        finally:
            await stream.close()

    def _new_client(self, base_url: str, api_key: str) -> AsyncOpenAI:
        if not (api_key.isascii() and api_key.isprintable()):
            raise ProviderFailure(
                Outcome.MISCONFIGURED, "the provider's key cannot be sent: it holds what no header can"
            )
        client = AsyncOpenAI(
            base_url=base_url,
            api_key=api_key or _NO_KEY,
            http_client=self._http,
            max_retries=0,
        )
        # The SDK offers no other way to keep the environment's OPENAI_CUSTOM_HEADERS out, a foreign key among them.
        client._custom_headers = {}  # noqa: SLF001
        return client


async def _chunks(response: httpx2.Response) -> AsyncIterator[bytes]:
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
        raise failure_of(error) from error


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
