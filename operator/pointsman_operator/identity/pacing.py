"""How often and how many at once the API server is asked, however many sidecars come back together."""

import asyncio
import math
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from pointsman_operator.push import IdentityUnavailableError

PER_SECOND = 200.0
AT_ONCE = 20
LONGEST_WAIT_SECONDS = 8.0


class Pacer:
    """Gives turns, so far apart that `per_second` is kept after a first burst; replicas do not fall into step."""

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        random: Callable[[], float],
        sleep: Callable[[float], Awaitable[None]] = asyncio.sleep,
        per_second: float = PER_SECOND,
        at_once: int = AT_ONCE,
    ) -> None:
        self._clock = clock
        self._random = random
        self._sleep = sleep
        self._between = 1 / per_second
        self._burst = at_once * self._between
        self._running = asyncio.Semaphore(at_once)
        self._next = -math.inf

    @asynccontextmanager
    async def turn(self) -> AsyncIterator[None]:
        """Wait for a turn, and hold it. Raise IdentityUnavailableError if it would be too long in coming."""
        now = self._clock()
        at = max(self._next, now - self._burst)
        wait = at - now
        if wait > LONGEST_WAIT_SECONDS:
            raise IdentityUnavailableError("too many sidecars come at once; try again in a moment")
        self._next = at + self._between
        if wait > 0:
            await self._sleep(wait + self._random() * self._between)
        async with self._running:
            yield
