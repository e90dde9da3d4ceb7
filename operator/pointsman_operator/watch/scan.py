"""Looks now and then for pods that asked for a sidecar and have none. Nothing is done to them: they are counted.

No selector finds both those that ask themselves and those whose namespace asks, and to watch all pods of a cluster for
the few that lack something would cost too much. So they are listed, by their metadata alone.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Mapping

import structlog

from pointsman_operator.inject import asks
from pointsman_operator.push import Hub, News
from pointsman_operator.resources import MalformedObjectError, Pod, parse_pod
from pointsman_operator.resources.kinds import INJECT_LABEL
from pointsman_operator.status import Census
from pointsman_operator.watch.cluster import Cluster, ClusterError

log = structlog.get_logger(__name__)

# Whatever happens in the cluster, the API server is not asked more often.
BETWEEN_SCANS_SECONDS = 2.0
# Where some lack a sidecar, whatever takes their place may come, and they may go, at any time after the news of it: so
# there it is looked again, twice as late each time that nothing has changed.
FIRST_AGAIN_SECONDS = 5.0
FIRST_RETRY_SECONDS = 1.0
LAST_RETRY_SECONDS = 30.0


class Scan:
    """Fills the census of the replica that leads; `tell` is called with the namespaces whose pods it finds changed."""

    def __init__(
        self,
        hub: Hub,
        *,
        cluster: Cluster,
        census: Census,
        leading: Callable[[], bool],
        tell: Callable[[frozenset[str]], None],
    ) -> None:
        self._hub = hub
        self._cluster = cluster
        self._census = census
        self._leading = leading
        self._tell = tell
        self._soon = asyncio.Event()
        self._everywhere = True
        self._places: set[str] = set()  # where to look, unless it is everywhere
        self._namespaces = hub.world.namespaces
        self._pods = hub.world.pods
        hub.subscribe(self._hear)

    def soon(self) -> None:
        """Look as soon as may be, and not only when it is time: another replica leads, for one."""
        self._everywhere = True
        self._soon.set()

    async def run(self, *, interval: float) -> None:
        """Look, and look again now and then, until cancelled."""
        await self._hub.ready.wait()
        clock = asyncio.get_running_loop().time
        retry, again, everywhere_at = FIRST_RETRY_SECONDS, FIRST_AGAIN_SECONDS, clock()
        while True:
            self._soon.clear()
            if self._everywhere:
                everywhere_at = clock() + interval
            try:
                changed = await self._look() if self._leading() else self._forget()
            except (ClusterError, MalformedObjectError) as error:
                self._everywhere = True
                log.warning("cannot look for pods without a sidecar; will be tried again", error=str(error))
                await asyncio.sleep(retry)
                retry = min(retry * 2, LAST_RETRY_SECONDS)
                continue
            retry = FIRST_RETRY_SECONDS
            again = FIRST_AGAIN_SECONDS if changed else min(again * 2, interval)
            until = min(everywhere_at, clock() + again) if self._census.scanned else everywhere_at
            try:
                async with asyncio.timeout_at(until):
                    await self._soon.wait()
            except TimeoutError:
                self._everywhere = until == everywhere_at
                self._places |= (self._census.scanned or {}).keys()
            else:
                again = FIRST_AGAIN_SECONDS / 2
                # Beside the API server's peace it gives a rollout time to go on: pods come one after the other.
                await asyncio.sleep(BETWEEN_SCANS_SECONDS)

    def _forget(self) -> bool:
        """Another replica leads, and looks."""
        self._census.scanned = None
        return False

    def _hear(self, news: News) -> None:
        world = self._hub.world
        if world.namespaces is not self._namespaces:
            self._namespaces = world.namespaces
            self.soon()
        # Where some lack a sidecar, a pod that comes or goes may be one of them made again.
        if world.pods is not self._pods:
            self._pods = world.pods
            if again := news.namespaces & (self._census.scanned or {}).keys():
                self._places |= again
                self._soon.set()

    async def _look(self) -> bool:
        """Look everywhere, or where there is reason to; whether anything is not what it was."""
        before = self._census.scanned
        everywhere, self._everywhere = self._everywhere or before is None, False
        places, self._places = self._places, set()
        found: defaultdict[str, dict[str, Pod]] = defaultdict(dict)
        for namespace in ("", *self._asking()) if everywhere else places:
            for pod in (await self._cluster.list_without_sidecar(namespace, read=parse_pod)).items:
                there = pod.metadata.namespace
                if asks(pod.metadata.labels, namespace_labels=self._hub.world.namespace_labels(there)):
                    found[there][pod.metadata.name] = pod
        kept = {} if everywhere else {name: pods for name, pods in (before or {}).items() if name not in places}
        after = kept | {name: tuple(pods.values()) for name, pods in found.items()}
        self._census.scanned = after
        self._tell(_changed(before, after) if before is not None else self._all())
        return before != after

    def _asking(self) -> list[str]:
        """The namespaces whose pods get a sidecar unless they decline."""
        return [
            key.name
            for key, namespace in self._hub.world.namespaces.items()
            if namespace.metadata.labels.get(INJECT_LABEL) == "true" and key.name not in self._census.spared
        ]

    def _all(self) -> frozenset[str]:
        return frozenset(key.namespace for key in self._hub.world.policies)


def _changed(before: Mapping[str, tuple[Pod, ...]], after: Mapping[str, tuple[Pod, ...]]) -> frozenset[str]:
    return frozenset(name for name in before.keys() | after.keys() if before.get(name) != after.get(name))
