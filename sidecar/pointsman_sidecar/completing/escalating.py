"""The first answer looked at before it is used, and a stronger model asked where something is wrong with it: once."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeVar

from pointsman_sidecar.completing.paying import Paying
from pointsman_sidecar.completing.self_checking import SelfChecking
from pointsman_sidecar.completing.served import Serving
from pointsman_sidecar.completing.trying import Call, Trying
from pointsman_sidecar.contract.answers import looked_at
from pointsman_sidecar.contract.decisions import Attempt, Escalated
from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.resilience.health import Health
from pointsman_sidecar.routing.escalation import Answer, Finding, concerned, escalated, finding, least_confidence
from pointsman_sidecar.routing.plan import Step
from pointsman_sidecar.routing.policy import Escalation, Policy

_Result = TypeVar("_Result")


class Escalating:
    """Looks at answers."""

    def __init__(
        self,
        *,
        trying: Trying,
        checking: SelfChecking,
        health: Health,
        paying: Paying,
        calibrated: Callable[[Policy, str, float], float],
        clock: Callable[[], float],
    ) -> None:
        self._calibrated = calibrated
        self._trying = trying
        self._checking = checking
        self._health = health
        self._paying = paying
        self._clock = clock

    async def whole(self, serving: Serving[Any, Any], answer: _Result, first: Attempt, call: Call[_Result]) -> _Result:
        """The answer to use: the first, or the stronger model's. Where that gives none, the first is used after all."""
        progress = serving.progress
        raw, first.answer = first.answer, b""
        rule = concerned(progress.policy, serving.features, progress.plan, first.step.model)
        if rule is None:
            first.sent = b""
            return answer
        answers = looked_at(raw, sent=first.sent, judges=rule.confidence_below is not None)
        answers = await self.checked(serving, first, answers)
        first.sent = b""
        first.confidence = least_confidence(answers)
        found = finding(rule, answers)
        if found is None:
            return answer
        step = self._step(serving, rule, found, first)
        if isinstance(step, str):
            self._kept(serving, rule, found, first, why=step, result="suppressed")
            return answer
        better = await self._better(serving, rule, found, step, first, call, streams=False)
        if better is None:
            return answer
        content, second = better
        second.sent = second.answer = b""
        return content

    async def checked(
        self, serving: Serving[Any, Any], first: Attempt, answers: tuple[Answer, ...]
    ) -> tuple[Answer, ...]:
        """The answers with what their confidence means, and what they are worth once the model was asked of them.

        The model is asked where the policy says so.
        """
        policy = serving.progress.policy
        if policy.escalation is None:
            return answers
        first.judged = least_confidence(answers)
        answers = tuple(self._meant(policy, first.step.model.name, each) for each in answers)
        return await self._checking.checked(serving, policy.escalation, first, answers)

    def _meant(self, policy: Policy, model: str, answer: Answer) -> Answer:
        if answer.confidence is None:
            return answer
        return replace(answer, confidence=self._calibrated(policy, model, answer.confidence))

    async def streamed(self, serving: Serving[Any, Any], first: Attempt, found: Finding, call: Call[None]) -> bool:
        """Stream the stronger model's answer in place of one that is held back, and say whether there was one.

        Raises:
            CompletionError: it stopped in the middle.
        """
        rule = serving.progress.policy.escalation
        if rule is None:
            return False
        step = self._step(serving, rule, found, first)
        if isinstance(step, str):
            self._kept(serving, rule, found, first, why=step, result="suppressed")
            return False
        return await self._better(serving, rule, found, step, first, call, streams=True) is not None

    async def _better(
        self,
        serving: Serving[Any, Any],
        rule: Escalation,
        found: Finding,
        step: Step,
        first: Attempt,
        call: Call[_Result],
        *,
        streams: bool,
    ) -> tuple[_Result, Attempt] | None:
        """The stronger model's answer. What the decision says of it is said before it, and taken back if it fails."""
        progress = serving.progress
        quota, outcome = progress.quota, first.outcome
        first.outcome, first.unused = Outcome.SUCCEEDED, found.why
        first.latency = first.latency or self._clock() - first.began
        progress.escalated = Escalated(cause=found.reason, model=rule.model, message=step.message, done=True)
        better = await self._trying.stronger(serving, step, call, streams=streams)
        if isinstance(better, str):
            progress.quota = quota
            first.outcome, first.unused = outcome, ""
            if streams:
                # It goes on.
                first.latency = 0.0
            else:
                progress.took(first)
            self._kept(serving, rule, found, first, why=better, result="failed")
            return None
        progress.took(better[1])
        serving.observation.escalation(found.reason, result="answered")
        return better

    def _step(self, serving: Serving[Any, Any], rule: Escalation, found: Finding, first: Attempt) -> Step | str:
        """The call to make, or why it is not made."""
        policy = serving.progress.policy
        step = escalated(policy, serving.features, rule, found, first=first.step.model)
        if isinstance(step, str):
            return step
        if not self._health.admits(policy, step.model, self._clock()):
            return f"the circuit of {step.model.name} is open"
        return self._paying.hindrance(serving, first.step.model, step.model) or step

    def _kept(
        self,
        serving: Serving[Any, Any],
        rule: Escalation,
        found: Finding,
        first: Attempt,
        *,
        why: str,
        result: str,
    ) -> None:
        serving.progress.escalated = Escalated(
            cause=found.reason,
            model=rule.model,
            message=f"{first.step.model.name} answered, but {found.why}; its answer is used all the same: {why}",
        )
        serving.observation.escalation(found.reason, result=result)
