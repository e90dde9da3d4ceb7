"""Whether a stronger model answers in place of one that did: what is seen of the first answer decides.

Pure: the same answer under the same policy always gives the same verdict. No text of an answer is in its sentences.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum, auto

from pointsman_sidecar.routing.capability import incapability
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.plan import Plan, Reason, Step
from pointsman_sidecar.routing.policy import AnswerFault, Escalation, Feature, Model, Policy
from pointsman_sidecar.routing.refusals import opens_with_refusal

_REASONS = {
    AnswerFault.INVALID_OUTPUT: Reason.INVALID_OUTPUT,
    AnswerFault.REFUSAL: Reason.REFUSAL,
    AnswerFault.TRUNCATION: Reason.TRUNCATION,
}
ESCALATED = frozenset({*_REASONS.values(), Reason.CONFIDENCE, Reason.COMPLEXITY})
"""The reasons of steps that are escalations."""


class Ending(Enum):
    """How an answer ended."""

    # By itself, or in a call of a tool.
    COMPLETE = auto()
    # At the longest that was allowed.
    CUT = auto()
    # The provider took it out.
    FILTERED = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """One answer as it is looked at. `ending` is None while more of it may come.

    `wrong_json` is what is wrong with it as the JSON that was asked for, empty where nothing is. `refuses` says that
    the model used the API's own field for refusals, `calls` that it calls tools and need say nothing.
    `confidence` is None where it was not judged.
    """

    text: str
    ending: Ending | None
    refuses: bool = False
    calls: bool = False
    wrong_json: str = ""
    confidence: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Finding:
    """Why an answer is not to be used: the reason of the step that follows from it, and a sentence's end."""

    reason: Reason
    why: str


def concerned(policy: Policy, features: Features, plan: Plan, answered: Model) -> Escalation | None:
    """The rule that holds for answers of this model to this request; None where they are used whatever they are.

    An app's own choice stands, and so does a protected route's. Where a budget leaves only the default model, it stays
    at that.
    """
    rule = policy.escalation
    if rule is None or Feature.EMBEDDINGS in features.needs or plan.protected:
        return None
    if plan.steps[0].reason in {Reason.PINNED, Reason.QUOTA} or answered.dearness >= policy.models[rule.model].dearness:
        return None
    return rule


def finding(rule: Escalation, answers: Sequence[Answer]) -> Finding | None:
    """What is wrong with the answers to one request, as far as the rule looks for it; None where nothing is.

    What is plain to see comes first, confidence last.
    """
    for fault, seen in ((fault, _SEEN[fault]) for fault in AnswerFault if fault in rule.on):
        for answer in answers:
            if why := seen(answer):
                return Finding(reason=_REASONS[fault], why=why)
    confidence = least_confidence(answers)
    if confidence is not None and rule.confidence_below is not None and confidence < rule.confidence_below:
        why = f"the confidence in its answer is {confidence:.2f}, below {rule.confidence_below:g}"
        return Finding(reason=Reason.CONFIDENCE, why=why)
    return None


def doubtful(rule: Escalation, answers: Sequence[Answer]) -> Answer | None:
    """The answer that the model itself is to be asked about; None where there is no need.

    It is the one that can least be trusted, where it is trusted enough, but only just: what is found wanting anyway is
    not asked about, nor what is well above the bar.
    """
    bar, within = rule.confidence_below, rule.self_check_within
    if bar is None or within is None or finding(rule, answers) is not None:
        return None
    judged = [(each.confidence, each) for each in answers if each.confidence is not None]
    confidence, answer = min(judged, key=lambda pair: pair[0], default=(1.0, None))
    return answer if confidence <= bar + within else None


def least_confidence(answers: Sequence[Answer]) -> float | None:
    """How far the answers can be trusted, by the one that can least; None where none was judged."""
    return min((each.confidence for each in answers if each.confidence is not None), default=None)


def escalated(policy: Policy, features: Features, rule: Escalation, found: Finding, *, first: Model) -> Step | str:
    """The call that follows, or a sentence why it cannot be made."""
    model = policy.models[rule.model]
    if lack := incapability(model, features, policy_cap=policy.max_output_tokens):
        return f"{model.name} cannot serve the request: {lack}"
    return Step(model=model, reason=found.reason, message=f"{first.name} answered, but {found.why}")


def _refused(answer: Answer) -> str:
    if answer.ending is Ending.FILTERED:
        return "its provider took the answer out"
    if answer.refuses or (not answer.calls and opens_with_refusal(answer.text)):
        return "it refused"
    return ""


def _cut(answer: Answer) -> str:
    return "its answer was cut off at the longest that is allowed" if answer.ending is Ending.CUT else ""


def _invalid(answer: Answer) -> str:
    # What was cut off or refused is no JSON for that reason, which says more.
    if answer.ending is not Ending.COMPLETE or answer.refuses or answer.calls or not answer.wrong_json:
        return ""
    return f"its answer is not the JSON that was asked for: {answer.wrong_json}"


_SEEN = {
    AnswerFault.REFUSAL: _refused,
    AnswerFault.TRUNCATION: _cut,
    AnswerFault.INVALID_OUTPUT: _invalid,
}
