"""Tasks that outlive what started them."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from support.waiting import until

# The test's own servers: one waits on each connection that is kept open.
_NOT_OURS = frozenset({"RequestHandler.start"})


@asynccontextmanager
async def no_task_left(*, within: float = 3.0) -> AsyncIterator[None]:
    """Fail unless every task that was started within the block ends soon after it.

    Tasks are told apart by what they run: gRPC's server replaces the one that waits for the next call at each call.
    """
    before = _running()
    yield
    try:
        await until(lambda: not _running() - before, within=within)
    except TimeoutError:
        raise AssertionError(f"tasks that nobody ended: {_running() - before}") from None


def _running() -> Counter[str]:
    names = (getattr(task.get_coro(), "__qualname__", "") for task in asyncio.all_tasks())
    return Counter(name for name in names if name not in _NOT_OURS)
