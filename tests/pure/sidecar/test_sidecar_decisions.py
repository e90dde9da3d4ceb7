"""What an answer says of how it was decided, and what a caller is told where there is none."""

import pytest

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.completing.failures import no_answer, unplannable
from pointsman_sidecar.contract.decisions import OUTCOMES, REASONS, Attempt, Progress, decision
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.providers.outcomes import Outcome, ProviderFailure
from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.plan import (
    NoCapableModelError,
    PinningNotAllowedError,
    PlanError,
    Reason,
    RequestTooLargeError,
    UnknownModelError,
    plan,
)
from support.policies import features, model, policy

POLICY = policy(model("mini"), model("flagship", costs="2.50"), fallbacks=("flagship",))
PLAN = plan(POLICY, features(), request_id="r")
MINI, FLAGSHIP = PLAN.steps


def progress() -> Progress:
    return Progress(id="d-1", policy=POLICY, plan=PLAN)


def test_before_any_call_the_decision_names_the_plans_first_model() -> None:
    decided = decision(progress())

    assert (decided.id, decided.snapshot_version) == ("d-1", "v-1")
    assert decided.policy == decision_pb2.PolicyRef(namespace="shop", name="support", uid="u-1", generation=3)
    assert (decided.model, decided.provider, decided.provider_model) == ("mini", "openai", "gpt-mini")
    assert decided.reason == decision_pb2.REASON_DEFAULT
    assert not decided.attempts
    assert not decided.HasField("usage")
    assert not decided.HasField("cost")


def test_where_no_model_answered_the_decision_names_none() -> None:
    failed = progress()
    failed.attempts.append(Attempt(step=MINI, outcome=Outcome.TIMED_OUT, message="no answer within 1 s", latency=1.25))

    decided = decision(failed)

    assert (decided.model, decided.provider, decided.provider_model) == ("", "", "")
    (attempt,) = decided.attempts
    assert (attempt.model, attempt.outcome, attempt.message) == (
        "mini",
        decision_pb2.OUTCOME_TIMED_OUT,
        "no answer within 1 s",
    )
    assert attempt.latency.ToMilliseconds() == 1250
    assert not attempt.HasField("time_to_first_token")


def test_a_fallback_says_what_it_stands_in_for_and_why() -> None:
    answered = progress()
    answered.attempts += [
        Attempt(step=MINI, outcome=Outcome.RATE_LIMITED, message="status 429: slow down", http_status=429),
        Attempt(step=FLAGSHIP, outcome=Outcome.SUCCEEDED, time_to_first_token=0.5),
    ]
    answered.answering = FLAGSHIP
    answered.usage = Usage(input_tokens=10, output_tokens=2, cached_input_tokens=4, reasoning_tokens=1)

    decided = decision(answered)

    assert decided.model == "flagship"
    assert decided.reason == decision_pb2.REASON_FALLBACK
    assert decided.message == "it stands in for mini, which did not answer (mini: status 429: slow down)"
    assert [each.http_status for each in decided.attempts] == [429, 0]
    assert decided.attempts[1].time_to_first_token.ToMilliseconds() == 500
    assert decided.usage == decision_pb2.Usage(
        input_tokens=10, cached_input_tokens=4, output_tokens=2, reasoning_tokens=1
    )
    assert decided.cost.currency == "USD"
    assert decided.cost.amount == "0.000027"


def test_a_small_cost_is_written_without_an_exponent() -> None:
    answered = Progress(id="d", policy=POLICY, plan=PLAN, answering=MINI, usage=Usage(input_tokens=0, output_tokens=0))
    assert decision(answered).cost.amount == "0"

    answered.usage = Usage(input_tokens=1, cached_input_tokens=1, output_tokens=0)
    assert decision(answered).cost.amount == "0.0000005"


def test_every_reason_and_outcome_has_a_word_in_the_contract() -> None:
    assert set(REASONS) == set(Reason)
    assert set(REASONS.values()) == set(decision_pb2.Reason.values()) - {0}
    assert set(OUTCOMES) == set(Outcome)
    assert set(OUTCOMES.values()) == set(decision_pb2.Outcome.values()) - {0}


@pytest.mark.parametrize(
    ("error", "kind", "reason"),
    [
        (RequestTooLargeError("m"), Kind.INVALID_ARGUMENT, "REQUEST_TOO_LARGE"),
        (UnknownModelError("m"), Kind.INVALID_ARGUMENT, "UNKNOWN_MODEL"),
        (PinningNotAllowedError("m"), Kind.INVALID_ARGUMENT, "PINNING_NOT_ALLOWED"),
        (NoCapableModelError("m"), Kind.FAILED_PRECONDITION, "NO_CAPABLE_MODEL"),
    ],
    ids=lambda value: getattr(value, "name", type(value).__name__),
)
def test_a_request_without_a_plan_is_its_own_fault_or_the_policys(error: PlanError, kind: Kind, reason: str) -> None:
    told = unplannable(error)

    assert (told.kind, told.reason, str(told), told.decision) == (kind, reason, "m", None)


def told(*failures: ProviderFailure) -> CompletionError:
    """What a caller is told after these failures, of mini and then of flagship."""
    steps = [MINI, FLAGSHIP]
    return no_answer(list(zip(steps, failures, strict=False)), decision=decision_pb2.Decision(id="d-1"))


def test_a_refusal_is_the_requests_fault() -> None:
    error = told(
        ProviderFailure(Outcome.RATE_LIMITED, "status 429: later", retry_after=2),
        ProviderFailure(Outcome.REFUSED, "status 400: no"),
    )

    assert (error.kind, error.reason) == (Kind.INVALID_ARGUMENT, "REFUSED_BY_PROVIDER")
    assert str(error) == "the provider of flagship refuses the request: status 400: no"
    assert error.decision == decision_pb2.Decision(id="d-1")


def test_a_cut_stream_says_that_nobody_can_take_over() -> None:
    error = told(ProviderFailure(Outcome.CUT, "the connection broke"))

    assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "STREAM_CUT")
    assert str(error) == (
        "mini stopped in the middle of its answer, where no other model can take over: the connection broke"
    )


def test_a_request_too_large_for_every_model_needs_another_policy() -> None:
    error = told(ProviderFailure(Outcome.TOO_LARGE, "a"), ProviderFailure(Outcome.TOO_LARGE, "b"))

    assert (error.kind, error.reason) == (Kind.FAILED_PRECONDITION, "NO_CAPABLE_MODEL")
    assert str(error) == "the request is too large for every model that may serve it: mini: a; flagship: b"


def test_where_no_model_answered_the_caller_may_try_again_as_soon_as_any_may_be_called() -> None:
    error = told(
        ProviderFailure(Outcome.RATE_LIMITED, "a", retry_after=30),
        ProviderFailure(Outcome.PROVIDER_FAILED, "b", retry_after=2.5),
    )

    assert (error.kind, error.reason) == (Kind.UNAVAILABLE, "NO_MODEL_ANSWERED")
    assert str(error) == "no model answered: mini: a; flagship: b"
    assert error.retry_after == 2.5


def test_where_no_provider_names_a_time_none_is_told() -> None:
    assert told(ProviderFailure(Outcome.TOO_LARGE, "a"), ProviderFailure(Outcome.TIMED_OUT, "b")).retry_after is None
