"""Takes the Lease where it is free, keeps it, and says who has it."""

import asyncio
import math
from collections.abc import Awaitable, Callable, Mapping
from datetime import datetime
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, Gauge

from pointsman_operator.election.decisions import Sighting, Step, decide, seen
from pointsman_operator.election.leases import LeaseConflictError, Leases, LeaseUnavailableError
from pointsman_operator.election.records import Holder, given_up, held, read_lease

log = structlog.get_logger(__name__)

# Of the Lease's duration: how often it is looked at and renewed, and how long after the last renewal its holder still
# believes that it leads. The rest is for clocks that run at different speeds, and for what is under way.
_LOOK = 1 / 5
_BELIEVE = 2 / 3


class Elector:
    """Belongs to one event loop. `clock` is monotonic, in seconds; `now` is what people read in the Lease."""

    def __init__(
        self,
        leases: Leases,
        *,
        me: Holder,
        duration: float,
        clock: Callable[[], float],
        now: Callable[[], datetime],
        random: Callable[[], float],
        registry: CollectorRegistry,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self.me = me
        self.first = False
        """Whether this replica made the Lease and has led since: nobody led before it."""
        self._leases = leases
        self._duration = duration
        self._clock = clock
        self._now = now
        self._random = random
        self._sleep = sleep
        self._sighting: Sighting | None = None
        self._leads_until = -math.inf
        self._told: tuple[bool, Holder | None] = (False, None)
        self._released = False
        # A renewal that is under way must not overtake the release.
        self._turn = asyncio.Lock()
        self._listeners: list[Callable[[], None]] = []
        self._gauge = Gauge(
            "pointsman_operator_leader", "Whether this replica holds the Lease: 1 or 0.", registry=registry
        )

    @property
    def leading(self) -> bool:
        """Whether this replica holds the Lease, and has renewed it lately enough to be sure."""
        return self._clock() < self._leads_until

    @property
    def holder(self) -> Holder | None:
        """Who was last seen to hold the Lease, this replica or another."""
        return None if self._sighting is None or self._sighting.record is None else self._sighting.record.holder

    def subscribe(self, listener: Callable[[], None]) -> None:
        """Call `listener` when `leading` or `holder` changes; it must be quick."""
        self._listeners.append(listener)

    async def run(self) -> None:
        """Campaign until cancelled or released."""
        while not self._released:
            await self.step()
            # A replica that is told apart by nothing else must not look at the same moments as the other.
            await self._sleep(self._duration * _LOOK * (0.8 + 0.4 * self._random()))

    async def step(self) -> None:
        """Look at the Lease once, and do what is due."""
        async with self._turn:
            try:
                await self._step()
            except LeaseConflictError:
                pass  # another replica was first; the next look shows who it is
            except LeaseUnavailableError as error:
                log.warning("the Lease cannot be reached", error=str(error))
            self._tell()

    async def release(self) -> None:
        """Campaign no more, and give up the Lease if it is ours."""
        async with self._turn:
            self._released = True
            leading, self._leads_until = self.leading, -math.inf
            record = None if self._sighting is None else self._sighting.record
            if leading and record is not None:
                try:
                    content = given_up(before=record, now=self._now())
                    self._see(await self._leases.write(content, resource_version=record.version))
                except (LeaseConflictError, LeaseUnavailableError) as error:
                    log.info("the Lease was not given up, and runs out by itself", error=str(error))
            self._tell()

    async def _step(self) -> None:
        sighting = self._see(await self._leases.read())
        if self._released:
            return
        record = sighting.record
        step = decide(sighting, me=self.me.name, now=self._clock())
        if step is Step.WAIT:
            self._leads_until = -math.inf
            return
        # From before the write is sent: the others count from when they see it, which is later.
        started = self._clock()
        content = held(self.me, before=record, duration=self._duration, now=self._now())
        if record is None:
            self._see(await self._leases.create(content))
            self.first = True
        else:
            self._see(await self._leases.write(content, resource_version=record.version))
        self._leads_until = started + self._duration * _BELIEVE

    def _see(self, lease: Mapping[str, Any] | None) -> Sighting:
        record = None if lease is None else read_lease(lease)
        self._sighting = seen(record, before=self._sighting, now=self._clock())
        return self._sighting

    def _tell(self) -> None:
        state = (self.leading, self.holder)
        if state == self._told:
            return
        if state[0] != self._told[0]:
            self.first = self.first and state[0]
            log.info("leading" if state[0] else "no longer leading", replica=self.me.name)
        self._told = state
        self._gauge.set(state[0])
        for listener in self._listeners:
            listener()
