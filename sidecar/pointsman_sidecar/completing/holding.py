"""A stream held back until enough of it is seen: what was sent on cannot be unsaid."""

from collections.abc import Awaitable, Callable
from typing import Generic, TypeVar

from pointsman_sidecar.completing.served import Chunks
from pointsman_sidecar.contract.answers import Gathered
from pointsman_sidecar.contract.decisions import Attempt
from pointsman_sidecar.contract.log_probabilities import without_log_probabilities
from pointsman_sidecar.routing.escalation import Answer, Finding, finding, least_confidence
from pointsman_sidecar.routing.policy import Escalation, WhenStreaming
from pointsman_sidecar.routing.refusals import LONGEST_OPENING

_Chunk = TypeVar("_Chunk")
# Asks a stronger model in place of an attempt in which something is found; says whether it answered.
Stronger = Callable[[Attempt, Finding], Awaitable[bool]]
# Asks the model itself of answers that are in doubt; gives them as they are worth then.
Checked = Callable[[Attempt, tuple[Answer, ...]], Awaitable[tuple[Answer, ...]]]


class SupersededError(Exception):
    """A stronger model has answered instead: nothing of this stream is wanted any more."""


class Held(Generic[_Chunk]):
    """One attempt's stream. `release` is called before the first piece goes on to `sink`.

    Answers in doubt are `checked` first. Where something is found, `stronger` is asked for another answer; it says
    whether it gave one.
    """

    def __init__(
        self,
        *,
        rule: Escalation,
        attempt: Attempt,
        sink: Chunks[_Chunk],
        release: Callable[[], Awaitable[None]],
        checked: Checked,
        stronger: Stronger,
    ) -> None:
        self._rule = rule
        self._attempt = attempt
        self._sink = sink
        self._release = release
        self._checked = checked
        self._stronger = stronger
        self._gathered = Gathered()
        self._kept: list[_Chunk] = []
        self._held = True

    def seen_as(self, raw: bytes) -> bytes:
        """See a piece as the provider sent it, and give it as the app may see it."""
        if self._held:
            self._gathered.feed(raw)
        return without_log_probabilities(raw) if self._attempt.own_logprobs else raw

    async def chunk(self, chunk: _Chunk) -> None:
        """Hold a piece back, or send it on.

        Raises:
            SupersededError: no more of the stream is wanted.
        """
        if not self._held:
            await self._sink.chunk(chunk)
            return
        self._kept.append(chunk)
        if self._is_enough():
            await self._decide()

    async def ended(self) -> None:
        """There is no more.

        Raises:
            SupersededError: nothing of it is wanted.
        """
        if self._held:
            await self._decide()

    def _is_enough(self) -> bool:
        match self._rule.when_streaming:
            case WhenStreaming.FIRST_TOKENS:
                return self._gathered.least_text >= LONGEST_OPENING
            case WhenStreaming.BUFFER:
                return self._gathered.tokens >= self._rule.buffer_tokens
            case _:
                return False

    async def _decide(self) -> None:
        judges = self._rule.confidence_below is not None
        answers = self._gathered.answers(sent=self._attempt.sent, judges=judges)
        answers = await self._checked(self._attempt, answers)
        self._attempt.confidence = least_confidence(answers)
        self._attempt.sent = b""
        found = finding(self._rule, answers)
        if found is not None and await self._stronger(self._attempt, found):
            raise SupersededError
        self._held = False
        kept, self._kept = self._kept, []
        await self._release()
        for chunk in kept:
            await self._sink.chunk(chunk)
