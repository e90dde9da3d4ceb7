"""Sends sidecars on to other replicas: those that are too many here, and all of them before the end."""

import asyncio
import math
import random
from collections.abc import Awaitable, Callable

import structlog

from pointsman_operator.push import Hub
from pointsman_operator.replicas.fleet import Totals

log = structlog.get_logger(__name__)

INTERVAL_SECONDS = 5.0
# A connection goes to a replica by chance, so that shares differ a little all the time.
_TOLERATED = 1.2
_TOLERATED_FEW = 8
# Of what is too much, how much goes at a time; it may come back by the same chance.
_AT_A_TIME = 1 / 4
_MOST_AT_A_TIME = 100
_HEARD_OF = 0.3
_DRAIN_STEP_SECONDS = 0.1

_SPREAD = "this replica serves more than its share of sidecars; connect again, to another"
_STOPPING = "the operator is stopping; connect again"


def surplus(*, own: int, totals: Totals | None) -> int:
    """How many sidecars to send away now. Nobody is sent away by a replica that does not know of another."""
    if totals is None or totals.replicas < 2:  # noqa: PLR2004 - oneself and another
        return 0
    share = totals.sidecars / totals.replicas
    if own <= share * _TOLERATED + _TOLERATED_FEW:
        return 0
    return min(math.ceil((own - share) * _AT_A_TIME), _MOST_AT_A_TIME)


class Spreader:
    """`run` is the whole life of it. `totals` says how many there are, or None while that is not known."""

    def __init__(
        self,
        hub: Hub,
        *,
        totals: Callable[[], Totals | None],
        chance: random.Random,
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
    ) -> None:
        self._hub = hub
        self._totals = totals
        self._chance = chance
        self._sleep = sleep

    async def run(self) -> None:
        """Look now and then, until cancelled."""
        while True:
            await self._sleep(INTERVAL_SECONDS * self._chance.uniform(0.8, 1.2))
            sidecars = self._hub.sidecars()
            if count := surplus(own=len(sidecars), totals=self._totals()):
                log.info("sidecars sent on to other replicas", count=count, of=len(sidecars))
                for session in self._chance.sample(sidecars, count):
                    session.dismiss(_SPREAD)


async def drain(
    hub: Hub,
    *,
    seconds: float,
    chance: random.Random | None = None,
    sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> None:
    """Within so many seconds send all sidecars away, evenly, so that they do not come to the others all at once.

    Serve on first, until whoever balances connections has heard that this replica is not ready.
    """
    if not seconds:
        return
    await sleep(seconds * _HEARD_OF)
    left = list(hub.sidecars())
    (chance or random.Random()).shuffle(left)  # noqa: S311 - spreads load, guards nothing
    seconds *= 1 - _HEARD_OF
    steps = max(1, round(seconds / _DRAIN_STEP_SECONDS))
    for step in range(steps, 0, -1):
        for _ in range(math.ceil(len(left) / step)):
            left.pop().dismiss(_STOPPING)
        await sleep(seconds / steps)
