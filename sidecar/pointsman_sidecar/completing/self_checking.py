"""A model asked whether its own answer is right, where the judge is in doubt: one short call more."""

import asyncio
from dataclasses import replace
from typing import Any

import msgspec

from pointsman_sidecar.completing.attempts import Attempts
from pointsman_sidecar.completing.paying import ShortError
from pointsman_sidecar.completing.racing import ALONE
from pointsman_sidecar.completing.served import Serving
from pointsman_sidecar.confidence.self_checks import agreed
from pointsman_sidecar.contract.decisions import Attempt
from pointsman_sidecar.contract.json import NotAnObjectError
from pointsman_sidecar.contract.self_checks import MOST_TOKENS, QUESTION, SelfCheck
from pointsman_sidecar.providers.outcomes import ProviderFailure
from pointsman_sidecar.routing.capability import incapability
from pointsman_sidecar.routing.escalation import Answer, doubtful
from pointsman_sidecar.routing.estimates import PER_MESSAGE, text_tokens
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Escalation, Feature, Model

# Of the time that is left, what the check is given at most: a stronger model may have to answer after it.
_SHARE_OF_TIME = 0.5


class SelfChecking:
    """Asks."""

    def __init__(self, attempts: Attempts) -> None:
        self._attempts = attempts

    async def checked(
        self, serving: Serving[Any, Any], rule: Escalation, first: Attempt, answers: tuple[Answer, ...]
    ) -> tuple[Answer, ...]:
        """The answers with what the model says of the one that can be trusted least; without, where it says nothing."""
        answer = doubtful(rule, answers)
        if answer is None or answer.confidence is None or serving.features.has_tools:
            return answers
        said = await self._asked(serving, first, answer.text)
        serving.observation.self_check(first.step.model, said)
        if said is None:
            return answers
        value = agreed(answer.confidence, said)
        return tuple(replace(each, confidence=value) if each is answer else each for each in answers)

    async def _asked(self, serving: Serving[Any, Any], first: Attempt, text: str) -> float | None:
        progress, model = serving.progress, first.step.model
        features = _features(serving.features, model, text)
        if incapability(model, features, policy_cap=progress.policy.max_output_tokens) is not None:
            return None
        try:
            form = SelfCheck(sent=first.sent, answer=text)
        except (msgspec.DecodeError, NotAnObjectError, KeyError):
            return None
        check = replace(serving, form=form, features=features)
        attempt = Attempt(step=first.step, self_check=True)
        left = (serving.total.when() or 0.0) - asyncio.get_running_loop().time()
        quota = progress.quota
        try:
            async with asyncio.timeout(max(0.0, left * _SHARE_OF_TIME)) as check.escalation:
                attempt.confidence = await self._attempts.whole(check, attempt, ALONE)
        except (ProviderFailure, ShortError, TimeoutError):
            # The judge's own value stands.
            return None
        finally:
            attempt.sent = attempt.answer = b""
            progress.quota = quota
        return attempt.confidence


def _features(features: Features, model: Model, text: str) -> Features:
    """The check as a request: what it checks, longer by the answer and the question, and with a word for an answer."""
    more = 2 * PER_MESSAGE + text_tokens(text) + text_tokens(QUESTION)
    return replace(
        features,
        estimated_input_tokens=features.estimated_input_tokens + more,
        max_output_tokens=MOST_TOKENS,
        answers=1,
        needs=frozenset({Feature.LOGPROBS}) & model.features,
    )
