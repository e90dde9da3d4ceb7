"""Requests are read where it holds up nobody: small ones at once, large ones beside the event loop."""

import asyncio
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

_Read = TypeVar("_Read")
# What is read faster than it is handed to a thread and back, whatever it holds.
_AT_ONCE = 16 * 1024
# They take turns with the event loop, and the more there are, the longer it waits for its own.
_THREADS = 2
# How long a thread keeps the event loop waiting whenever the loop has something to do: one that reads, or the
# one that translates spans. Python's own 5 ms would add up: one completion has a dozen such times.
_TURN = 0.0005


def take_short_turns() -> None:
    """Have the threads of this process take turns often. For those who start one that serves."""
    sys.setswitchinterval(_TURN)


class Reading:
    """Threads for what is large. Close it when nobody serves any more."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="reading")

    async def read(self, make: Callable[[], _Read], *, size: int) -> _Read:
        """What `make` reads from so many bytes."""
        if size <= _AT_ONCE:
            return make()
        return await asyncio.get_running_loop().run_in_executor(self._threads, make)

    def close(self) -> None:
        """Start nothing more."""
        self._threads.shutdown(wait=False, cancel_futures=True)
