"""At what pace a store is written: so many writes and bytes a second for the whole operator."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

# etcd keeps five minutes of history in 2 GiB, and the cluster has other uses for it.
WRITES_PER_SECOND = 100
BYTES_PER_SECOND = 256 * 1024
# How long a writing takes before that is worth a sentence.
LONG_SECONDS = 1.0
_LATELY_SECONDS = 5.0


class Pace:
    """`turn` returns when a write of so many bytes may be made. A second's worth may be made at once."""

    def __init__(
        self, *, clock: Callable[[], float], sleep: Callable[[float], Awaitable[None]] = asyncio.sleep
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        # When all that was let through would be through at an even pace, by its number and by its bytes.
        self._busy_until = [float("-inf"), float("-inf")]
        self._took = (float("-inf"), 0.0)

    @property
    def behind(self) -> float:
        """How long the last writing took, if it was just now."""
        at, seconds = self._took
        return seconds if self._clock() - at < _LATELY_SECONDS else 0.0

    async def turn(self, size: int) -> None:
        """Wait until it may be written."""
        now = self._clock()
        takes = (1 / WRITES_PER_SECOND, size / BYTES_PER_SECOND)
        # Each for itself: a large write among many small ones costs none of their number.
        self._busy_until = [max(until, now - 1.0) + each for until, each in zip(self._busy_until, takes, strict=True)]
        wait = max(0.0, *(until - now for until in self._busy_until))
        if wait:
            await self._sleep(wait)

    @contextmanager
    def writing(self) -> Iterator[None]:
        """All that is written at once: it may have to wait here, or for a server that is slow."""
        began = self._clock()
        yield
        self._took = (self._clock(), self._clock() - began)
