"""The connections to providers: one pool for the process, the head of a request once for each endpoint and key."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from functools import lru_cache
from types import TracebackType
from typing import Self

from aiohttp import ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from multidict import CIMultiDict, CIMultiDictProxy
from yarl import URL

from pointsman_sidecar.providers.events import EventSplitter
from pointsman_sidecar.providers.failures import CALL_ERRORS, failure_in, failure_of, failure_of_status
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure
from pointsman_sidecar.providers.proxies import proxy_for
from pointsman_sidecar.routing.policy import Provider

_MOST_ENDPOINTS = 64
_MOST_TIMEOUTS = 64
# As long as the openai SDK keeps one, and Node's and uvicorn's servers do: who waits longer writes into closed ones.
_IDLE = 5.0
_REDIRECTS = 20
# How long the end of the body may take after the end of the stream, so that the connection can serve again.
_LAST_BYTES = 0.05
_DONE = b"[DONE]"
_SUCCEEDED = range(200, 300)
# No error of an API is longer; what is, is not read to its end.
_LONGEST_ERROR = 1024 * 1024


@dataclass(frozen=True, slots=True)
class _Endpoint:
    url: URL
    headers: CIMultiDictProxy[str]
    proxy: URL | None


class ProviderClients:
    """Calls providers. An async context manager: leaving it closes the connections."""

    def __init__(self) -> None:
        self._session = ClientSession(
            # The completion's own limits say how much may be in flight; a queue in here would be seen by nobody.
            connector=TCPConnector(limit=0, keepalive_timeout=_IDLE),
            # What one key's answers set is not sent with another's requests.
            cookie_jar=DummyCookieJar(),
            timeout=ClientTimeout(total=None),
        )
        self._endpoint = lru_cache(maxsize=_MOST_ENDPOINTS)(_endpoint)
        self._timeout = lru_cache(maxsize=_MOST_TIMEOUTS)(_timeout)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._session.close()

    async def answer(
        self, provider: Provider, *, path: str, api_key: str, body: bytes, connect_timeout: float
    ) -> bytes:
        """The answer to `body`, as it came. Only the connection is timed here; the caller bounds the whole.

        Raises:
            ProviderFailure: there is no answer.
        """
        response = await self._sent(provider, path=path, api_key=api_key, body=body, connect_timeout=connect_timeout)
        try:
            return await response.read()
        except CALL_ERRORS as error:
            raise failure_of(error) from error
        finally:
            response.close()

    @asynccontextmanager
    async def stream(
        self, provider: Provider, *, path: str, api_key: str, body: bytes, connect_timeout: float
    ) -> AsyncIterator[AsyncIterator[bytes]]:
        """The chunks of the answer to `body`, each as it came, until the provider says that it is done.

        Leaving the context closes the connection, wherever the stream stands.

        Raises:
            ProviderFailure: there is no answer, or, from the iterator, no more of it.
        """
        response = await self._sent(provider, path=path, api_key=api_key, body=body, connect_timeout=connect_timeout)
        try:
            yield _chunks(response)
        finally:
            # A connection whose body was read to its end is in the pool by now, and stays there.
            response.close()

    async def _sent(
        self, provider: Provider, *, path: str, api_key: str, body: bytes, connect_timeout: float
    ) -> ClientResponse:
        endpoint = self._endpoint(provider.base_url, path, api_key)
        try:
            response = await self._session.post(
                endpoint.url,
                headers=endpoint.headers,
                data=body,
                proxy=endpoint.proxy,
                timeout=self._timeout(connect_timeout),
                max_redirects=_REDIRECTS,
            )
        except CALL_ERRORS as error:
            raise failure_of(error) from error
        if response.status in _SUCCEEDED:
            return response
        try:
            said = b""
            while len(said) < _LONGEST_ERROR and (piece := await response.content.readany()):
                said += piece
            raise failure_of_status(response.status, response.reason or "", response.headers, said)
        except CALL_ERRORS as error:
            raise failure_of(error) from error
        finally:
            response.close()


async def _chunks(response: ClientResponse) -> AsyncIterator[bytes]:
    splitter = EventSplitter()
    body = response.content
    try:
        while received := await body.readany():
            for data in splitter.feed(received):
                if data.startswith(_DONE):
                    if not body.at_eof():
                        await _drain(response)
                    return
                if failure := failure_in(data):
                    raise failure
                yield data
    except CALL_ERRORS as error:
        raise failure_of(error) from error


async def _drain(response: ClientResponse) -> None:
    with suppress(TimeoutError, *CALL_ERRORS):
        async with asyncio.timeout(_LAST_BYTES):
            while await response.content.readany():
                pass


def _endpoint(base_url: str, path: str, api_key: str) -> _Endpoint:
    if not (api_key.isascii() and api_key.isprintable()):
        raise ProviderFailure(
            Outcome.MISCONFIGURED, "the provider's key cannot be sent: it holds what no header can", sent=False
        )
    headers = CIMultiDict(
        {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": "pointsman-sidecar"}
    )
    if api_key:
        headers["Authorization"] = f"Bearer {api_key}"
    url = URL(base_url.rstrip("/") + path)
    return _Endpoint(url=url, headers=CIMultiDictProxy(headers), proxy=proxy_for(url))


def _timeout(connect: float) -> ClientTimeout:
    # With the look-up of the host's name; and to the moment, where aiohttp would round up what is longer than 5 s.
    return ClientTimeout(total=None, connect=connect, ceil_threshold=float("inf"))
