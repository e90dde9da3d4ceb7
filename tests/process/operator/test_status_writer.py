"""Statuses are written where they differ, once, and again where that failed."""

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pointsman_operator.push import Hub, HubMetrics, SidecarFacts, facts_of
from pointsman_operator.resources import Key, Kind, parse_pod
from pointsman_operator.status import Census, StatusConflictError, StatusMetrics, StatusUnavailableError, StatusWriter
from pointsman_operator.status import writer as writer_module
from pointsman_operator.world import Change
from pure.operator.objects import OPERATOR_NAMESPACE, Json, pod, policy, provider, world
from support.waiting import until

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)


@dataclass
class Client:
    """Takes writes and gives back the object under its next version; fails first with what it is told to."""

    objects: dict[Key, Json]
    failures: list[Exception] = field(default_factory=list)
    written: list[tuple[Kind, Key, str, Mapping[str, Any]]] = field(default_factory=list)

    async def write_status(
        self, kind: Kind, key: Key, *, resource_version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Write a status."""
        if self.failures:
            raise self.failures.pop(0)
        self.written.append((kind, key, resource_version, status))
        there = self.objects[key]
        version = str(int(resource_version) + 1)
        self.objects[key] = {**there, "metadata": {**there["metadata"], "resourceVersion": version}, "status": status}
        return self.objects[key]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SETTLE_SECONDS", "FIRST_RETRY_SECONDS", "LAST_RETRY_SECONDS"):
        monkeypatch.setattr(writer_module, name, 0.01)


@asynccontextmanager
async def writing(client: Client, registry: CollectorRegistry) -> AsyncIterator[Hub]:
    """A writer at work, as the one whose turn it is, on a hub that knows the client's objects."""
    async with waiting(client, registry) as (hub, writer):
        writer.begin()
        yield hub


@asynccontextmanager
async def waiting(
    client: Client,
    registry: CollectorRegistry,
    *,
    elsewhere: Sequence[SidecarFacts] = (),
    census_of: Callable[[Hub], Census] | None = None,
) -> AsyncIterator[tuple[Hub, StatusWriter]]:
    """A writer that waits for its turn; some sidecars are connected to other replicas."""
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(registry))
    writer = StatusWriter(
        hub,
        client=client,
        sidecars_in=lambda namespace: (*map(facts_of, hub.sidecars_in(namespace)), *elsewhere),
        observe=lambda kind, value: hub.update(hub.world.observe(kind, Change.WRITTEN, value)),
        secrets_namespace=OPERATOR_NAMESPACE,
        now=lambda: NOW,
        metrics=StatusMetrics(registry),
        census=census_of(hub) if census_of else None,
    )
    task = asyncio.create_task(writer.run())
    try:
        yield hub, writer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def objects() -> dict[Key, Json]:
    return {Key("shop", "support"): policy(version=5), Key("", "openai"): provider(version=6)}


def known(client: Client) -> Any:
    return world(
        policies=[client.objects[Key("shop", "support")]], providers=[client.objects[Key("", "openai")]], version=9
    )


async def test_each_status_is_written_once() -> None:
    client, registry = Client(objects()), CollectorRegistry()
    async with writing(client, registry) as hub:
        hub.update(known(client))
        await until(lambda: len(client.written) == 2)
        # A later write of the same namespace comes after whatever the earlier ones brought about.
        client.objects[Key("shop", "other")] = policy("other", version=20, selector={"matchLabels": {"a": "b"}})
        hub.update(hub.world.observe(Kind.POLICY, Change.WRITTEN, client.objects[Key("shop", "other")]))
        await until(lambda: len(client.written) >= 3)

    assert [(kind, key.name, version) for kind, key, version, _ in client.written] == [
        (Kind.PROVIDER, "openai", "6"),
        (Kind.POLICY, "support", "5"),
        (Kind.POLICY, "other", "20"),
    ]
    assert registry.get_sample_value("pointsman_operator_status_writes_total", {"result": "written"}) == 3


async def test_a_write_that_failed_is_tried_until_it_succeeds() -> None:
    client, registry = Client(objects()), CollectorRegistry()
    client.failures = [StatusUnavailableError("away")] * 5 + [StatusConflictError("newer")]
    async with writing(client, registry) as hub:
        hub.update(known(client))

        await until(lambda: len(client.written) == 2)

    assert registry.get_sample_value("pointsman_operator_status_writes_total", {"result": "failed"}) == 5
    assert registry.get_sample_value("pointsman_operator_status_writes_total", {"result": "conflict"}) == 1


async def test_the_status_of_what_is_deleted_meanwhile_is_given_up() -> None:
    client, registry = Client(objects()), CollectorRegistry()
    client.failures = [StatusConflictError("gone")] * 2
    async with writing(client, registry) as hub:
        hub.update(known(client))
        await until(lambda: not client.failures)
        deleted = policy(version=30)
        hub.update(hub.world.observe(Kind.POLICY, Change.DELETED, deleted))

        await until(lambda: len(client.written) >= 1)

    assert [kind for kind, *_ in client.written if kind is Kind.POLICY] == []


async def test_somebody_elses_change_of_a_status_is_put_right() -> None:
    client, registry = Client(objects()), CollectorRegistry()
    async with writing(client, registry) as hub:
        hub.update(known(client))
        await until(lambda: len(client.written) == 2)
        there = client.objects[Key("shop", "support")]
        meddled = {**there, "metadata": {**there["metadata"], "resourceVersion": "50"}, "status": {}}
        hub.update(hub.world.observe(Kind.POLICY, Change.WRITTEN, meddled))

        await until(lambda: len(client.written) == 3)

    assert client.written[-1][3]["conditions"][0]["type"] == "Ready"


async def others_turn(written: Json) -> None:
    """Another replica hears of the same, and writes all of it: by then this one has had the time to."""
    client = Client(objects())
    client.objects[Key("shop", "support")] = written
    async with writing(client, CollectorRegistry()) as hub:
        hub.update(known(client))
        await until(lambda: len(client.written) == 2)


async def test_a_replica_writes_nothing_before_its_turn_and_then_all_that_differs() -> None:
    client, registry = Client(objects()), CollectorRegistry()
    async with waiting(client, registry) as (hub, writer):
        hub.update(known(client))
        await others_turn(policy(version=5))
        assert client.written == []

        writer.begin()
        await until(lambda: len(client.written) == 2)


async def test_a_replica_whose_turn_is_over_writes_no_more() -> None:
    client, registry = Client(objects()), CollectorRegistry()
    async with waiting(client, registry) as (hub, writer):
        hub.update(known(client))
        writer.begin()
        await until(lambda: len(client.written) == 2)

        writer.pause()
        changed = policy(version=20, generation=2)
        hub.update(hub.world.observe(Kind.POLICY, Change.WRITTEN, changed))
        await others_turn(changed)

        assert len(client.written) == 2


async def test_news_of_other_replicas_sidecars_reach_the_status() -> None:
    client, registry = Client(objects()), CollectorRegistry()
    elsewhere: list[SidecarFacts] = []
    async with waiting(client, registry, elsewhere=elsewhere) as (hub, writer):
        hub.update(known(client))
        writer.begin()
        await until(lambda: len(client.written) == 2)

        elsewhere.append(
            SidecarFacts(pod=Key("shop", "app-1"), policy="support", losers=(), held_version="", rejection=None)
        )
        writer.sidecars_changed({"shop"})
        await until(lambda: len(client.written) == 3)

    assert client.written[2][3]["sidecars"]["summary"] == "0/1"


async def test_what_was_found_of_pods_is_written_once_and_only_where_it_says_something_new() -> None:
    client, registry = Client(objects()), CollectorRegistry()
    censuses: list[Census] = []

    def census_of(hub: Hub) -> Census:
        censuses.append(
            Census(world=lambda: hub.world, pods_in=hub.pods_in, fingerprint="x", spared=frozenset(), registry=registry)
        )
        return censuses[0]

    def found(version: int) -> None:
        """Somebody looked, and found the same pod as it stands now."""
        censuses[0].scanned = {"shop": (parse_pod(pod(labels={"pointsman.dev/inject": "true"}, version=version)),)}
        writer.sidecars_changed({"shop"})

    def summaries() -> list[str | None]:
        return [status.get("pods", {}).get("summary") for kind, _, _, status in client.written if kind is Kind.POLICY]

    async with waiting(client, registry, census_of=census_of) as (hub, writer):
        writer.begin()
        hub.update(known(client))
        await until(lambda: summaries() == [None])  # before anybody has looked
        found(1)
        await until(lambda: summaries() == [None, "0/1"])
        found(2)
        censuses[0].scanned = {}
        writer.sidecars_changed({"shop"})

        await until(lambda: summaries() == [None, "0/1", "0/0"])
