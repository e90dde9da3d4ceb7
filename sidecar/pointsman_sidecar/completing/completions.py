"""`Completions`: serves requests under the policy in force."""

import asyncio
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any, TypeVar

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.completing.attempts import Attempts
from pointsman_sidecar.completing.deciding import decide, policy_of
from pointsman_sidecar.completing.escalating import Escalating
from pointsman_sidecar.completing.failures import malformed, unplannable, untold
from pointsman_sidecar.completing.feedback import Hearing, Listener
from pointsman_sidecar.completing.limiting import Limiter
from pointsman_sidecar.completing.paying import Paying, UntoldError
from pointsman_sidecar.completing.racing import Gate
from pointsman_sidecar.completing.self_checking import SelfChecking
from pointsman_sidecar.completing.served import Answered, Caller, Headers, Serving, Sink
from pointsman_sidecar.completing.trying import Trying
from pointsman_sidecar.completing.tuned import Tuned
from pointsman_sidecar.contract.decisions import Attempt, Progress, decision
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.explanations import explanation
from pointsman_sidecar.contract.feedbacks import read_feedback, taken
from pointsman_sidecar.contract.forms import Form
from pointsman_sidecar.contract.hints import Hints, check_hints
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.contract.usages import standing
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.providers.clients import ProviderClients
from pointsman_sidecar.resilience.health import Health
from pointsman_sidecar.routing.escalation import Finding
from pointsman_sidecar.routing.facts import Surroundings
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.plan import Ejected, PlanError
from pointsman_sidecar.routing.policy import Model, Policy
from pointsman_sidecar.spending.purse import Purse
from pointsman_sidecar.telemetry.observer import Observer
from pointsman_sidecar.tuning.counting import Counting

__all__ = ["Answered", "Caller", "Completions", "Sink"]

_Answer = TypeVar("_Answer")
_Chunk = TypeVar("_Chunk")


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
        random: Callable[[], float],
        now: Callable[[], float],
        counting: Counting,
        purse: Purse | None = None,
    ) -> None:
        self._now = now
        self._in_force = in_force
        self._observer = observer
        self._new_id = new_id
        self._clock = clock
        self._health = Health()
        self._tuned = Tuned(in_force, counting)
        self._hearing = Hearing(counting=counting, observer=observer, clock=clock)
        self._limiter = Limiter(clock=clock)
        self._paying = Paying(purse, refused=observer.short_of_quota)
        self._attempts = Attempts(
            in_force=in_force, clients=clients, health=self._health, paying=self._paying, clock=clock
        )
        self._trying = Trying(health=self._health, paying=self._paying, clock=clock, random=random)
        self._escalating = Escalating(
            trying=self._trying,
            checking=SelfChecking(self._attempts),
            health=self._health,
            paying=self._paying,
            calibrated=self._tuned.calibrated,
            clock=clock,
        )

    async def complete(self, form: Form[_Answer, Any], *, caller: Caller) -> Answered[_Answer]:
        """The whole answer.

        Raises:
            CompletionError: there is none; it says why.
        """
        with self._serving(form, caller) as serving:
            async with serving.total, self._limiter.turn(serving):
                await self._begin(serving)

                def call(attempt: Attempt, gate: Gate) -> Coroutine[Any, Any, _Answer]:
                    return self._attempts.whole(serving, attempt, gate)

                content, attempt = await self._trying.answer(serving, call, streams=False)
                content = await self._escalating.whole(serving, content, attempt, call)
            return Answered(content=content, decision=decision(serving.progress))

    async def stream(self, form: Form[Any, _Chunk], *, caller: Caller, sink: Sink[_Chunk]) -> None:
        """The answer as it comes, piece by piece, to `sink`.

        Raises:
            CompletionError: there is no answer, or no more of it; it says why.
        """
        with self._serving(form, caller) as serving:
            async with serving.total, self._limiter.turn(serving):
                await self._begin(serving)

                checked = partial(self._escalating.checked, serving)

                async def stronger(attempt: Attempt, found: Finding) -> bool:
                    return await self._escalating.streamed(serving, attempt, found, call)

                def call(attempt: Attempt, gate: Gate) -> Coroutine[Any, Any, None]:
                    return self._attempts.streamed(
                        serving, attempt, gate, sink=sink, checked=checked, stronger=stronger
                    )

                await self._trying.answer(serving, call, streams=True)
                # Whoever has read the end may label it at once.
                self._gave(serving)
                await sink.finished(decision(serving.progress))

    def explain(self, form: Form[Any, Any], *, headers: Headers) -> completions_pb2.ExplainResponse:
        """What would be done.

        Raises:
            CompletionError: nothing would be; it says why.
        """
        progress, features = self._decided(form, headers, explains=True)
        try:
            self._paying.degrade(progress, features)
        except PlanError as error:
            raise unplannable(error) from error
        return explanation(progress, features)

    async def usage(self, hints: Hints) -> completions_pb2.GetUsageResponse:
        """How the budgets stand; those that each user has, for the user that is named.

        Raises:
            CompletionError: that is not known, or the user's name is none.
        """
        try:
            check_hints(hints)
            return standing(await self._paying.standings(hints.user))
        except InvalidRequestError as error:
            raise malformed(error) from error
        except UntoldError as error:
            raise untold() from error

    def feedback(self, request: completions_pb2.GiveFeedbackRequest) -> completions_pb2.GiveFeedbackResponse:
        """Label an answer that was given.

        Raises:
            CompletionError: it is no label, or there is no such answer.
        """
        try:
            feedback = read_feedback(request)
        except InvalidRequestError as error:
            raise malformed(error) from error
        self._hearing.hear(request.decision_id, feedback)
        return taken(feedback)

    def listen(self, listener: Listener) -> None:
        """Have `listener` told of all feedback that is new."""
        self._hearing.listen(listener)

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

    async def _begin(self, serving: Serving[Any, Any]) -> None:
        if not self._in_force.access:
            # No call will be made, so there is nothing to pay.
            return
        try:
            await self._paying.begin(serving)
        except PlanError as error:
            raise unplannable(error) from error
        except UntoldError as error:
            raise untold(decision(serving.progress)) from error

    @contextmanager
    def _serving(self, form: Form[_Answer, _Chunk], caller: Caller) -> Iterator[Serving[_Answer, _Chunk]]:
        with self._observer.completion(caller.arrival) as observation:
            progress, features = self._decided(form, caller.headers)
            observation.progress = progress
            observation.planned()
            observation.complexity()
            self._tuned.learn(progress)
            features.content.forget()
            self._health.request(progress.policy, self._clock())
            patience = progress.policy.timeouts.total
            hurried = caller.patience is not None and caller.patience < patience
            if caller.patience is not None and hurried:
                patience = caller.patience
            serving = Serving(
                form=form,
                features=features,
                progress=progress,
                observation=observation,
                total=asyncio.timeout(patience),
                hurried=hurried,
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
            finally:
                self._tuned.ended(progress, out_of_time=hurried and serving.total.expired())
                # A stream that broke off, or was broken off, was seen as well.
                self._gave(serving)

    def _gave(self, serving: Serving[Any, Any]) -> None:
        self._hearing.gave(serving.progress, serving.features.session)

    def _decided(self, form: Form[Any, Any], headers: Headers, *, explains: bool = False) -> tuple[Progress, Features]:
        return decide(
            form,
            in_force=self._in_force,
            new_id=self._new_id,
            ejected=self._ejected,
            surroundings=Surroundings(now=self._now(), headers=headers),
            paces=self._paces,
            hindrance=self._paying.limit_hindrance,
            tuning=self._tuned.by,
            negative=self._hearing.negative,
            explains=explains,
        )

    def _paces(self, policy: Policy) -> Mapping[str, float]:
        return self._health.paces(policy, self._clock())

    def _ejected(self, policy: Policy) -> Mapping[str, Ejected]:
        return self._health.ejected(policy, self._clock())
