"""At what pace a store is written: so many writes and bytes a second for the whole operator."""

import asyncio
from collections.abc import Awaitable, Callable

# etcd keeps five minutes of history in 2 GiB, and the cluster has other uses for it.
WRITES_PER_SECOND = 100
BYTES_PER_SECOND = 256 * 1024
# How long a write has to wait before that is worth a sentence.
LONG_SECONDS = 1.0
_LATELY_SECONDS = 5.0


class Pace:
    """`turn` returns when a write of so many bytes may be made. A second's worth may be made at once."""

    def __init__(
        self, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        # When all that was let through would be through, at an even pace.
        self._busy_until = float("-inf")
        self._waited = (float("-inf"), 0.0)

    @property
    def behind(self) -> float:
        """How long the last write had to wait, if it was just now."""
        at, seconds = self._waited
        return seconds if self._clock() - at < _LATELY_SECONDS else 0.0

    async def turn(self, size: int) -> None:
        """Wait until it may be written."""
        now = self._clock()
        takes = max(1 / WRITES_PER_SECOND, size / BYTES_PER_SECOND)
        self._busy_until = max(self._busy_until, now - 1.0) + takes
        wait = max(0.0, self._busy_until - now)
        if wait:
            await self._sleep(wait)
        self._waited = (self._clock(), wait)
