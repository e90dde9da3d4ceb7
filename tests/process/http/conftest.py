"""A stub provider, a sidecar that calls it, and OpenAI's own client, unmodified, for the sidecar's HTTP door."""

from collections.abc import AsyncIterator

import aiohttp
import pytest
from openai import AsyncOpenAI

from pointsman_stub import StubProvider
from support.http_doors import APP_KEY, KEY
from support.sidecars import Sidecar, running_sidecar
from support.snapshots import embed, flagship, mini, snapshot


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    """A stub provider that wants a key."""
    async with StubProvider.running(api_keys=[KEY], models=["text-embedding-3-small", "o3-mini"]) as provider:
        yield provider


@pytest.fixture
async def sidecar(stub: StubProvider) -> AsyncIterator[Sidecar]:
    """A sidecar whose policy is shop/support, and which may call the stub."""
    content = snapshot(base_url=stub.base_url, models=[mini(), flagship(), embed()])
    async with running_sidecar(content=content, access={"openai": KEY}) as running:
        yield running


@pytest.fixture
async def client(sidecar: Sidecar) -> AsyncIterator[AsyncOpenAI]:
    """The client as apps use it, except that it does not hide failures by trying again."""
    async with AsyncOpenAI(base_url=sidecar.http_url, api_key=APP_KEY, max_retries=0) as openai:
        yield openai


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """A plain HTTP client."""
    async with aiohttp.ClientSession() as session:
        yield session
