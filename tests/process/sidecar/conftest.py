"""A stub provider and a sidecar that calls it."""

from collections.abc import AsyncIterator

import pytest

from pointsman_stub import StubProvider
from support.sidecars import Sidecar, running_sidecar
from support.snapshots import snapshot

KEY = "sk-of-these-tests"


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    """A stub provider that wants a key."""
    async with StubProvider.running(api_keys=[KEY]) as provider:
        yield provider


@pytest.fixture
async def sidecar(stub: StubProvider) -> AsyncIterator[Sidecar]:
    """A sidecar whose policy is shop/support, and which may call the stub."""
    async with running_sidecar(content=snapshot(base_url=stub.base_url), access={"openai": KEY}) as running:
        yield running
