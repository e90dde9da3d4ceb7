"""What a caller is told when the plan or all of its attempts fail. Pure."""

from collections import Counter
from collections.abc import Sequence

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure
from pointsman_sidecar.routing.plan import NoCapableModelError, PlanError, Step

# OpenAI's word for a request that is longer than the context window. Apps that shorten their history look for it.
TOO_LONG = "context_length_exceeded"


def unplannable(error: PlanError) -> CompletionError:
    """The error of a request that gets no plan: its own fault, unless the policy's models are too weak for it."""
    kind = Kind.FAILED_PRECONDITION if isinstance(error, NoCapableModelError) else Kind.INVALID_ARGUMENT
    code = TOO_LONG if isinstance(error, NoCapableModelError) and error.too_long else ""
    return CompletionError(kind, error.reason, str(error), code=code)


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
