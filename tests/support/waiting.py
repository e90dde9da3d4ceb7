"""Waiting for a condition, with a deadline: what tests do instead of sleeping."""

import asyncio
from collections.abc import Callable

_BETWEEN_LOOKS = 0.005


async def until(condition: Callable[[], bool], *, within: float = 5.0) -> None:
    """Return as soon as the condition holds; TimeoutError if it does not within so many seconds."""
    async with asyncio.timeout(within):
        while not condition():  # noqa: ASYNC110 - conditions here are about others' state, which tells nobody of its changes
            await asyncio.sleep(_BETWEEN_LOOKS)
