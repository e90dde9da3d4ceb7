"""A provider's stream, sent on piece by piece, and how long one waits for the next."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from typing import TypeVar

from pointsman_sidecar.completing.served import Chunks
from pointsman_sidecar.contract.decisions import Attempt, Progress
from pointsman_sidecar.contract.forms import Form
from pointsman_sidecar.contract.provider_answers import UnreadableAnswerError
from pointsman_sidecar.providers.failures import unreadable
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure
from pointsman_sidecar.routing.policy import Timeouts

_Chunk = TypeVar("_Chunk")
# What a stream says before its first token is kept until then: a role, and no more than this of anything else.
_MOST_KEPT = 16


class StreamTimer:
    """The time that a provider takes over its stream: to the first token, then from each piece to the next.

    Looked at now and then instead of being set anew for every piece, which would cost more than the rest of it.
    `waiting_since` is the moment on the event loop's clock from which the provider is to send the next piece; None
    while it is the caller who takes time, which is not the provider's.
    """

    def __init__(self, timer: asyncio.Timeout, timeouts: Timeouts) -> None:
        self._timer = timer
        self._between = timeouts.between_tokens
        self._loop = asyncio.get_running_loop()
        self.waiting_since: float | None = None
        self._look: asyncio.TimerHandle | None = None
        self.why = f"no token within {timeouts.first_token:g} s"

    def begun(self) -> None:
        """The first token is there."""
        self._timer.reschedule(None)
        if self._between is not None:
            self.why = f"nothing more within {self._between:g} s"
            self._look = self._loop.call_later(self._between, self._looked)

    def stop(self) -> None:
        """Look no more."""
        if self._look is not None:
            self._look.cancel()

    def _looked(self) -> None:
        between = self._between or 0.0
        left = between
        if self.waiting_since is not None:
            left = self.waiting_since + between - self._loop.time()
        if left > 0:
            self._look = self._loop.call_later(left, self._looked)
        else:
            self._timer.reschedule(self._loop.time())


@asynccontextmanager
async def stream_patience(timeouts: Timeouts) -> AsyncIterator[StreamTimer]:
    """A timer whose end is a failure of the provider."""
    why = ""
    try:
        async with asyncio.timeout(timeouts.first_token) as timer:
            stream = StreamTimer(timer, timeouts)
            try:
                yield stream
            finally:
                stream.stop()
                why = stream.why
    except TimeoutError as error:
        raise ProviderFailure(Outcome.TIMED_OUT, why) from error


@contextmanager
def readable() -> Iterator[None]:
    """What is read within is the provider's answer, and its failure where it cannot be read."""
    try:
        yield
    except UnreadableAnswerError as error:
        raise unreadable(f"its answer cannot be read: {error}") from error


async def relay(
    chunks: AsyncIterator[bytes],
    *,
    form: Form[object, _Chunk],
    progress: Progress,
    attempt: Attempt,
    timer: StreamTimer,
    begin: Callable[[], Awaitable[None]],
    sink: Chunks[_Chunk],
    seen_as: Callable[[bytes], bytes] | None = None,
) -> None:
    """Send the provider's chunks on; `begin` comes before the first that holds something of the answer.

    Each is read as `seen_as` gives it.

    Raises:
        ProviderFailure: the stream ended, and some answer of it had not.
    """
    kept: list[_Chunk] = []
    begun = False
    seen: set[int] = set()
    ended: set[int] = set()
    now = asyncio.get_running_loop().time
    with readable():
        async for raw in chunks:
            timer.waiting_since = None
            chunk = form.read_chunk(raw if seen_as is None else seen_as(raw))
            if chunk.usage is not None:
                attempt.usage = chunk.usage
                if begun:
                    progress.usage = chunk.usage
            if not begun:
                if not chunk.begins:
                    if chunk.content is not None and len(kept) < _MOST_KEPT:
                        kept.append(chunk.content)
                    continue
                begun = True
                await begin()
                for early in kept:
                    await sink.chunk(early)
            seen |= chunk.seen
            ended |= chunk.ended
            if chunk.content is not None:
                await sink.chunk(chunk.content)
            timer.waiting_since = now()
    if not seen or seen != ended:
        raise ProviderFailure(Outcome.CONNECTION_FAILED, "the stream ended before the answer did")
