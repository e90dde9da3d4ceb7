"""The ledger's store in Redis, opened."""

import contextlib
from collections.abc import AsyncIterator

from prometheus_client import CollectorRegistry

from pointsman_operator.quotas import (
    RedisEndpoint,
    RedisStore,
    StoreMetrics,
)


def store_at(endpoint: RedisEndpoint, *, minded: bool = True) -> RedisStore:
    """A store that is not connected yet."""
    return RedisStore(endpoint, metrics=StoreMetrics(CollectorRegistry()), minded=minded)


@contextlib.asynccontextmanager
async def opened(endpoint: RedisEndpoint) -> AsyncIterator[RedisStore]:
    """A store, closed at the end."""
    store = store_at(endpoint)
    try:
        yield store
    finally:
        await store.close()
