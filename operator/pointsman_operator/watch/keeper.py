"""Brings what watches and lists tell together into one world, and hands it to the hub."""

import asyncio
import contextlib
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, TypeVar

import structlog
from prometheus_client import CollectorRegistry, Counter

from pointsman_operator.push import Hub, RelistError
from pointsman_operator.resources import Kind, MalformedObjectError
from pointsman_operator.watch.cluster import Cluster, ClusterError, Listing
from pointsman_operator.world import Change, Resource, World, referenced_keys, trimmed

T = TypeVar("T")

log = structlog.get_logger(__name__)

FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 5.0
# However many sidecars come back at once and know more than we do, the API server is not asked more often.
BETWEEN_LISTS_SECONDS = 1.0
# kopf tells of a list object by object, for seconds where there are thousands; one of ours is due after the last.
QUIET_SECONDS = 0.5
# A server that ends each stream at once must not be asked for the next one at once.
BETWEEN_STREAMS_SECONDS = 0.1


class WatchMetrics:
    """What is counted of the watching."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.events = Counter(
            "pointsman_operator_watch_events",
            "Objects that watches told of, by kind.",
            ["kind"],
            registry=registry,
        )
        self.lists = Counter(
            "pointsman_operator_lists",
            "Times that the cluster was listed, by result: done or failed.",
            ["result"],
            registry=registry,
        )


class Keeper:
    """Belongs to the hub's event loop; other threads come in through `call_soon_threadsafe`.

    `pods` says whether pods are listed too: who believes what sidecars claim has no use for them. `own` are keys of the
    operator's own Secrets, by name and key, that are kept beside those that providers refer to.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        cluster: Cluster,
        metrics: WatchMetrics,
        pods: bool = False,
        own: frozenset[tuple[str, str]] = frozenset(),
    ) -> None:
        self._hub = hub
        self._own = own
        self._kinds = (*((Kind.POD,) if pods else ()), Kind.NAMESPACE, Kind.PROVIDER, Kind.POLICY, Kind.QUOTA)
        self._cluster = cluster
        self._metrics = metrics
        self._world = World()
        self._kept = frozenset[tuple[str, str]]()
        self._referring, self._referred = self._world.providers, own
        self._settling: asyncio.Task[None] | None = None
        self._running: asyncio.Task[None] | None = None
        self._next: asyncio.Task[None] | None = None
        self._soon = asyncio.Event()
        self._listed_at: float | None = None

    def observe(self, kind: Kind, change: Change, value: Mapping[str, Any]) -> None:
        """A watch, or the answer to a write, told of an object."""
        self._metrics.events.labels(kind=kind).inc()
        if kind is Kind.SECRET:
            value = trimmed(value, to=self._references())
        try:
            world = self._world.observe(kind, change, value)
        except MalformedObjectError as error:
            log.warning("object ignored", kind=kind, error=str(error))
            return
        if world is not self._world:
            self._world = world
            # News come in bursts, all of which the hub then takes in at once.
            if self._settling is None:
                self._settling = asyncio.create_task(self._settle())

    def relist_soon(self) -> None:
        """Something may have been missed."""
        self._soon.set()

    async def relist(self) -> None:
        """List everything, beginning not before this call, and have the hub know it. Raise RelistError if it fails.

        All who ask while a list is under way share the one after it.
        """
        if self._next is None:
            self._next = asyncio.create_task(self._relist_after(self._running))
            # Whoever asked may have been cancelled by the time that it fails, and nobody else has to hear of it.
            self._next.add_done_callback(lambda task: task.cancelled() or task.exception())
        await asyncio.shield(self._next)

    async def run(self, *, interval: float) -> None:
        """List now, until it succeeds, and then now and then, until cancelled."""
        retry = FIRST_RETRY_SECONDS
        while True:
            while self._soon.is_set():
                self._soon.clear()
                await asyncio.sleep(QUIET_SECONDS)
            try:
                await self.relist()
            except RelistError as error:
                log.warning("cannot list the cluster; will be tried again", error=str(error))
                await asyncio.sleep(retry)
                retry = min(retry * 2, LAST_RETRY_SECONDS)
                continue
            retry = FIRST_RETRY_SECONDS
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(interval):
                    await self._soon.wait()

    async def follow_secrets(self) -> None:
        """Watch the Secrets, from list to list, until cancelled."""
        retry = FIRST_RETRY_SECONDS
        since: str | None = None
        while True:
            try:
                if since is None:
                    since = (await self._list_secrets()).resource_version
                    self._hand_over()
                async for change, value in self._cluster.watch_secrets(since=since):
                    since = value["metadata"]["resourceVersion"]
                    retry = FIRST_RETRY_SECONDS
                    if change is not None:
                        self.observe(Kind.SECRET, change, value)
                await asyncio.sleep(BETWEEN_STREAMS_SECONDS)
            except (ClusterError, MalformedObjectError) as error:
                log.info("the watch of Secrets starts again", error=str(error))
                since = None
                await asyncio.sleep(retry)
                retry = min(retry * 2, LAST_RETRY_SECONDS)

    async def _settle(self) -> None:
        # What a provider refers to must be known before the hub hears of the provider, or its sidecars would be told
        # for a moment that there is no key.
        try:
            if not self._references() <= self._kept:
                await self._list_secrets()
        except (ClusterError, MalformedObjectError) as error:
            log.warning("cannot list Secrets; will be tried again", error=str(error))
            self.relist_soon()
        finally:
            self._settling = None
            self._hand_over()

    async def _relist_after(self, earlier: asyncio.Task[None] | None) -> None:
        clock = asyncio.get_running_loop().time
        if earlier is not None and not earlier.done():
            await asyncio.wait([earlier])
        if self._listed_at is not None:
            await asyncio.sleep(self._listed_at + BETWEEN_LISTS_SECONDS - clock())
        self._running, self._next = self._next, None
        self._listed_at = clock()
        try:
            for kind in self._kinds:
                listing = await self._list(kind, partial(self._read, kind))
                self._world = self._world.restock(kind, listing.items, resource_version=listing.resource_version)
            await self._list_secrets()
        except (ClusterError, MalformedObjectError) as error:
            self._metrics.lists.labels(result="failed").inc()
            raise RelistError(str(error)) from error
        self._metrics.lists.labels(result="done").inc()
        self._hand_over()

    async def _list_secrets(self) -> Listing[dict[str, Any]]:
        listing = await self._list(Kind.SECRET, lambda secret: secret)
        # Asked for only now: providers may have come while the list was on its way.
        references = self._references()
        kept = [trimmed(secret, to=references) for secret in listing.items]
        self._world = self._world.relist(Kind.SECRET, kept, resource_version=listing.resource_version)
        self._kept = references
        return listing

    def _read(self, kind: Kind, value: Mapping[str, Any]) -> Resource:
        return self._world.read(kind, value)

    async def _list(self, kind: Kind, read: Callable[[dict[str, Any]], T]) -> Listing[T]:
        listed_before = self._world.listed(kind)
        listing = await self._cluster.list(kind, read=read)
        # A list is never older than what was known when it was asked for, unless the cluster was restored from a
        # backup. A world that only goes forward would then wait for its old versions to be reached again.
        if int(listing.resource_version) < listed_before:
            log.warning("the cluster has gone back in time; everything is read anew", kind=kind)
            self._world = World()
            self._kept = frozenset()
            self.relist_soon()
        return listing

    def _references(self) -> frozenset[tuple[str, str]]:
        """The Secrets' names and keys that are of use, gathered anew only when a provider changed."""
        providers = self._world.providers
        if self._referring is not providers:
            self._referring, self._referred = providers, referenced_keys(providers.values()) | self._own
        return self._referred

    def _hand_over(self) -> None:
        self._hub.update(self._world)
