"""One call to a model: sent, timed, read, and put on record whatever comes of it."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from typing import Any, TypeVar

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.completing.holding import Checked, Held, Stronger, SupersededError
from pointsman_sidecar.completing.paying import Paying
from pointsman_sidecar.completing.racing import Gate
from pointsman_sidecar.completing.relaying import readable, relay, stream_patience
from pointsman_sidecar.completing.served import Serving, Sink
from pointsman_sidecar.contract.decisions import Attempt, decision
from pointsman_sidecar.contract.forms import Operation
from pointsman_sidecar.contract.log_probabilities import with_log_probabilities, without_log_probabilities
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.providers.clients import ProviderClients
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure
from pointsman_sidecar.resilience.breaker import Entry
from pointsman_sidecar.resilience.health import Health
from pointsman_sidecar.routing.capability import most_usage
from pointsman_sidecar.routing.escalation import concerned
from pointsman_sidecar.routing.plan import Step
from pointsman_sidecar.routing.policy import Feature, Model, Provider, WhenStreaming
from pointsman_sidecar.telemetry.observer import SeenAttempt

_Answer = TypeVar("_Answer")
_Chunk = TypeVar("_Chunk")
_PATHS = {Operation.CHAT: "/chat/completions", Operation.EMBEDDINGS: "/embeddings"}


class Attempts:
    """Makes calls."""

    def __init__(
        self,
        *,
        in_force: InForce,
        clients: ProviderClients,
        health: Health,
        paying: Paying,
        clock: Callable[[], float],
    ) -> None:
        self._in_force = in_force
        self._clients = clients
        self._health = health
        self._paying = paying
        self._clock = clock

    async def whole(self, serving: Serving[_Answer, Any], attempt: Attempt, gate: Gate) -> _Answer:
        """The whole answer.

        Raises:
            ProviderFailure: there is none.
            ShortError: no budget is left for it.
        """
        payment = await self._paying.reserve(serving, attempt)
        try:
            return await self._whole(serving, attempt, gate)
        finally:
            if payment is not None:
                self._paying.settle(payment, attempt)

    async def _whole(self, serving: Serving[_Answer, Any], attempt: Attempt, gate: Gate) -> _Answer:
        timeouts = serving.progress.policy.timeouts
        with self._recorded(serving, attempt, gate, streams=False):
            provider, api_key = self._access(serving, attempt.step)
            async with _patience(timeouts.attempt, "no answer"):
                raw = await self._clients.answer(
                    provider,
                    path=_PATHS[serving.form.operation],
                    api_key=api_key,
                    body=_body(serving, attempt, stream=False),
                    connect_timeout=timeouts.connect,
                )
            with readable():
                shown = without_log_probabilities(raw) if attempt.own_logprobs else raw
                answer = serving.form.read_answer(shown)
            if attempt.sent:
                attempt.answer = raw
            attempt.usage = answer.usage
            return answer.content

    async def streamed(
        self,
        serving: Serving[Any, _Chunk],
        attempt: Attempt,
        gate: Gate,
        *,
        sink: Sink[_Chunk],
        checked: Checked,
        stronger: Stronger,
    ) -> None:
        """The answer to `sink`, as it comes, or a `stronger` model's where something is found in it.

        Raises:
            ProviderFailure: there is none, or, with the outcome CUT, no more of it.
            ShortError: no budget is left for it.
        """
        payment = await self._paying.reserve(serving, attempt)
        try:
            with suppress(SupersededError):
                await self._streamed(serving, attempt, gate, sink=sink, checked=checked, stronger=stronger)
        finally:
            if payment is not None:
                self._paying.settle(payment, attempt)

    async def _streamed(
        self,
        serving: Serving[Any, _Chunk],
        attempt: Attempt,
        gate: Gate,
        *,
        sink: Sink[_Chunk],
        checked: Checked,
        stronger: Stronger,
    ) -> None:
        timeouts = serving.progress.policy.timeouts
        with self._recorded(serving, attempt, gate, streams=True):
            provider, api_key = self._access(serving, attempt.step)
            stream = self._clients.stream(
                provider,
                path=_PATHS[serving.form.operation],
                api_key=api_key,
                body=_body(serving, attempt, stream=True),
                connect_timeout=timeouts.connect,
            )
            started = self._clock()
            released = False

            async def release() -> None:
                nonlocal released
                released = True
                if serving.escalation is not None:
                    # It has begun to answer: from here on it has as long as any other.
                    serving.escalation.reschedule(None)
                serving.progress.took(attempt)
                await sink.started(decision(serving.progress))

            held = _held(serving, attempt, sink=sink, release=release, checked=checked, stronger=stronger)

            async def begin() -> None:
                gate.claim()
                timer.begun()
                attempt.time_to_first_token = self._clock() - started
                if held is None:
                    await release()

            try:
                async with stream_patience(timeouts) as timer, stream as chunks:
                    await relay(
                        chunks,
                        form=serving.form,
                        progress=serving.progress,
                        attempt=attempt,
                        timer=timer,
                        begin=begin,
                        sink=sink if held is None else held,
                        seen_as=None if held is None else held.seen_as,
                    )
                    if held is not None:
                        await held.ended()
            except ProviderFailure as failure:
                if not released:
                    # Nothing of it was sent on.
                    raise
                raise ProviderFailure(Outcome.CUT, str(failure), http_status=failure.http_status) from failure

    def _access(self, serving: Serving[Any, Any], step: Step) -> tuple[Provider, str]:
        name = step.model.provider
        api_key = self._in_force.access.get(name)
        if api_key is None:
            raise ProviderFailure(Outcome.NO_ACCESS, f"the operator gives no access to provider {name}")
        return serving.progress.policy.providers[name], api_key

    @contextmanager
    def _recorded(self, serving: Serving[Any, Any], attempt: Attempt, gate: Gate, *, streams: bool) -> Iterator[None]:
        progress, model = serving.progress, attempt.step.model
        progress.attempts.append(attempt)
        started = attempt.began = self._clock()
        entry = self._health.enter(progress.policy, model, started)
        with serving.observation.attempt(
            attempt,
            operation=serving.form.operation,
            base_url=progress.policy.providers[model.provider].base_url,
        ) as seen:
            if entry is not None and entry.trial:
                seen.circuit(self._health.state(progress.policy, model, started))
            try:
                yield
                attempt.outcome = Outcome.SUCCEEDED
            except ProviderFailure as failure:
                attempt.outcome = failure.outcome
                attempt.message = str(failure)
                attempt.http_status = failure.http_status
                if not failure.sent:
                    attempt.most = None
                raise
            except asyncio.CancelledError:
                attempt.outcome, attempt.message = _given_up(serving, gate)
                raise
            finally:
                now = self._clock()
                # Of one that was not used, it is known already: what came after it was another's.
                attempt.latency = attempt.latency or now - started
                self._learn(serving, attempt, entry, seen, now, streams=streams)

    def _learn(
        self,
        serving: Serving[Any, Any],
        attempt: Attempt,
        entry: Entry | None,
        seen: SeenAttempt,
        now: float,
        *,
        streams: bool,
    ) -> None:
        policy, model = serving.progress.policy, attempt.step.model
        if entry is not None:
            opened = self._health.leave(policy, model, entry, now, _blamed(serving, attempt))
            if opened or entry.trial:
                seen.circuit(self._health.state(policy, model, now), opened=opened)
        if policy.hedging is None:
            return
        record = self._health.of(policy, model)
        # One that was overtaken would have taken longer still: without it, the slow ones would be forgotten.
        if streams and (attempt.time_to_first_token is not None or attempt.outcome is Outcome.OVERTAKEN):
            record.first_token.add(now, attempt.time_to_first_token or attempt.latency)
        elif not streams and attempt.outcome in {Outcome.SUCCEEDED, Outcome.OVERTAKEN}:
            record.whole.add(now, attempt.latency)


def _given_up(serving: Serving[Any, Any], gate: Gate) -> tuple[Outcome, str]:
    if gate.overtaken:
        return Outcome.OVERTAKEN, "the call beside it answered first"
    if serving.total.expired() or (serving.escalation is not None and serving.escalation.expired()):
        return Outcome.TIMED_OUT, "the completion's time was used up"
    return Outcome.CANCELLED, "the caller went away"


def _blamed(serving: Serving[Any, Any], attempt: Attempt) -> Outcome | None:
    """The outcome as far as it is the model's doing: a caller in a hurry, or a long answer, is none of it."""
    if serving.total.expired() and (serving.hurried or attempt.time_to_first_token is not None):
        return None
    return attempt.outcome


def _body(serving: Serving[Any, Any], attempt: Attempt, *, stream: bool) -> bytes:
    model, cap = attempt.step.model, attempt.cap
    sent = serving.form.provider_request(serving.features, model=model, policy_cap=cap, stream=stream)
    if _is_looked_at(serving, model, stream=stream):
        attempt.own_logprobs = _judged_by_logprobs(serving, model)
        sent = with_log_probabilities(sent) if attempt.own_logprobs else sent
        attempt.sent = sent.body
    attempt.changes = sent.changes
    if attempt.capped_by:
        attempt.changes = tuple(_said_by(each, attempt) for each in sent.changes)
    attempt.most = most_usage(model, serving.features, policy_cap=cap)
    return sent.body


def _held(
    serving: Serving[Any, _Chunk],
    attempt: Attempt,
    *,
    sink: Sink[_Chunk],
    release: Callable[[], Awaitable[None]],
    checked: Checked,
    stronger: Stronger,
) -> Held[_Chunk] | None:
    """What holds the stream back; None where it goes on as it comes."""
    rule = serving.progress.policy.escalation
    if rule is None or not attempt.sent:
        return None
    return Held(rule=rule, attempt=attempt, sink=sink, release=release, checked=checked, stronger=stronger)


def _is_looked_at(serving: Serving[Any, Any], model: Model, *, stream: bool) -> bool:
    progress = serving.progress
    rule = concerned(progress.policy, serving.features, progress.plan, model)
    return rule is not None and (not stream or rule.when_streaming is not WhenStreaming.OFF)


def _judged_by_logprobs(serving: Serving[Any, Any], model: Model) -> bool:
    """Whether log-probabilities are to be asked for, which the app does not ask for."""
    rule = serving.progress.policy.escalation
    judges = rule is not None and rule.confidence_below is not None
    return judges and Feature.LOGPROBS in model.features and Feature.LOGPROBS not in serving.features.needs


def _said_by(change: decision_pb2.Change, attempt: Attempt) -> decision_pb2.Change:
    """The change, for the reason that it has where budgets cap the answer."""
    if change.sent != str(attempt.cap):
        return change
    why = f"{attempt.capped_by} is so far spent that an answer has at most {attempt.cap:,} tokens"
    return decision_pb2.Change(field=change.field, requested=change.requested, sent=change.sent, message=why)


@asynccontextmanager
async def _patience(seconds: float, what: str) -> AsyncIterator[None]:
    """A timer whose end is a failure of the provider: `what` did not come."""
    try:
        async with asyncio.timeout(seconds):
            yield
    except TimeoutError as error:
        raise ProviderFailure(Outcome.TIMED_OUT, f"{what} within {seconds:g} s") from error
