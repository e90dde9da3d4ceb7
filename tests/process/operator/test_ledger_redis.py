"""The ledger in a real Redis: the store, what it refuses, and what a server that is killed loses."""

import itertools
import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest
from prometheus_client import CollectorRegistry

from pointsman_operator.quotas import (
    RedisEndpoint,
    RedisStore,
    Store,
    StoreMetrics,
)
from support.quota.store_suite import Open, StoreSuite
from support.redis.binaries import Binary, NoRedisError, find
from support.redis.servers import RedisServer, running

_PREFIXES = (f"test-{number}" for number in itertools.count())


@pytest.fixture(scope="module")
def binary() -> Binary:
    """A server's program."""
    try:
        return find(os.environ)
    except NoRedisError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def server(binary: Binary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[RedisServer]:
    """One that all is well with."""
    with running(binary, tmp_path_factory.mktemp("redis")) as server:
        yield server


@pytest.fixture
def endpoint(server: RedisServer) -> RedisEndpoint:
    """A ledger of a test's own on it."""
    return replace(server.endpoint, prefix=next(_PREFIXES))


def store_at(endpoint: RedisEndpoint) -> RedisStore:
    """A store that is not connected yet."""
    return RedisStore(endpoint, metrics=StoreMetrics(CollectorRegistry()))


class TestRedis(StoreSuite):
    """Accounts in Redis."""

    @pytest.fixture
    async def open_store(self, endpoint: RedisEndpoint) -> AsyncIterator[Open]:  # type: ignore[override]
        opened: list[RedisStore] = []

        async def open_one() -> Store:
            opened.append(store_at(endpoint))
            return opened[-1]

        yield open_one
        for each in opened:
            await each.close()
