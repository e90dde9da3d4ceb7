"""What a caller is told when the plan or all of its attempts fail. Pure."""

from collections import Counter
from collections.abc import Sequence

from google.protobuf.timestamp_pb2 import Timestamp

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure
from pointsman_sidecar.quota.budgets import Budget, Unit
from pointsman_sidecar.quota.outcomes import Cause, Shortage
from pointsman_sidecar.routing.plan import NoCapableModelError, PlanError, Step

# How soon it is worth to ask again where the ledger did not answer, in seconds.
_ASK_AGAIN = 1.0
_AWAY = {
    Cause.ASKED: "the ledger has not answered in time",
    Cause.UNANSWERED: "the ledger does not answer",
    Cause.PAUSED: "the ledger grants nothing for a moment, since its store was restarted or replaced",
    Cause.CROWDED: "more users are served at once than it keeps budgets of",
}
# OpenAI's word for a request that is longer than the context window. Apps that shorten their history look for it.
TOO_LONG = "context_length_exceeded"


def malformed(error: InvalidRequestError) -> CompletionError:
    """The error of a request that is none."""
    return CompletionError(Kind.INVALID_ARGUMENT, "MALFORMED_REQUEST", str(error), violations=error.violations)


def unplannable(error: PlanError) -> CompletionError:
    """The error of a request that gets no plan: its own fault, unless the policy's models are too weak for it."""
    kind = Kind.FAILED_PRECONDITION if isinstance(error, NoCapableModelError) else Kind.INVALID_ARGUMENT
    code = TOO_LONG if isinstance(error, NoCapableModelError) and error.too_long else ""
    return CompletionError(kind, error.reason, str(error), code=code)


def untold(decision: decision_pb2.Decision | None = None) -> CompletionError:
    """The error of a call that came before the operator had said which budgets there are."""
    return CompletionError(
        Kind.UNAVAILABLE,
        "QUOTA_UNAVAILABLE",
        "the operator has not said yet which budgets bind this sidecar",
        retry_after=_ASK_AGAIN,
        decision=decision,
    )


def short(
    shortage: Shortage, *, decision: decision_pb2.Decision, now: float, protected: bool = False
) -> CompletionError:
    """The error of a completion for which a budget has nothing left; a `protected` one goes to no lesser model."""
    budget = shortage.budget
    resets_at = None if shortage.resets_at is None else Timestamp(seconds=shortage.resets_at)
    quota = decision_pb2.QuotaLevel(
        quota=budget.shown,
        unit=budget.account_unit,
        used=shortage.used,
        limit=shortage.limit,
        resets_at=resets_at,
    )
    resets = "" if resets_at is None else f"; it resets at {resets_at.ToJsonString()}"
    if protected:
        resets += f"; route {decision.route} is protected, so no other model answers"
    if shortage.cause is not Cause.EXHAUSTED:
        return CompletionError(
            Kind.UNAVAILABLE,
            "QUOTA_UNAVAILABLE",
            f"this sidecar holds too little of {budget.shown} for a call that may take "
            f"{_amount(budget, shortage.amount)}, and {_AWAY[shortage.cause]}{resets}",
            retry_after=max(_ASK_AGAIN, shortage.pause),
            decision=decision,
            quota=quota,
        )
    held = f" and {shortage.held:,} held for calls elsewhere" if shortage.held else ""
    return CompletionError(
        Kind.RESOURCE_EXHAUSTED,
        "QUOTA_EXHAUSTED",
        f"{budget.shown} has too little left for a call that may take {_amount(budget, shortage.amount)}: "
        f"{shortage.used:,} of {shortage.limit:,} are used{held}{resets}",
        retry_after=None if shortage.resets_at is None else max(0.0, shortage.resets_at - now),
        decision=decision,
        quota=quota,
    )


def limited(shortage: Shortage, *, now: float) -> ProviderFailure:
    """The failure of a call that a provider's rate limit leaves no room for."""
    budget = shortage.budget
    what = "calls" if budget.unit is Unit.REQUESTS else "tokens"
    each = f"all sidecars together may send {shortage.limit:,} {what} in a minute"
    if shortage.amount > shortage.limit:
        why = f"{budget.shown} is too low for a call that may take {_amount(budget, shortage.amount)}: {each}"
        return ProviderFailure(Outcome.RATE_LIMITED, why, sent=False, retry=False)
    return ProviderFailure(
        Outcome.RATE_LIMITED,
        f"{budget.shown} leaves no room for another call in this minute: {each}",
        retry_after=None if shortage.resets_at is None else max(0.0, shortage.resets_at - now),
        sent=False,
    )


def _amount(budget: Budget, amount: int) -> str:
    match budget.unit:
        case Unit.COST:
            return f"{amount:,} millionths of {budget.currency}"
        case Unit.REQUESTS:
            return f"{amount:,} of its requests"
        case Unit.INPUT_TOKENS:
            return f"{amount:,} input tokens"
        case Unit.OUTPUT_TOKENS:
            return f"{amount:,} output tokens"
        case Unit.TOKENS:
            return f"{amount:,} tokens"


def no_answer(failures: Sequence[tuple[Step, ProviderFailure]], *, decision: decision_pb2.Decision) -> CompletionError:
    """The error of a completion whose attempts all failed, in order; one at least."""
    step, last = failures[-1]
    model = step.model.name
    if last.outcome is Outcome.REFUSED:
        return CompletionError(
            Kind.INVALID_ARGUMENT,
            "REFUSED_BY_PROVIDER",
            f"the provider of {model} refuses the request: {last}",
            decision=decision,
            code=last.code,
            param=last.param,
        )
    if last.outcome is Outcome.CUT:
        return CompletionError(
            Kind.UNAVAILABLE,
            "STREAM_CUT",
            f"{model} stopped in the middle of its answer, where no other model can take over: {last}",
            decision=decision,
        )
    times = Counter(f"{step.model.name}: {failure}" for step, failure in failures)
    tried = "; ".join(f"{said} ({count} times)" if count > 1 else said for said, count in times.items())
    if all(failure.outcome is Outcome.TOO_LARGE for _, failure in failures):
        return CompletionError(
            Kind.FAILED_PRECONDITION,
            NoCapableModelError.reason,
            f"the request is too large for every model that may serve it: {tried}",
            decision=decision,
            code=TOO_LONG,
        )
    reason = "NO_MODEL_ANSWERED"
    if all(failure.outcome is Outcome.RATE_LIMITED for _, failure in failures):
        reason = "RATE_LIMITED"
    waits = [failure.retry_after for _, failure in failures if failure.retry_after is not None]
    return CompletionError(
        Kind.UNAVAILABLE,
        reason,
        f"no model answered: {tried}",
        retry_after=min(waits, default=None),
        decision=decision,
    )
