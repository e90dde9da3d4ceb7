"""Pods without a sidecar are found by looking, and looked for again when there is reason to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pointsman_operator.push import Hub, HubMetrics
from pointsman_operator.resources import Kind
from pointsman_operator.status import Census
from pointsman_operator.watch import Cluster, Connector, Scan
from pointsman_operator.watch import scan as scan_module
from pointsman_operator.world import Change
from process.operator.fake_api import PODS, FakeApi
from pure.operator.objects import OPERATOR_NAMESPACE, namespace, pod, policy, provider, world
from support.waiting import until

IN_SHOP = "/api/v1/namespaces/shop/pods"
ASKS = {"pointsman.dev/inject": "true"}


@dataclass(kw_only=True)
class Scene:
    """A scan that runs, and whatever it works between."""

    api: FakeApi
    hub: Hub
    census: Census
    scan: Scan
    leads: bool
    told: list[frozenset[str]]

    def found(self) -> list[str]:
        """The pods that were found."""
        return sorted(each.metadata.name for pods in (self.census.scanned or {}).values() for each in pods)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("BETWEEN_SCANS_SECONDS", "FIRST_RETRY_SECONDS", "LAST_RETRY_SECONDS"):
        monkeypatch.setattr(scan_module, name, 0.01)


@asynccontextmanager
async def scanning(folder: Path, *, interval: float = 60, leads: bool = True) -> AsyncIterator[Scene]:
    """A scan of a cluster with one policy, whose namespace asks for nothing yet."""
    async with FakeApi.running() as api:
        connector = Connector(kubeconfig=api.kubeconfig(folder))
        async with Cluster(connector, secrets_namespace=OPERATOR_NAMESPACE) as cluster:
            registry = CollectorRegistry()
            hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(registry))
            census = Census(
                world=lambda: hub.world,
                pods_in=hub.pods_in,
                fingerprint="x",
                spared=frozenset({"lab"}),
                registry=registry,
            )
            told: list[frozenset[str]] = []
            scan = Scan(hub, cluster=cluster, census=census, leading=lambda: scene.leads, tell=told.append)
            scene = Scene(api=api, hub=hub, census=census, scan=scan, leads=leads, told=told)
            task = asyncio.create_task(scan.run(interval=interval))
            hub.update(world(providers=[provider()], policies=[policy()], namespaces=[namespace(version=1)]))
            try:
                yield scene
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


async def test_pods_that_ask_themselves_are_found_everywhere_and_told_of_once(tmp_path: Path) -> None:
    async with scanning(tmp_path, interval=0.05) as scene:
        await until(lambda: scene.census.scanned == {})
        assert scene.told == [frozenset({"shop"})]  # whose policy can now say that nothing is lacking

        scene.api.write(PODS, pod("lacks", namespace="lone", labels=ASKS))
        await until(lambda: scene.found() == ["lacks"])
        looked = scene.api.lists[PODS]
        await until(lambda: scene.api.lists[PODS] > looked + 1)

    assert [names for names in scene.told if names] == [frozenset({"shop"}), frozenset({"lone"})]
    (query,) = {tuple(sorted(each.items())) for each in scene.api.queries[PODS]}
    assert dict(query)["labelSelector"] == "pointsman.dev/inject=true,pointsman.dev/injected!=true"
    assert dict(query)["fieldSelector"] == "status.phase!=Succeeded,status.phase!=Failed"


async def test_a_namespace_that_begins_to_ask_is_looked_into_soon(tmp_path: Path) -> None:
    async with scanning(tmp_path) as scene:
        await until(lambda: scene.census.scanned == {})
        scene.api.write(IN_SHOP, pod("lacks"))

        labelled = namespace(labels=ASKS, version=5)
        scene.hub.update(scene.hub.world.observe(Kind.NAMESPACE, Change.WRITTEN, labelled))

        await until(lambda: scene.found() == ["lacks"])
    assert scene.api.queries[IN_SHOP][0]["labelSelector"] == "pointsman.dev/inject!=false,pointsman.dev/injected!=true"


async def test_namespaces_that_the_webhooks_spare_are_not_looked_into(tmp_path: Path) -> None:
    async with scanning(tmp_path) as scene:
        await until(lambda: scene.census.scanned == {})
        scene.api.write(IN_SHOP, pod("lacks"))

        for name in ("lab", "shop"):
            labelled = namespace(name, labels=ASKS, version=5)
            scene.hub.update(scene.hub.world.observe(Kind.NAMESPACE, Change.WRITTEN, labelled))

        await until(lambda: scene.found() == ["lacks"])
    assert not scene.api.queries["/api/v1/namespaces/lab/pods"]


async def test_where_some_lack_a_sidecar_a_new_pod_is_reason_to_look_there_again(tmp_path: Path) -> None:
    async with scanning(tmp_path) as scene:
        for where in ("shop", "lone"):
            scene.api.write(PODS, pod(f"old-in-{where}", namespace=where, labels=ASKS))
        await until(lambda: scene.found() == ["old-in-lone", "old-in-shop"])
        looked = scene.api.lists[PODS]

        # Where there is now but one that asks for nothing.
        scene.api.write(IN_SHOP, pod("asks-for-nothing"))
        scene.hub.update(scene.hub.world.observe(Kind.POD, Change.WRITTEN, pod("new", version=9)))

        await until(lambda: scene.found() == ["old-in-lone"])
    assert scene.told[-1] == frozenset({"shop"})
    assert scene.api.lists[PODS] == looked  # nowhere else


async def test_where_some_lack_a_sidecar_it_is_looked_again_since_nothing_tells_of_their_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(scan_module, "FIRST_AGAIN_SECONDS", 0.01)
    async with scanning(tmp_path) as scene:
        scene.hub.update(scene.hub.world.observe(Kind.NAMESPACE, Change.WRITTEN, namespace(labels=ASKS, version=5)))
        scene.api.write(IN_SHOP, pod("lacks"))
        await until(lambda: scene.found() == ["lacks"])

        scene.api.delete(IN_SHOP, "lacks")

        await until(lambda: scene.found() == [])


async def test_who_does_not_lead_neither_looks_nor_keeps_what_it_found(tmp_path: Path) -> None:
    async with scanning(tmp_path, leads=False) as scene:
        scene.leads = True
        scene.scan.soon()
        await until(lambda: scene.census.scanned == {})
        looked = scene.api.lists[PODS]

        scene.leads = False
        scene.scan.soon()

        await until(lambda: scene.census.scanned is None)
    assert scene.api.lists[PODS] == looked


async def test_a_look_that_fails_is_tried_again_and_what_was_known_stays(tmp_path: Path) -> None:
    async with scanning(tmp_path) as scene:
        await until(lambda: scene.census.scanned == {})
        scene.api.write(PODS, pod("lacks", labels=ASKS))
        scene.api.failing[PODS] = 503
        scene.scan.soon()
        await until(lambda: scene.api.refused[PODS] > 1)
        assert scene.census.scanned == {}

        del scene.api.failing[PODS]

        await until(lambda: scene.found() == ["lacks"])
