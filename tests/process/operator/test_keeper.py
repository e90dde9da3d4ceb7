"""What watches and lists tell becomes one world, and the hub knows it in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pointsman_operator.push import Hub, HubMetrics, RelistError
from pointsman_operator.resources import Key, Kind
from pointsman_operator.watch import Cluster, Connector, Keeper, WatchMetrics
from pointsman_operator.watch import keeper as keeper_module
from pointsman_operator.world import Change
from process.operator.fake_api import NAMESPACES, POLICIES, PROVIDERS, SECRETS, FakeApi
from pure.operator.objects import OPERATOR_NAMESPACE, namespace, policy, provider, secret
from support.waiting import until

AUTH = [{"secretKeyRef": {"name": "openai", "key": "key"}}]
OPENAI = Key(OPERATOR_NAMESPACE, "openai")


@dataclass(frozen=True, kw_only=True)
class Kept:
    """A keeper with what it works between."""

    api: FakeApi
    hub: Hub
    keeper: Keeper


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    pauses = ("BETWEEN_LISTS", "BETWEEN_STREAMS", "FIRST_RETRY", "LAST_RETRY", "QUIET")
    for name in (f"{pause}_SECONDS" for pause in pauses):
        monkeypatch.setattr(keeper_module, name, 0.01)


@pytest.fixture
async def kept(tmp_path: Path) -> AsyncIterator[Kept]:
    async with FakeApi.running() as api:
        connector = Connector(kubeconfig=api.kubeconfig(tmp_path))
        async with Cluster(connector, secrets_namespace=OPERATOR_NAMESPACE) as cluster:
            registry = CollectorRegistry()
            hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(registry))
            yield Kept(api=api, hub=hub, keeper=Keeper(hub, cluster=cluster, metrics=WatchMetrics(registry)))


@asynccontextmanager
async def running(kept: Kept, *, interval: float = 60) -> AsyncIterator[None]:
    """The keeper's own tasks."""
    tasks = [asyncio.create_task(kept.keeper.run(interval=interval)), asyncio.create_task(kept.keeper.follow_secrets())]
    try:
        await until(kept.hub.ready.is_set)
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_the_first_list_makes_the_hub_ready(kept: Kept) -> None:
    kept.api.write(NAMESPACES, namespace(labels={"ai": "on"}))
    kept.api.write(POLICIES, policy())

    await kept.keeper.relist()

    assert kept.hub.ready.is_set()
    assert kept.hub.world.namespace_labels("shop") == {"ai": "on"}
    assert Key("shop", "support") in kept.hub.verdicts()


async def test_a_cluster_that_cannot_be_read_is_tried_until_it_can(kept: Kept) -> None:
    kept.api.failing[POLICIES] = 404
    with pytest.raises(RelistError, match="install the CRDs"):
        await kept.keeper.relist()

    task = asyncio.create_task(kept.keeper.run(interval=60))
    await until(lambda: kept.api.lists[NAMESPACES] > 2)
    assert not kept.hub.ready.is_set()
    kept.api.failing.clear()

    await until(kept.hub.ready.is_set)
    task.cancel()


async def test_what_a_watch_missed_is_found_by_the_next_list(kept: Kept) -> None:
    kept.api.write(POLICIES, policy())
    async with running(kept, interval=0.05):
        kept.api.delete(POLICIES, "support", told=False)

        await until(lambda: not kept.hub.verdicts())


async def test_while_one_hint_follows_another_the_cluster_is_not_listed_again(kept: Kept) -> None:
    async with running(kept):
        before = kept.api.lists[POLICIES]
        for _ in range(20):
            kept.keeper.relist_soon()
            await asyncio.sleep(0)
        kept.api.write(POLICIES, policy(), told=False)

        await until(lambda: bool(kept.hub.verdicts()))
        assert kept.api.lists[POLICIES] == before + 1


async def test_of_secrets_only_the_keys_that_providers_refer_to_are_kept(kept: Kept) -> None:
    kept.api.write(PROVIDERS, provider(auth=AUTH))
    kept.api.write(SECRETS, secret("openai", key="sk", other="private"))
    kept.api.write(SECRETS, secret("unrelated", password="private"))

    async with running(kept):
        await until(lambda: kept.api.watched(SECRETS))
        assert kept.hub.world.secrets[OPENAI].data == {"key": "sk"}
        kept.api.write(SECRETS, secret("openai", key="rotated", other="private"))
        await until(lambda: kept.hub.world.secrets[OPENAI].data == {"key": "rotated"})

    assert kept.hub.world.secrets[Key(OPERATOR_NAMESPACE, "unrelated")].data == {}


async def test_the_hub_hears_of_a_provider_together_with_its_key(kept: Kept) -> None:
    kept.api.write(SECRETS, secret("openai", key="sk"))
    await kept.keeper.relist()
    heard = []
    kept.hub.subscribe(lambda _: heard.append((len(kept.hub.world.providers), kept.hub.world.secrets[OPENAI].data)))

    kept.keeper.observe(Kind.PROVIDER, Change.WRITTEN, provider(auth=AUTH, version=200))

    await until(lambda: bool(heard))
    assert heard[0] == (1, {"key": "sk"})


async def test_a_provider_reaches_the_hub_even_if_secrets_cannot_be_listed(kept: Kept) -> None:
    await kept.keeper.relist()
    kept.api.failing[SECRETS] = 500

    kept.keeper.observe(Kind.PROVIDER, Change.WRITTEN, provider(auth=AUTH, version=200))

    await until(lambda: bool(kept.hub.world.providers))


async def test_a_secret_that_comes_and_goes_is_followed_past_an_expired_watch(kept: Kept) -> None:
    kept.api.write(PROVIDERS, provider(auth=AUTH))
    async with running(kept):
        await until(lambda: kept.api.watched(SECRETS))
        kept.api.expire(SECRETS)
        kept.api.write(SECRETS, secret("openai", key="sk"), told=False)
        await until(lambda: OPENAI in kept.hub.world.secrets)
        await until(lambda: kept.api.watched(SECRETS))
        kept.api.delete(SECRETS, "openai")

        await until(lambda: OPENAI not in kept.hub.world.secrets)


async def test_a_burst_of_news_is_handed_over_at_once(kept: Kept) -> None:
    await kept.keeper.relist()
    updates: list[object] = []
    kept.hub.subscribe(updates.append)

    for number in range(50):
        kept.keeper.observe(Kind.POLICY, Change.WRITTEN, policy(f"p{number}", version=200 + number))

    await until(lambda: len(kept.hub.verdicts()) == 50)
    assert len(updates) == 1


async def test_all_who_ask_for_a_list_while_one_is_under_way_share_the_next(kept: Kept) -> None:
    first = asyncio.create_task(kept.keeper.relist())
    await until(lambda: kept.api.lists[NAMESPACES] == 1)

    await asyncio.gather(first, *(kept.keeper.relist() for _ in range(50)))

    assert kept.api.lists[NAMESPACES] == 2


async def test_who_asks_for_a_list_gets_one_that_began_afterwards(kept: Kept) -> None:
    await kept.keeper.relist()
    kept.api.write(POLICIES, policy(), told=False)

    await kept.keeper.relist()

    assert Key("shop", "support") in kept.hub.verdicts()


async def test_a_cluster_that_was_restored_from_a_backup_is_read_anew(kept: Kept) -> None:
    kept.api.write(POLICIES, policy(generation=7))
    async with running(kept, interval=0.05):
        kept.api.restore()
        kept.api.write(POLICIES, policy("from-the-backup"), told=False)

        await until(lambda: [key.name for key in kept.hub.verdicts()] == ["from-the-backup"])


async def test_what_is_no_object_is_passed_over(kept: Kept) -> None:
    await kept.keeper.relist()

    kept.keeper.observe(Kind.POLICY, Change.WRITTEN, {"metadata": {}})
    kept.keeper.observe(Kind.POLICY, Change.WRITTEN, policy(version=200))

    await until(lambda: bool(kept.hub.verdicts()))
