"""kopf watches from its own thread, is started again when it ends, and changes nothing in the cluster."""

import queue
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from pointsman_operator.resources import Kind
from pointsman_operator.watch import Connector, KopfThread
from pointsman_operator.world import Change
from process.operator.fake_api import NAMESPACES, POLICIES, PROVIDERS, QUOTAS, FakeApi
from pure.operator.objects import namespace, policy, provider, quota
from support.waiting import until

Told = tuple[Kind, Change | None, str]


class Ear:
    """Takes what a KopfThread delivers."""

    def __init__(self) -> None:
        self.told: queue.SimpleQueue[Told] = queue.SimpleQueue()
        self.heard: list[Told] = []

    def deliver(self, kind: Kind, change: Change | None, value: Mapping[str, Any]) -> None:
        """In the thread."""
        self.told.put((kind, change, value["metadata"]["name"]))

    async def hears(self, *expected: Told) -> None:
        """Wait until all of these were told."""

        def all_heard() -> bool:
            while not self.told.empty():
                self.heard.append(self.told.get())
            return set(expected) <= set(self.heard)

        await until(all_heard, within=15)


@asynccontextmanager
async def watching(
    api: FakeApi, folder: Path, ear: Ear, *, prepare: Callable[[], bool] = lambda: True
) -> AsyncIterator[KopfThread]:
    """A thread that watches the API, stopped in the end."""
    connector = Connector(kubeconfig=api.kubeconfig(folder))
    thread = KopfThread(connector, deliver=ear.deliver, prepare=prepare)
    thread.start()
    try:
        yield thread
    finally:
        thread.stop()
        await until(lambda: not thread.alive, within=10)


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi.running() as running:
        running.write(POLICIES, policy())
        running.write(PROVIDERS, provider())
        running.write(QUOTAS, quota())
        finalizers = ["kopf.zalando.org/KopfFinalizerMarker"]
        running.write(NAMESPACES, namespace())
        running.objects[NAMESPACES]["shop"]["metadata"]["finalizers"] = finalizers
        yield running


async def test_what_is_there_is_listed_and_what_changes_is_told(api: FakeApi, tmp_path: Path) -> None:
    ear = Ear()
    async with watching(api, tmp_path, ear):
        await ear.hears((Kind.POLICY, None, "support"), (Kind.PROVIDER, None, "openai"), (Kind.NAMESPACE, None, "shop"))
        await ear.hears((Kind.QUOTA, None, "month"))
        await until(lambda: api.watched(POLICIES) and api.watched(NAMESPACES))
        api.write(POLICIES, policy("later"))
        api.delete(NAMESPACES, "shop")
        await ear.hears((Kind.POLICY, Change.WRITTEN, "later"), (Kind.NAMESPACE, Change.DELETED, "shop"))

    assert not api.writes, "kopf must write nothing, and take off no finalizer that another operator put there"


async def test_it_begins_anew_with_a_list_when_it_was_cut_off_too_long(api: FakeApi, tmp_path: Path) -> None:
    ear = Ear()
    async with watching(api, tmp_path, ear):
        await ear.hears((Kind.POLICY, None, "support"))
        await until(lambda: api.watched(POLICIES))
        api.write(POLICIES, policy("missed"), told=False)
        api.expire(POLICIES)

        await ear.hears((Kind.POLICY, None, "missed"))


async def test_it_is_started_again_when_the_kinds_went_and_came_back(api: FakeApi, tmp_path: Path) -> None:
    ear = Ear()
    async with watching(api, tmp_path, ear, prepare=lambda: POLICIES not in api.failing) as thread:
        await ear.hears((Kind.POLICY, None, "support"))
        await until(lambda: api.watched(POLICIES))
        api.failing[POLICIES] = 404
        api.end_watches(POLICIES)
        await until(lambda: not any(api.watched(path) for path in (POLICIES, PROVIDERS, NAMESPACES)), within=10)
        assert thread.alive
        api.write(POLICIES, policy("back"), told=False)
        api.failing.clear()

        await ear.hears((Kind.POLICY, None, "back"))


async def test_it_waits_for_the_kinds_and_can_be_stopped_while_it_does(api: FakeApi, tmp_path: Path) -> None:
    asked = queue.SimpleQueue[None]()

    def prepare() -> bool:
        asked.put(None)
        return False

    async with watching(api, tmp_path, Ear(), prepare=prepare):
        await until(lambda: not asked.empty())

    assert not api.watched(POLICIES)
