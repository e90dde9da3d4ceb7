"""A running stub provider and an unmodified OpenAI client for it."""

from collections.abc import AsyncIterator

import pytest
from openai import AsyncOpenAI

from pointsman_stub import StubProvider

KEY = "sk-of-these-tests"


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    """A stub provider that wants a key."""
    async with StubProvider.running(api_keys=[KEY], models=["o3-mini"]) as provider:
        yield provider


@pytest.fixture
async def client(stub: StubProvider) -> AsyncIterator[AsyncOpenAI]:
    """The client as applications use it, except that it doesn't hide failures by trying again."""
    async with AsyncOpenAI(base_url=stub.base_url, api_key=KEY, max_retries=0) as openai:
        yield openai
