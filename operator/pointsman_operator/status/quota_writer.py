"""Writes the statuses of quotas, and announces their steps, at the pace that `may_write_at` gives."""

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import structlog

from pointsman_operator.compile import check_quota
from pointsman_operator.ledger.windows import Window
from pointsman_operator.push import Hub, News
from pointsman_operator.resources import Key, Kind, TokenQuota, Unreadable
from pointsman_operator.status.patches import merge_patch
from pointsman_operator.status.quota_events import announcements, event
from pointsman_operator.status.quotas import (
    LedgerState,
    QuotaView,
    Standing,
    current_window,
    is_urgent,
    may_write_at,
    quota_status,
    unreadable_status,
)
from pointsman_operator.status.writer import (
    AT_ONCE,
    SETTLE_SECONDS,
    StatusClient,
    StatusConflictError,
    StatusMetrics,
    StatusUnavailableError,
)

log = structlog.get_logger(__name__)

_RETRY_SECONDS = 5.0


class EventError(Exception):
    """An Event could not be made; the message says why."""


class EventClient(Protocol):
    """Where Events are made."""

    async def create_event(self, value: Mapping[str, Any]) -> None:
        """Make an Event, unless there is one of that name. Raise EventError if that fails."""


class Ledger(Protocol):
    """What is known of how budgets stand."""

    def standings(self, quota: TokenQuota, window: Window) -> Sequence[Standing]:
        """How the quota's budgets stand in a window; of those that nobody has spent from, nothing."""

    def state(self) -> LedgerState:
        """Whether it can grant."""


class QuotaWriter:
    """Follows a hub and a ledger, and writes from `begin` to `pause`: of several replicas, one does.

    `clock` is steady, `now` is the calendar's. `instance` is this replica, as its Events name it. `observe` is told of
    each object as it stands after a write.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        client: StatusClient,
        events: EventClient,
        ledger: Ledger,
        observe: Callable[[Kind, Mapping[str, Any]], None],
        now: Callable[[], datetime],
        clock: Callable[[], float],
        instance: str,
        metrics: StatusMetrics,
    ) -> None:
        self._hub = hub
        self._client = client
        self._events = events
        self._ledger = ledger
        self._observe = observe
        self._now = now
        self._clock = clock
        self._instance = instance
        self._metrics = metrics
        # When to look at a quota, and when its status was last written: by the steady clock.
        self._due: dict[Key, float] = {}
        self._written: dict[Key, float] = {}
        self._wake = asyncio.Event()
        self._turn = asyncio.Event()
        self._slots = asyncio.Semaphore(AT_ONCE)
        hub.subscribe(self._hear)

    @property
    def writing(self) -> bool:
        """Whether it is this writer's turn."""
        return self._turn.is_set()

    def begin(self) -> None:
        """Write from now on, whatever of all there is to be written anew."""
        self._turn.set()
        self.look_at(self._hub.world.quotas)

    def pause(self) -> None:
        """Write no more: another replica does."""
        self._turn.clear()

    def look_at(self, quotas: Iterable[Key]) -> None:
        """More may be known of how these stand."""
        now = self._clock()
        self._due.update(dict.fromkeys(quotas, now))
        self._wake.set()

    async def run(self) -> None:
        """Write until cancelled."""
        while True:
            await self._turn.wait()
            wait = min(self._due.values(), default=float("inf")) - self._clock()
            if wait > 0:
                await self._woken(within=wait)
                continue
            # News come in bursts.
            await asyncio.sleep(SETTLE_SECONDS)
            if self._turn.is_set():
                now = self._clock()
                due = [key for key, at in self._due.items() if at <= now]
                for key in due:
                    del self._due[key]
                await asyncio.gather(*(self._look(key) for key in due))

    async def _woken(self, *, within: float) -> None:
        try:
            async with asyncio.timeout(None if within == float("inf") else within):
                await self._wake.wait()
        except TimeoutError:
            return
        self._wake.clear()

    def _hear(self, news: News) -> None:
        if news.quotas:
            self.look_at(news.quotas)

    async def _look(self, key: Key) -> None:
        if not self._turn.is_set():
            # Since it was found to be due: the ledger knows nothing any more.
            return
        quota = self._hub.world.quotas.get(key)
        if quota is None:
            self._written.pop(key, None)
            return
        now = self._now()
        if isinstance(quota, Unreadable):
            await self._write(quota, unreadable_status(quota, before=quota.status, now=now))
            return
        window = current_window(quota, now)
        wanted = self._wanted(quota, window=window, now=now)
        if "resetsAt" in wanted:
            # What was used comes back then, whether anybody says so or not.
            self._again(key, after=window.end - now.timestamp())
        if await self._write(quota, wanted):
            await self._announce(quota, window=window, after=wanted)

    def _again(self, key: Key, *, after: float) -> None:
        at = self._clock() + max(0.0, after)
        self._due[key] = min(at, self._due.get(key, at))

    def _wanted(self, quota: TokenQuota, *, window: Window, now: datetime) -> dict[str, Any]:
        problems = check_quota(
            quota,
            providers=self._hub.world.providers,
            policies=(verdict.policy for verdict in self._hub.verdicts_in(quota.metadata.namespace)),
        )
        standings = self._ledger.standings(quota, window)
        view = QuotaView(
            quota=quota, problems=problems, window=window, standings=standings, ledger=self._ledger.state()
        )
        return quota_status(view, before=quota.status, now=now)

    async def _write(self, quota: TokenQuota | Unreadable, wanted: Mapping[str, Any]) -> bool:
        """Write the status if it differs and it is time; whether it was written."""
        if wanted == quota.status:
            return False
        key, version = quota.metadata.key, quota.metadata.resource_version
        allowed = may_write_at(self._written.get(key), urgent=is_urgent(quota.status, wanted))
        began = self._clock()
        if (wait := allowed - began) > 0:
            self._again(key, after=wait)
            return False
        patch = merge_patch(quota.status, wanted)
        try:
            async with self._slots:
                value = await self._client.write_status(Kind.QUOTA, key, resource_version=version, status=patch)
        except StatusConflictError:
            # Whatever made it newer is on its way here, or it is gone.
            self._metrics.writes.labels(result="conflict").inc()
            self._again(key, after=_RETRY_SECONDS)
            return False
        except StatusUnavailableError as error:
            self._metrics.writes.labels(result="failed").inc()
            log.warning("the status of a quota is not written; will be tried again", quota=str(key), error=str(error))
            self._again(key, after=_RETRY_SECONDS)
            return False
        self._written[key] = began
        self._metrics.writes.labels(result="written").inc()
        self._observe(Kind.QUOTA, value)
        return True

    async def _announce(self, quota: TokenQuota, *, window: Window, after: Mapping[str, Any]) -> None:
        for each in announcements(quota, window=window, before=quota.status, after=after):
            value = event(each, quota=quota, window=window, instance=self._instance, now=self._now())
            try:
                await self._events.create_event(value)
            except EventError as error:
                log.warning("an Event of a quota is lost", quota=str(quota.metadata.key), error=str(error))
