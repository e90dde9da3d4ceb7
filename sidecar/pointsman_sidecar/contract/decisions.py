"""The decision that rides on every answer: gathered as a completion goes on, said in the contract's words."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from functools import reduce

from google.protobuf.duration_pb2 import Duration

from pointsman_api.v1 import decision_pb2, types_pb2
from pointsman_sidecar.contract.usages import write_level
from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.quota.degrading import Level
from pointsman_sidecar.routing.costs import Usage, cost, total
from pointsman_sidecar.routing.matchers import Domain
from pointsman_sidecar.routing.plan import Complexity, Plan, Reason, Skipped, Step
from pointsman_sidecar.routing.policy import Model, Policy, Severity
from pointsman_sidecar.routing.risk import Risk
from pointsman_sidecar.routing.splitting import Drawn

REASONS: Mapping[Reason, decision_pb2.Reason.ValueType] = {
    Reason.DEFAULT: decision_pb2.REASON_DEFAULT,
    Reason.ROUTE: decision_pb2.REASON_ROUTE,
    Reason.SPLIT: decision_pb2.REASON_SPLIT,
    Reason.PINNED: decision_pb2.REASON_PINNED,
    Reason.CAPABILITY: decision_pb2.REASON_CAPABILITY,
    Reason.FALLBACK: decision_pb2.REASON_FALLBACK,
    Reason.EJECTED: decision_pb2.REASON_EJECTED,
    Reason.QUOTA: decision_pb2.REASON_QUOTA,
    Reason.LATENCY: decision_pb2.REASON_LATENCY,
    Reason.COMPLEXITY: decision_pb2.REASON_COMPLEXITY,
    Reason.CONFIDENCE: decision_pb2.REASON_CONFIDENCE,
    Reason.INVALID_OUTPUT: decision_pb2.REASON_INVALID_OUTPUT,
    Reason.REFUSAL: decision_pb2.REASON_REFUSAL,
    Reason.TRUNCATION: decision_pb2.REASON_TRUNCATION,
}
OUTCOMES: Mapping[Outcome, decision_pb2.Outcome.ValueType] = {
    Outcome.SUCCEEDED: decision_pb2.OUTCOME_SUCCEEDED,
    Outcome.CONNECTION_FAILED: decision_pb2.OUTCOME_CONNECTION_FAILED,
    Outcome.TIMED_OUT: decision_pb2.OUTCOME_TIMED_OUT,
    Outcome.RATE_LIMITED: decision_pb2.OUTCOME_RATE_LIMITED,
    Outcome.PROVIDER_FAILED: decision_pb2.OUTCOME_PROVIDER_FAILED,
    Outcome.MISCONFIGURED: decision_pb2.OUTCOME_MISCONFIGURED,
    Outcome.TOO_LARGE: decision_pb2.OUTCOME_TOO_LARGE,
    Outcome.REFUSED: decision_pb2.OUTCOME_REFUSED,
    Outcome.NO_ACCESS: decision_pb2.OUTCOME_NO_ACCESS,
    Outcome.CUT: decision_pb2.OUTCOME_CUT,
    Outcome.CANCELLED: decision_pb2.OUTCOME_CANCELLED,
    Outcome.OVERTAKEN: decision_pb2.OUTCOME_OVERTAKEN,
}
_DOMAINS: Mapping[Domain, types_pb2.Domain.ValueType] = {
    Domain.LEGAL: types_pb2.DOMAIN_LEGAL,
    Domain.MEDICAL: types_pb2.DOMAIN_MEDICAL,
    Domain.MONEY: types_pb2.DOMAIN_MONEY,
    Domain.SAFETY: types_pb2.DOMAIN_SAFETY,
}
_SEVERITIES: Mapping[Severity, types_pb2.Severity.ValueType] = {
    Severity.LOW: types_pb2.SEVERITY_LOW,
    Severity.MEDIUM: types_pb2.SEVERITY_MEDIUM,
    Severity.HIGH: types_pb2.SEVERITY_HIGH,
    Severity.CRITICAL: types_pb2.SEVERITY_CRITICAL,
}


@dataclass(kw_only=True, slots=True)
class Attempt:
    """One call to a model, while and after it is made. Times are in seconds.

    `most` is what it may be charged for at most, None until the request is sent. `usage` is what the provider counted,
    `changes` what was changed in the request for this model.
    """

    step: Step
    retry: int = 0
    hedge: bool = False
    outcome: Outcome | None = None
    message: str = ""
    began: float = 0.0
    latency: float = 0.0
    time_to_first_token: float | None = None
    http_status: int = 0
    most: Usage | None = None
    usage: Usage | None = None
    changes: tuple[decision_pb2.Change, ...] = ()
    # The most tokens of an answer by the policy and the budgets' steps, and the budgets where it is theirs.
    cap: int | None = None
    capped_by: str = ""
    # How far its answer can be trusted, None where it was not judged, and why it was not used.
    confidence: float | None = None
    # What the judge said of that, before calibration and self-check.
    judged: float | None = None
    unused: str = ""
    # Whether log-probabilities were asked for that the app did not ask for.
    own_logprobs: bool = False
    # Whether it asks the model if its answer before is right.
    self_check: bool = False
    # What was sent and what came, while the answer is yet to be looked at.
    sent: bytes = b""
    answer: bytes = b""

    @property
    def charge(self) -> decision_pb2.Charge.ValueType:
        """What is known of what it is charged for."""
        if self.usage is not None:
            return decision_pb2.CHARGE_COUNTED
        if self.most is None or self.http_status:
            return decision_pb2.CHARGE_NONE
        return decision_pb2.CHARGE_UNKNOWN


@dataclass(frozen=True, kw_only=True, slots=True)
class Escalated:
    """What was found in the first answer, and what came of it: `done` where the stronger model's answer was used."""

    cause: Reason
    model: str
    message: str
    done: bool = False


@dataclass(kw_only=True, slots=True)
class Progress:
    """One completion, as far as it has come. Owned by the one task that serves it."""

    id: str
    policy: Policy
    plan: Plan
    attempts: list[Attempt] = field(default_factory=list)
    answering: Step | None = None
    usage: Usage | None = None
    changes: tuple[decision_pb2.Change, ...] = ()
    # Seconds that it waited for its turn, and what was passed over since it was planned.
    queued: float | None = None
    passed_over: list[Skipped] = field(default_factory=list)
    # The tightest of the budgets that count it, as it is when asked.
    quota: Callable[[], Level | None] | None = None
    complexity: Complexity | None = None
    escalated: Escalated | None = None

    def took(self, attempt: Attempt) -> None:
        """This attempt's answer is the completion's."""
        self.answering, self.usage, self.changes = attempt.step, attempt.usage, attempt.changes

    def spent(self) -> list[tuple[Model, Usage]]:
        """The models whose answers are to be paid for, as far as their usage is known: the one that is used, first."""
        if self.usage is None or self.answering is None:
            return []
        others = [
            (each.step.model, each.usage)
            for each in self.attempts
            if (each.unused or each.self_check) and each.usage is not None
        ]
        return [(self.answering.model, self.usage), *others]

    def cost(self) -> tuple[Decimal, str] | None:
        """Amount and currency of what the answer costs; None until its usage is known."""
        spent = self.spent()
        if not spent:
            return None
        currency = spent[0][0].price.currency
        amounts = [cost(usage, model.price) for model, usage in spent if model.price.currency == currency]
        return sum(amounts[1:], amounts[0]), currency

    def all_usage(self) -> Usage | None:
        """The tokens of the answer, of those that were not used and of self-checks; None until they are known."""
        return reduce(total, (usage for _, usage in self.spent())) if self.usage is not None else None


def decision(progress: Progress) -> decision_pb2.Decision:
    """What is decided so far. Before a model answers, the model is the plan's first."""
    step = progress.answering or progress.plan.steps[0]
    answered = progress.answering is not None
    usage = progress.all_usage()
    said = decision_pb2.Decision(
        id=progress.id,
        policy=decision_pb2.PolicyRef(
            namespace=progress.policy.namespace,
            name=progress.policy.name,
            uid=progress.policy.uid,
            generation=progress.policy.generation,
        ),
        snapshot_version=progress.policy.version,
        route=progress.plan.route,
        model=step.model.name if answered or not progress.attempts else "",
        provider=step.model.provider if answered or not progress.attempts else "",
        provider_model=step.model.provider_model if answered or not progress.attempts else "",
        reason=REASONS[step.reason],
        message=_message(progress, step),
        attempts=[_attempt(attempt) for attempt in progress.attempts if attempt.outcome is not None],
        usage=_usage(usage) if usage is not None else None,
        cost=_money(progress),
        changes=progress.changes,
        queued=_duration(progress.queued) if progress.queued is not None else None,
        passed_over=[
            decision_pb2.PassedOver(model=each.model, message=each.message)
            for each in (*progress.plan.skipped, *progress.passed_over)
        ],
        risk=_risk(progress.plan.risk) if progress.plan.risk else None,
        complexity=_complexity(progress.complexity) if progress.complexity is not None else None,
        escalation=_escalation(progress.escalated) if progress.escalated is not None else None,
        arm=_arm(progress.plan.arm) if progress.plan.arm is not None else None,
    )
    level = None if progress.quota is None else progress.quota()
    if level is not None:
        write_level(level, said.quota)
    return said


def _arm(arm: Drawn) -> decision_pb2.SplitArm:
    return decision_pb2.SplitArm(
        model=arm.model, weight=arm.weight, total_weight=arm.total, rolled_back=arm.rolled_back
    )


def _risk(risk: Risk) -> decision_pb2.DecisionRisk:
    return decision_pb2.DecisionRisk(
        domains=sorted(_DOMAINS[domain] for domain in risk.domains),
        severity=types_pb2.SEVERITY_UNSPECIFIED if risk.severity is None else _SEVERITIES[risk.severity],
        found=risk.found,
    )


def _complexity(complexity: Complexity) -> decision_pb2.Complexity:
    return decision_pb2.Complexity(score=complexity.score, threshold=complexity.threshold)


def _escalation(escalated: Escalated) -> decision_pb2.Escalated:
    return decision_pb2.Escalated(
        cause=REASONS[escalated.cause], model=escalated.model, done=escalated.done, message=escalated.message
    )


def _message(progress: Progress, step: Step) -> str:
    if step.reason is not Reason.FALLBACK:
        return step.message
    failed = "; ".join(
        # Once each, however often it was tried.
        dict.fromkeys(
            f"{attempt.step.model.name}: {attempt.message}"
            for attempt in progress.attempts
            if attempt.outcome not in {Outcome.SUCCEEDED, Outcome.OVERTAKEN}
            and attempt.message
            and not attempt.self_check
        )
    )
    return f"{step.message}, which did not answer ({failed})" if failed else step.message


def _attempt(attempt: Attempt) -> decision_pb2.Attempt:
    model = attempt.step.model
    first, charge = attempt.time_to_first_token, attempt.charge
    return decision_pb2.Attempt(
        model=model.name,
        provider=model.provider,
        provider_model=model.provider_model,
        outcome=OUTCOMES[attempt.outcome] if attempt.outcome else decision_pb2.OUTCOME_UNSPECIFIED,
        message=attempt.message,
        latency=_duration(attempt.latency),
        time_to_first_token=_duration(first) if first is not None else None,
        http_status=attempt.http_status,
        retry=attempt.retry,
        hedge=attempt.hedge,
        confidence=attempt.confidence,
        judged=None if attempt.judged == attempt.confidence else attempt.judged,
        unused=attempt.unused,
        self_check=attempt.self_check,
        charge=charge,
        usage=_usage(attempt.usage) if attempt.usage is not None else None,
        most=_usage(attempt.most) if attempt.most is not None and charge == decision_pb2.CHARGE_UNKNOWN else None,
    )


def _usage(usage: Usage) -> decision_pb2.Usage:
    return decision_pb2.Usage(
        input_tokens=usage.input_tokens,
        cached_input_tokens=usage.cached_input_tokens,
        output_tokens=usage.output_tokens,
        reasoning_tokens=usage.reasoning_tokens,
    )


def _money(progress: Progress) -> types_pb2.Money | None:
    known = progress.cost()
    return types_pb2.Money(amount=f"{known[0].normalize():f}", currency=known[1]) if known else None


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=seconds))
    return duration
