"""`Completions`: serves requests under the policy in force."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Generic, Protocol, TypeVar

from pointsman_api.v1 import completions_pb2, decision_pb2
from pointsman_sidecar.completing.deciding import decide, policy_of
from pointsman_sidecar.completing.failures import no_answer
from pointsman_sidecar.contract.decisions import Attempt, Progress, decision
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.explanations import explanation
from pointsman_sidecar.contract.forms import Form, Operation
from pointsman_sidecar.contract.provider_answers import UnreadableAnswerError
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.providers.clients import ProviderClients
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.plan import Step
from pointsman_sidecar.routing.policy import Model, Provider
from pointsman_sidecar.telemetry.arrivals import Arrival
from pointsman_sidecar.telemetry.observer import Observation, Observer

_Answer = TypeVar("_Answer")
_Chunk = TypeVar("_Chunk")
_Result = TypeVar("_Result")
_Chunk_contra = TypeVar("_Chunk_contra", contravariant=True)
_PATHS = {Operation.CHAT: "/chat/completions", Operation.EMBEDDINGS: "/embeddings"}
# What a stream says before its first token is kept until then: a role, and no more than this of anything else.
_MOST_KEPT = 16


class Sink(Protocol[_Chunk_contra]):
    """Where a stream goes. A method that waits holds the provider's stream back."""

    async def started(self, decision: decision_pb2.Decision) -> None:
        """The model has begun to answer: the decision, without usage and cost."""

    async def chunk(self, chunk: _Chunk_contra) -> None:
        """More of the answer."""

    async def finished(self, decision: decision_pb2.Decision) -> None:
        """The answer is complete: the whole decision."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Caller:
    """What a door knows of a call: how it came in, and how many seconds the caller waits."""

    arrival: Arrival
    patience: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Answered(Generic[_Answer]):
    """A whole answer in the form of its request, and how it was decided."""

    content: _Answer
    decision: decision_pb2.Decision


@dataclass(kw_only=True, slots=True)
class _Serving(Generic[_Answer, _Chunk]):
    """A completion that is being served. `total` is its one timer, entered before the first attempt."""

    form: Form[_Answer, _Chunk]
    features: Features
    progress: Progress
    observation: Observation
    total: asyncio.Timeout


class Completions:
    """Serves requests. One for the sidecar; each request is served by the task that calls."""

    def __init__(
        self,
        *,
        in_force: InForce,
        clients: ProviderClients,
        observer: Observer,
        new_id: Callable[[], str],
        clock: Callable[[], float],
    ) -> None:
        self._in_force = in_force
        self._clients = clients
        self._observer = observer
        self._new_id = new_id
        self._clock = clock

    async def complete(self, form: Form[_Answer, Any], *, caller: Caller) -> Answered[_Answer]:
        """The whole answer.

        Raises:
            CompletionError: there is none; it says why.
        """
        with self._serving(form, caller) as serving:
            async with serving.total:
                content = await self._first_answer(serving, lambda step: self._whole(serving, step))
            return Answered(content=content, decision=decision(serving.progress))

    async def stream(self, form: Form[Any, _Chunk], *, caller: Caller, sink: Sink[_Chunk]) -> None:
        """The answer as it comes, piece by piece, to `sink`.

        Raises:
            CompletionError: there is no answer, or no more of it; it says why.
        """
        with self._serving(form, caller) as serving:
            async with serving.total:
                await self._first_answer(serving, lambda step: self._streamed(serving, step, sink))
                await sink.finished(decision(serving.progress))

    def explain(self, form: Form[Any, Any]) -> completions_pb2.ExplainResponse:
        """What would be done.

        Raises:
            CompletionError: nothing would be; it says why.
        """
        progress, features = decide(form, in_force=self._in_force, new_id=self._new_id)
        return explanation(progress, features)

    def models(self) -> tuple[Model, ...]:
        """The models of the policy in force.

        Raises:
            CompletionError: there is no policy.
        """
        return tuple(policy_of(self._in_force).models.values())

    @property
    def most_request_bytes(self) -> int:
        """How large a request the policy in force allows; without one, none is served."""
        policy = self._in_force.policy
        return 0 if policy is None else policy.max_request_bytes

    @contextmanager
    def _serving(self, form: Form[_Answer, _Chunk], caller: Caller) -> Iterator[_Serving[_Answer, _Chunk]]:
        with self._observer.completion(caller.arrival) as observation:
            progress, features = decide(form, in_force=self._in_force, new_id=self._new_id)
            observation.progress = progress
            patience = progress.policy.timeouts.total
            if caller.patience is not None:
                patience = min(patience, caller.patience)
            serving = _Serving(
                form=form,
                features=features,
                progress=progress,
                observation=observation,
                total=asyncio.timeout(patience),
            )
            try:
                yield serving
            except TimeoutError as error:
                raise CompletionError(
                    Kind.DEADLINE_EXCEEDED,
                    "DEADLINE_EXCEEDED",
                    f"no complete answer within {patience:g} s",
                    decision=decision(progress),
                ) from error

    async def _first_answer(
        self, serving: _Serving[Any, Any], attempt: Callable[[Step], Awaitable[_Result]]
    ) -> _Result:
        failures: list[tuple[Step, ProviderFailure]] = []
        for step in serving.progress.plan.steps:
            try:
                return await attempt(step)
            except ProviderFailure as failure:
                failures.append((step, failure))
                if not failure.may_fall_back:
                    break
        raise no_answer(failures, decision=decision(serving.progress))

    async def _whole(self, serving: _Serving[_Answer, Any], step: Step) -> _Answer:
        with self._attempt(serving, step):
            provider, api_key = self._access(serving, step)
            async with _patience(serving.progress.policy.timeouts.attempt, "no answer"):
                raw = await self._clients.answer(
                    provider,
                    path=_PATHS[serving.form.operation],
                    api_key=api_key,
                    body=self._body(serving, step, stream=False),
                    connect_timeout=serving.progress.policy.timeouts.connect,
                )
            with _readable():
                answer = serving.form.read_answer(raw)
            serving.progress.usage = answer.usage
            serving.progress.answering = step
            return answer.content

    async def _streamed(self, serving: _Serving[Any, _Chunk], step: Step, sink: Sink[_Chunk]) -> None:
        with self._attempt(serving, step) as attempt:
            provider, api_key = self._access(serving, step)
            stream = self._clients.stream(
                provider,
                path=_PATHS[serving.form.operation],
                api_key=api_key,
                body=self._body(serving, step, stream=True),
                connect_timeout=serving.progress.policy.timeouts.connect,
            )
            started = self._clock()
            # The timer is switched off at the first token; from then on only the completion's own runs.
            async with (
                _patience(serving.progress.policy.timeouts.first_token, "no token") as first_token,
                stream as chunks,
            ):

                async def begin() -> None:
                    first_token.reschedule(None)
                    attempt.time_to_first_token = self._clock() - started
                    serving.progress.answering = step
                    await sink.started(decision(serving.progress))

                try:
                    await _relay(chunks, serving, begin=begin, sink=sink)
                except ProviderFailure as failure:
                    if serving.progress.answering is None:
                        raise
                    raise ProviderFailure(Outcome.CUT, str(failure), http_status=failure.http_status) from failure

    def _access(self, serving: _Serving[Any, Any], step: Step) -> tuple[Provider, str]:
        name = step.model.provider
        api_key = self._in_force.access.get(name)
        if api_key is None:
            raise ProviderFailure(Outcome.NO_ACCESS, f"the operator gives no access to provider {name}")
        return serving.progress.policy.providers[name], api_key

    def _body(self, serving: _Serving[Any, Any], step: Step, *, stream: bool) -> bytes:
        sent = serving.form.provider_request(
            serving.features,
            model=step.model,
            policy_cap=serving.progress.policy.max_output_tokens,
            stream=stream,
        )
        serving.progress.changes = sent.changes
        return sent.body

    @contextmanager
    def _attempt(self, serving: _Serving[Any, Any], step: Step) -> Iterator[Attempt]:
        """Keep the record of one attempt, whatever comes of it."""
        attempt = Attempt(step=step)
        serving.progress.attempts.append(attempt)
        # A model that broke off may have reported usage, which is not the next one's.
        serving.progress.usage = None
        started = self._clock()
        with serving.observation.attempt(
            attempt,
            operation=serving.form.operation,
            base_url=serving.progress.policy.providers[step.model.provider].base_url,
        ):
            try:
                yield attempt
                attempt.outcome = Outcome.SUCCEEDED
            except ProviderFailure as failure:
                attempt.outcome = failure.outcome
                attempt.message = str(failure)
                attempt.http_status = failure.http_status
                raise
            except asyncio.CancelledError:
                expired = serving.total.expired()
                attempt.outcome = Outcome.TIMED_OUT if expired else Outcome.CANCELLED
                attempt.message = "the completion's time was used up" if expired else "the caller went away"
                raise
            finally:
                attempt.latency = self._clock() - started


async def _relay(
    chunks: AsyncIterator[bytes],
    serving: _Serving[Any, _Chunk],
    *,
    begin: Callable[[], Awaitable[None]],
    sink: Sink[_Chunk],
) -> None:
    """Send the provider's chunks on; `begin` comes before the first that holds something of the answer.

    Raises:
        ProviderFailure: the stream ended, and some answer of it had not.
    """
    progress = serving.progress
    kept: list[_Chunk] = []
    seen: set[int] = set()
    ended: set[int] = set()
    async for raw in chunks:
        with _readable():
            chunk = serving.form.read_chunk(raw)
        progress.usage = chunk.usage or progress.usage
        if progress.answering is None:
            if not chunk.begins:
                if chunk.content is not None and len(kept) < _MOST_KEPT:
                    kept.append(chunk.content)
                continue
            await begin()
            for early in kept:
                await sink.chunk(early)
        seen |= chunk.seen
        ended |= chunk.ended
        if chunk.content is not None:
            await sink.chunk(chunk.content)
    if not seen or seen != ended:
        raise ProviderFailure(Outcome.CONNECTION_FAILED, "the stream ended before the answer did")


@asynccontextmanager
async def _patience(seconds: float, what: str) -> AsyncIterator[asyncio.Timeout]:
    """A timer whose end is a failure of the provider: `what` did not come."""
    try:
        async with asyncio.timeout(seconds) as timer:
            yield timer
    except TimeoutError as error:
        raise ProviderFailure(Outcome.TIMED_OUT, f"{what} within {seconds:g} s") from error


class _readable:  # noqa: N801 - used as a function is; a generator would cost as much as the reading of a chunk
    """What is read within is the provider's answer, and its failure where it cannot be read."""

    def __enter__(self) -> None:
        """Begin to read."""

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Say whose failure it is."""
        if isinstance(error, UnreadableAnswerError):
            raise ProviderFailure(Outcome.PROVIDER_FAILED, f"its answer cannot be read: {error}") from error
