"""What is answered on a policy, provider or quota that is about to be written: pure.

The same reading and compiling as everywhere else, so that the verdict is the one that the status would show. What is
wrong with the object alone is refused. What depends on other objects is a warning: in which order objects are applied
must not matter. Prices in another currency than a quota's are refused all the same where both are named: no order of
applying mends them.
"""

from collections.abc import Sequence
from typing import Final

from pointsman_operator.admission.outcomes import Outcome
from pointsman_operator.admission.reviews import Cause, MalformedReviewError, Review, allowed, invalid
from pointsman_operator.compile import Compiled, check_provider, check_quota, compile_policy
from pointsman_operator.compile.amounts import TWO_CURRENCIES
from pointsman_operator.compile.expressions import INVALID_EXPRESSION
from pointsman_operator.compile.selectors import INVALID_SELECTOR
from pointsman_operator.compile.zones import UNKNOWN_TIME_ZONE
from pointsman_operator.resources import (
    Kind,
    MalformedObjectError,
    Problem,
    TokenQuota,
    parse_policy,
    parse_provider,
    parse_quota,
)
from pointsman_operator.resources.kinds import GROUP
from pointsman_operator.resources.parse import INVALID_SPEC
from pointsman_operator.world import World

# No other object can make these good. A reason that is not named here only warns.
_OF_ITSELF: Final = frozenset({INVALID_SPEC, INVALID_SELECTOR, INVALID_EXPRESSION, UNKNOWN_TIME_ZONE, TWO_CURRENCIES})
_KINDS: Final = (Kind.POLICY, Kind.PROVIDER, Kind.QUOTA)


def validate(review: Review, *, world: World) -> Outcome:
    """Answer. Raise MalformedReviewError if the review is of something else."""
    if review.kind not in _KINDS or review.operation not in {"CREATE", "UPDATE"}:
        raise MalformedReviewError(
            f"{review.operation} of {review.kind} is not for this webhook; register it for CREATE and UPDATE of "
            f"{', '.join(_KINDS)}"
        )
    if review.old is not None and review.old.get("spec") == review.value["spec"]:
        # Stored already: to refuse it now would only keep labels from being set and finalizers from being removed.
        return Outcome(verdict="allowed", answer=allowed(review))
    problems = _problems(review, world=world)
    causes = [
        Cause(path=problem.path or "spec", sentence=problem.message)
        for problem in problems
        if problem.reason in _OF_ITSELF
    ]
    warnings = [f"not ready: {problem.reason}: {problem}" for problem in problems if problem.reason not in _OF_ITSELF]
    if causes:
        return Outcome(verdict="refused", answer=invalid(review, causes, group=GROUP, warnings=warnings))
    return Outcome(verdict="warned" if warnings else "allowed", answer=allowed(review, warnings=warnings))


def _problems(review: Review, *, world: World) -> Sequence[Problem]:
    try:
        if review.kind == Kind.PROVIDER:
            return check_provider(parse_provider(review.value))
        if review.kind == Kind.QUOTA:
            return _quota_problems(review, world=world)
        policy = parse_policy(review.value)
    except MalformedObjectError as error:
        raise MalformedReviewError(f"the review's object cannot be read: {error}") from error
    compiled = compile_policy(
        policy,
        providers=world.providers,
        namespace_labels=world.namespace_labels(policy.metadata.namespace),
    )
    if isinstance(compiled, Compiled):
        return ()
    return _sure(compiled, world=world)


def _quota_problems(review: Review, *, world: World) -> Sequence[Problem]:
    quota = parse_quota(review.value)
    if isinstance(quota, TokenQuota) and quota.spec.when_exhausted == "DefaultModel":
        namespace = quota.metadata.namespace
        policies = [policy for key, policy in world.policies.items() if key.namespace == namespace]
    else:
        policies = []
    return _sure(check_quota(quota, providers=world.providers, policies=policies), world=world)


def _sure(problems: Sequence[Problem], *, world: World) -> Sequence[Problem]:
    # Before the cluster has been read, what seems to be missing need not be.
    return [problem for problem in problems if world.ready or problem.reason in _OF_ITSELF]
