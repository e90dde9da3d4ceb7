"""How many completions are served at once: the rest wait for their turn, and who cannot wait is refused at once."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from pointsman_sidecar.completing.served import Serving
from pointsman_sidecar.contract.decisions import decision
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.resilience.line import Line
from pointsman_sidecar.routing.policy import Concurrency

# The wait that is named to who is refused, in seconds.
_SHORTEST, _LONGEST = 0.1, 30.0
# How much the latest completion says of how long one takes.
_WEIGHT = 0.1


class Limiter:
    """The turns of one sidecar. A completion without a limit takes one too, so that a limit which comes later holds."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._line: Line[asyncio.Future[None]] = Line()
        self._rule: Concurrency | None = None
        self._running = 0
        self._takes = 0.0

    @asynccontextmanager
    async def turn(self, serving: Serving[Any, Any]) -> AsyncIterator[None]:
        """Serve within the block.

        Raises:
            CompletionError: more already wait than may, and none of them is less urgent.
        """
        await self._take(serving)
        began = self._clock()
        try:
            yield
        finally:
            self._give_back()
            took = self._clock() - began
            self._takes = took if not self._takes else self._takes + _WEIGHT * (took - self._takes)

    async def _take(self, serving: Serving[Any, Any]) -> None:
        self._rule = rule = serving.progress.policy.concurrency
        if rule is None or (self._running < rule.limit and not self._line):
            self._running += 1
            return
        came = self._clock()
        turn = asyncio.get_running_loop().create_future()
        urgency = serving.features.urgency
        shed = self._line.join(turn, urgency, most=rule.queue)
        if shed is not None and not shed.done():
            shed.set_exception(asyncio.QueueFull)
        serving.observation.queue(len(self._line))
        try:
            await turn
        except asyncio.QueueFull:
            serving.observation.shed(urgency)
            raise CompletionError(
                Kind.RESOURCE_EXHAUSTED,
                "OVERLOADED",
                f"this sidecar serves {rule.limit} completions at once and {rule.queue} more wait: try again later",
                retry_after=self._wait(rule),
                decision=decision(serving.progress),
            ) from None
        except asyncio.CancelledError:
            self._line.leave(turn)
            if turn.done() and not turn.cancelled() and turn.exception() is None:
                # It came in the same moment, and goes to the next.
                self._give_back()
            raise
        finally:
            serving.progress.queued = self._clock() - came
            serving.observation.queue(len(self._line))

    def _give_back(self) -> None:
        self._running -= 1
        while self._rule is None or self._running < self._rule.limit:
            turn = self._line.next()
            if turn is None:
                return
            if not turn.done():
                self._running += 1
                turn.set_result(None)

    def _wait(self, rule: Concurrency) -> float:
        """How long until there may be room: the time that those before one take, by what completions took of late."""
        return min(_LONGEST, max(_SHORTEST, self._takes * (len(self._line) + 1) / rule.limit))
