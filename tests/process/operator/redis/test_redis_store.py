"""The ledger in a real Redis: the store, and the servers that it does not use."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from pointsman_operator.ledger.accounts import Account
from pointsman_operator.quotas import (
    Movable,
    RedisEndpoint,
    RedisStore,
    Store,
    StoreConflictError,
    StoreUnavailableError,
)
from process.operator.redis.opening import opened, store_at
from support.quota.store_suite import FenceSuite, Open, OpenMovable, StoreSuite, account, key
from support.redis.binaries import Binary
from support.redis.servers import DURABLE, RedisServer, running


class TestRedis(StoreSuite, FenceSuite):
    """Accounts in Redis."""

    @pytest.fixture
    async def open_movable(self, endpoint: RedisEndpoint) -> AsyncIterator[OpenMovable]:  # type: ignore[override]
        stores: list[RedisStore] = []

        async def open_one(*, minded: bool) -> Movable:
            stores.append(store_at(endpoint, minded=minded))
            return stores[-1]

        yield open_one
        for each in stores:
            await each.close()

    @pytest.fixture
    def open_store(self, open_movable: OpenMovable) -> Open:
        async def open_one() -> Store:
            return await open_movable(minded=True)

        return open_one


async def test_of_two_writers_each_write_counts_once(endpoint: RedisEndpoint) -> None:
    async def add(store: RedisStore) -> None:
        for _ in range(100):
            while True:
                spent = (await store.read()).get(key(), Account()).spent
                with contextlib.suppress(StoreConflictError):
                    await store.write({key(): account(1, spent=spent + 1)})
                    break

    async with opened(endpoint) as first, opened(endpoint) as second:
        await asyncio.gather(add(first), add(second))

        assert (await first.read())[key()].spent == 200


async def test_a_group_is_written_whole_or_not_at_all(endpoint: RedisEndpoint) -> None:
    async with opened(endpoint) as first, opened(endpoint) as second:
        await first.read()
        await second.read()
        await first.write({key("taken"): account()})

        with pytest.raises(StoreConflictError, match="another replica wrote first"):
            await second.write({key("free"): account(), key("taken"): account()})

        assert await second.read() == {key("taken"): account()}


async def test_an_account_that_was_dropped_and_made_again_is_another(endpoint: RedisEndpoint) -> None:
    async with opened(endpoint) as first, opened(endpoint) as second:
        await first.read()
        await first.write({key(): account(1)})
        await second.read()
        await first.write({key(): None})
        await first.write({key(): account(1, spent=5)})

        with pytest.raises(StoreConflictError):
            await second.write({key(): account(2)})


async def test_scripts_that_the_server_forgot_are_sent_again(server: RedisServer, endpoint: RedisEndpoint) -> None:
    async with opened(endpoint) as store:
        await store.read()
        await store.write({key(): account(1)})
        server.ask("SCRIPT", "FLUSH")
        await store.write({key(): account(2)})

        assert await store.read() == {key(): account(2)}


async def test_two_clusters_share_a_server_by_their_prefixes(endpoint: RedisEndpoint) -> None:
    async with opened(endpoint) as one, opened(replace(endpoint, prefix="other")) as other:
        await one.read()
        await one.write({key(): account()})

        assert await other.read() == {}


@pytest.mark.parametrize(
    ("name", "wrong"),
    [
        ("appendfsync", "everysec"),
        ("appendonly", "no"),
        ("no-appendfsync-on-rewrite", "yes"),
        ("maxmemory-policy", "allkeys-lru"),
    ],
)
async def test_a_server_that_may_lose_what_it_confirmed_is_not_used_until_that_is_mended(
    name: str, wrong: str, server: RedisServer, endpoint: RedisEndpoint
) -> None:
    server.ask("CONFIG", "SET", name, wrong)
    try:
        async with opened(replace(endpoint, trusted=True)) as store:
            with pytest.raises(StoreUnavailableError, match=f"Redis at .* has {name} {wrong}: it may lose"):
                await store.read()

            server.ask("CONFIG", "SET", name, DURABLE.get(name, "no"))
            assert await store.read() == {}
    finally:
        server.ask("CONFIG", "SET", name, DURABLE.get(name, "no"))


async def test_a_server_that_hides_its_settings_is_used_only_by_who_says_so(binary: Binary, tmp_path: Path) -> None:
    with running(binary, tmp_path, rename_command='CONFIG ""') as hiding:
        async with opened(hiding.endpoint) as store:
            with pytest.raises(StoreUnavailableError, match="say so with --ledger-redis-trust-durability"):
                await store.read()
        async with opened(replace(hiding.endpoint, trusted=True)) as store:
            assert await store.read() == {}
            await store.write({key(): account()})


async def test_one_that_is_full_says_so(binary: Binary, tmp_path: Path) -> None:
    with running(binary, tmp_path) as full:
        async with opened(full.endpoint) as store:
            await store.read()
            full.ask("CONFIG", "SET", "maxmemory", "1")
            with pytest.raises(StoreUnavailableError, match="is full: raise its maxmemory"):
                await store.write({key(): account()})
            full.ask("CONFIG", "SET", "maxmemory", "0")
            await store.read()
            await store.write({key(): account()})


async def test_an_awaited_ledger_is_not_begun(endpoint: RedisEndpoint) -> None:
    async with opened(replace(endpoint, awaits_import=True)) as awaiting, opened(endpoint) as other:
        with pytest.raises(
            StoreUnavailableError, match=r"has no ledger yet, .* until `pointsman-operator ledger import`"
        ):
            await awaiting.read()
        await other.read()
        assert await awaiting.read() == {}
