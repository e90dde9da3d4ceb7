"""The ledger in a real API server: its store, and budgets that hold when the replica that keeps them is killed."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from prometheus_client import CollectorRegistry

from cluster.harness.cluster import Cluster
from cluster.operators import NAME, create_pod
from cluster.replicas import SECONDS, Operators
from pointsman_operator.quotas import Pace, Store, StoreFullError, StoreMetrics, StoreUnavailableError
from pointsman_operator.quotas.shards import object_name, shard_of
from pointsman_operator.watch import Cluster as Client
from pointsman_operator.watch import Connector, OwnLedger
from process.operator.proofs import channel
from support.quota.exchanges import Sidecar, keep_streaming
from support.quota.store_suite import Open, StoreSuite, account, key
from support.waiting import until


class TestConfigMaps(StoreSuite):
    """Accounts in ConfigMaps, written with the rights that the chart gives."""

    @pytest.fixture
    async def open_store(self, cluster: Cluster, crds: None, tmp_path: Path) -> AsyncIterator[Open]:  # type: ignore[override]
        del crds
        with Operators.none_yet(cluster, tmp_path) as operators:
            async with opening(cluster, operators.namespace) as open_store:
                yield open_store


@asynccontextmanager
async def opening(cluster: Cluster, namespace: str) -> AsyncIterator[Open]:
    """Opens the ledger of a namespace."""
    kubeconfig = cluster.kubeconfig_for("operator", namespace=namespace)
    async with Client(Connector(kubeconfig=str(kubeconfig)), secrets_namespace=namespace) as client:

        async def opened() -> Store:
            return OwnLedger(
                client,
                namespace=namespace,
                pace=Pace(clock=time.monotonic),
                metrics=StoreMetrics(CollectorRegistry()),
            )

        yield opened


@pytest.fixture
def operators(cluster: Cluster, crds: None, tmp_path: Path) -> Iterator[Operators]:
    """None yet, in a namespace of their own."""
    del crds
    with Operators.none_yet(cluster, tmp_path) as made:
        yield made


async def test_an_object_that_is_full_or_not_ours_is_named(cluster: Cluster, operators: Operators) -> None:
    namespace = operators.namespace
    async with opening(cluster, namespace) as open_store:
        store = await open_store()
        await store.read()
        with pytest.raises(StoreFullError, match=f"ConfigMap {object_name(shard_of(key()))} in namespace {namespace}"):
            await store.write({key(): account(holders=2000)})
        await store.write({key(): account()})

        patch = json.dumps({"data": {"more": "no account"}})
        cluster.kubectl("patch", "configmap", object_name(shard_of(key())), "-n", namespace, "-p", patch)
        with pytest.raises(StoreUnavailableError, match="restore it, or delete it to forget what was spent"):
            await store.read()


async def test_no_more_is_spent_than_there_is_though_the_holder_is_killed(
    operators: Operators, cluster: Cluster
) -> None:
    limit = 20_000
    shop = cluster.namespace("shop")
    head = {"apiVersion": "pointsman.dev/v1alpha1", "kind": "TokenQuota", "metadata": {"name": "month"}}
    spec = {"scope": "Namespace", "window": "Month", "limit": {"tokens": limit}}
    cluster.apply(json.dumps({**head, "spec": spec}), namespace=shop)
    for name in ("first", "second"):
        operators.start(name)
    holder = operators.wait_for_holder("first", "second")
    other = "second" if holder == "first" else "first"
    trusted = operators.running[other].ca()
    alive = {holder, other}

    def to(name: str) -> Callable[[], grpc.aio.Channel]:
        """A channel to a replica, while it lives; else to the other."""
        return lambda: channel(operators.running[name if name in alive else other].address, trusted=trusted, name=NAME)

    sidecars = [Sidecar.fresh(f"{name}-{number}") for name in (holder, other) for number in range(3)]
    streams = [
        asyncio.create_task(
            keep_streaming(
                each,
                to(each.incarnation.partition("-")[0]),
                token=create_pod(cluster, shop, f"app-{each.incarnation}").token(),
            )
        )
        for each in sidecars
    ]
    try:
        # Those of the other replica spend by way of the holder.
        await asyncio.gather(*(each.spend(10) for each in sidecars))
        for each in sidecars:
            for _ in range(20):
                await each.spend(10)
        alive.remove(holder)
        operators.running[holder].process.kill()

        await asyncio.gather(*(each.spend_all(10) for each in sidecars))

        assert 0.99 * limit <= sum(each.spent for each in sidecars) <= limit
        assert operators.holder() == other
        await asyncio.gather(*(each.settle_all() for each in sidecars))
        spent = sum(each.spent for each in sidecars)
        path = "-o=jsonpath={.status.used}"
        await until(
            lambda: cluster.kubectl("get", "tq", "month", "-n", shop, path).stdout == str(spent), within=2 * SECONDS
        )
        shown = cluster.kubectl("get", "tq", "-n", shop).stdout
        assert f"{spent * 100 // limit}%" in shown, shown
    finally:
        for task in streams:
            task.cancel()
        await asyncio.gather(*streams, return_exceptions=True)


async def test_a_providers_rate_limit_is_shared_by_the_sidecars_of_all_namespaces(
    operators: Operators, cluster: Cluster
) -> None:
    limit = 5_000
    name = cluster.unique("limited")
    model = {
        "name": "gpt-4o-mini",
        "price": {"currency": "USD", "input": "0.15", "output": "0.60"},
        "contextWindow": 128000,
        "maxOutputTokens": 16384,
    }
    spec = {"allowedNamespaces": {"from": "All"}, "rateLimit": {"tokensPerMinute": limit}, "models": [model]}
    head = {"apiVersion": "pointsman.dev/v1alpha1", "kind": "ModelProvider", "metadata": {"name": name}}
    cluster.apply(json.dumps({**head, "spec": spec}))
    cluster.delete_at_end(f"modelprovider/{name}")
    operators.start("only")
    operators.wait_for_holder("only")
    running = operators.running["only"]

    def opened() -> grpc.aio.Channel:
        return channel(running.address, trusted=running.ca(), name=NAME)

    sidecars = [Sidecar.fresh(each) for each in ("first", "second")]
    namespaces = [cluster.namespace(each.incarnation) for each in sidecars]
    policy = {
        "apiVersion": "pointsman.dev/v1alpha1",
        "kind": "ModelRoutingPolicy",
        "metadata": {"name": "support"},
        "spec": {
            "models": [{"name": "mini", "providerRef": {"name": name}, "model": "gpt-4o-mini"}],
            "defaultModel": "mini",
        },
    }
    for namespace in namespaces:
        cluster.apply(json.dumps(policy), namespace=namespace)
    tokens = [create_pod(cluster, namespace).token() for namespace in namespaces]
    streams = [
        asyncio.create_task(keep_streaming(each, opened, token=token))
        for each, token in zip(sidecars, tokens, strict=True)
    ]
    try:
        for each in sidecars:
            told = await each.until_told(lambda budgets: len(budgets.budgets) == 1)
            assert told.budgets[0].shown == f"the rate limit of ModelProvider {name}"
        began = time.time() // 60

        await asyncio.gather(*(each.spend_all(10) for each in sidecars))

        minutes = time.time() // 60 - began + 1
        assert 0.98 * limit <= sum(each.spent for each in sidecars) <= minutes * limit
        assert all(each.spent for each in sidecars)
        cluster.kubectl("patch", "modelprovider", name, "--type=merge", "-p", '{"spec":{"rateLimit":null}}')
        await asyncio.gather(*(each.until_told(lambda budgets: not budgets.budgets) for each in sidecars))
    finally:
        for task in streams:
            task.cancel()
        await asyncio.gather(*streams, return_exceptions=True)
