"""What is answered on a policy or provider that is about to be written: pure.

The same reading and compiling as everywhere else, so that the verdict is the one that the status would show. What is
wrong with the object alone is refused. What depends on other objects is a warning: in which order objects are applied
must not matter.
"""

from collections.abc import Sequence
from typing import Final

from pointsman_operator.admission.outcomes import Outcome
from pointsman_operator.admission.reviews import Cause, MalformedReviewError, Review, allowed, invalid
from pointsman_operator.compile import Compiled, check_provider, compile_policy
from pointsman_operator.compile.selectors import INVALID_SELECTOR
from pointsman_operator.resources import Kind, MalformedObjectError, Problem, parse_policy, parse_provider
from pointsman_operator.resources.kinds import GROUP
from pointsman_operator.resources.parse import INVALID_SPEC
from pointsman_operator.world import World

# No other object can make these good. A reason that is not named here only warns.
_OF_ITSELF: Final = frozenset({INVALID_SPEC, INVALID_SELECTOR})


def validate(review: Review, *, world: World) -> Outcome:
    """Answer. Raise MalformedReviewError if the review is of something else."""
    if review.kind not in {Kind.POLICY, Kind.PROVIDER} or review.operation not in {"CREATE", "UPDATE"}:
        raise MalformedReviewError(
            f"{review.operation} of {review.kind} is not for this webhook; register it for CREATE and UPDATE of "
            f"{Kind.POLICY} and {Kind.PROVIDER}"
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
    # Before the cluster has been read, what seems to be missing need not be.
    return [problem for problem in compiled if world.ready or problem.reason in _OF_ITSELF]
