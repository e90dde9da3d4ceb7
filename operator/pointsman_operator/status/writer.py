"""Writes statuses where they differ from what should stand there."""

import asyncio
import random
from collections.abc import Awaitable, Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import structlog
from prometheus_client import CollectorRegistry, Counter

from pointsman_operator.push import Hub, News, SidecarFacts
from pointsman_operator.resources import Key, Kind, ModelRoutingPolicy, Unreadable
from pointsman_operator.status.census import Census
from pointsman_operator.status.policies import policy_status
from pointsman_operator.status.providers import provider_status
from pointsman_operator.status.splits import SplitView
from pointsman_operator.status.views import views_of

log = structlog.get_logger(__name__)

# Long enough for the answers of sidecars to come in, short enough for whoever waits with `kubectl wait`.
SETTLE_SECONDS = 0.1
FIRST_RETRY_SECONDS = 0.5
LAST_RETRY_SECONDS = 5.0
AT_ONCE = 8


class StatusConflictError(Exception):
    """The object is newer than was known, or gone; what is written next follows from what the watch brings."""


class StatusUnavailableError(Exception):
    """The status could not be written now; the message says why."""


class StatusClient(Protocol):
    """Where statuses are written."""

    async def write_status(
        self, kind: Kind, key: Key, *, resource_version: str, status: Mapping[str, Any]
    ) -> Mapping[str, Any]:
        """Write a status, only if the object is still of this version; return the object as it is then.

        Raise StatusConflictError or StatusUnavailableError.
        """


class StatusMetrics:
    """What is counted of the writing."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self.writes = Counter(
            "pointsman_operator_status_writes",
            "Statuses written, by result: written, conflict or failed.",
            ["result"],
            registry=registry,
        )


@dataclass(frozen=True, kw_only=True)
class _Failure:
    """A status that was not written; `lasting` where trying again at once would be of no use."""

    reason: str
    lasting: bool


class StatusWriter:
    """Follows a hub, and writes from `begin` to `pause`: of several replicas, one does.

    `sidecars_in` gives the sidecars of a namespace, of all replicas. `observe` is told of each object as it stands
    after a write, so that it is not written twice. Without a `census` nothing is said of pods: this operator gives them
    no sidecar. `tuned` gives what is said of what a policy is tuned by, by its UID, and `splits` how its splits stand;
    `announce` is given a policy as it was and the status that it was given since.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        client: StatusClient,
        sidecars_in: Callable[[str], Iterable[SidecarFacts]],
        observe: Callable[[Kind, Mapping[str, Any]], None],
        secrets_namespace: str,
        now: Callable[[], datetime],
        metrics: StatusMetrics,
        tuned: Callable[[str], Mapping[str, Any] | None] = lambda _: None,
        census: Census | None = None,
        splits: Callable[[Key], tuple[SplitView, ...] | None] = lambda _: None,
        announce: Callable[[ModelRoutingPolicy | Unreadable, Mapping[str, Any]], Awaitable[None]] | None = None,
    ) -> None:
        self._hub = hub
        self._tuned = tuned
        self._client = client
        self._sidecars_in = sidecars_in
        self._observe = observe
        self._secrets_namespace = secrets_namespace
        self._now = now
        self._metrics = metrics
        self._census = census
        self._splits = splits
        self._announce = announce
        self._namespaces: set[str] = set()
        self._providers: set[str] = set()
        self._wake = asyncio.Event()
        self._turn = asyncio.Event()
        hub.subscribe(self._hear)

    def begin(self) -> None:
        """Write from now on, whatever of all there is to be written anew."""
        self._turn.set()
        world = self._hub.world
        self._namespaces |= {key.namespace for key in world.policies}
        self._providers |= {key.name for key in world.providers}
        self._wake.set()

    def pause(self) -> None:
        """Write no more: another replica does."""
        self._turn.clear()

    def sidecars_changed(self, namespaces: Iterable[str]) -> None:
        """In these namespaces the sidecars of other replicas, the pods that lack one, or what is tuned has changed."""
        self._namespaces |= set(namespaces)
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled."""
        retry = FIRST_RETRY_SECONDS
        while True:
            await self._wake.wait()
            await self._turn.wait()
            await asyncio.sleep(SETTLE_SECONDS)
            if not self._turn.is_set():
                continue
            self._wake.clear()
            if await self._write_all():
                retry = FIRST_RETRY_SECONDS
                continue
            await asyncio.sleep(retry * random.uniform(0.5, 1))  # noqa: S311 - spreads retries, guards nothing
            retry = min(retry * 2, LAST_RETRY_SECONDS)

    def _hear(self, news: News) -> None:
        self._namespaces |= news.namespaces
        self._providers |= news.providers
        self._wake.set()

    async def _write_all(self) -> bool:
        """Write what differs; false if some of it has to be tried again."""
        due = list(self._due())
        slots = asyncio.Semaphore(AT_ONCE)

        async def write(kind: Kind, key: Key, version: str, status: dict[str, Any]) -> _Failure | None:
            async with slots:
                return await self._write(kind, key, resource_version=version, status=status)

        results = await asyncio.gather(*(write(*each) for each in due))
        # One line for all, since what fails one of them as a rule fails each.
        if failures := [each for each in results if each is not None and each.lasting]:
            log.warning("statuses not written; will be tried again", count=len(failures), error=failures[0].reason)
        return all(each is None for each in results)

    def _due(self) -> Iterator[tuple[Kind, Key, str, dict[str, Any]]]:
        """The statuses that differ from what stands there, among those that may have changed."""
        namespaces, self._namespaces = self._namespaces, set()
        providers, self._providers = self._providers, set()
        world, now = self._hub.world, self._now()
        for name in sorted(providers):
            if (provider := world.providers.get(Key("", name))) is None:
                continue
            status = provider_status(
                provider,
                secrets=world.secrets,
                secrets_namespace=self._secrets_namespace,
                before=provider.status,
                now=now,
            )
            if status != provider.status:
                yield Kind.PROVIDER, provider.metadata.key, provider.metadata.resource_version, status
        pods = None if self._census is None else self._census.by_namespace(namespaces)
        for namespace in sorted(namespaces):
            views = views_of(
                self._hub.verdicts_in(namespace),
                sidecars=self._sidecars_in(namespace),
                world=world,
                secrets_namespace=self._secrets_namespace,
                pods=pods[namespace] if isinstance(pods, Mapping) else pods,
                tuned=self._tuned,
                splits=self._splits,
            )
            for key, view in sorted(views.items()):
                # The object as it is now: the verdict's may be older than a status that was written since.
                policy = world.policies[key]
                status = policy_status(view, before=policy.status, now=now)
                if status != policy.status:
                    yield Kind.POLICY, key, policy.metadata.resource_version, status

    async def _write(self, kind: Kind, key: Key, *, resource_version: str, status: dict[str, Any]) -> _Failure | None:
        before = self._hub.world.policies.get(key) if kind is Kind.POLICY else None
        try:
            written = await self._client.write_status(kind, key, resource_version=resource_version, status=status)
        except StatusConflictError as error:
            # Whatever made it newer is on its way here, or it is gone.
            self._metrics.writes.labels(result="conflict").inc()
            self._again(kind, key)
            return _Failure(reason=str(error), lasting=False)
        except StatusUnavailableError as error:
            self._metrics.writes.labels(result="failed").inc()
            self._again(kind, key)
            return _Failure(reason=str(error), lasting=True)
        self._metrics.writes.labels(result="written").inc()
        self._observe(kind, written)
        if before is not None and self._announce is not None:
            await self._announce(before, status)
        return None

    def _again(self, kind: Kind, key: Key) -> None:
        if kind is Kind.POLICY:
            self._namespaces.add(key.namespace)
        else:
            self._providers.add(key.name)
        self._wake.set()
