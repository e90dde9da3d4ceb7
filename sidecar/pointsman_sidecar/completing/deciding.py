"""From a request to its plan, before any call; what `Explain` shows is what `Complete` does."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from functools import partial
from typing import Any

from pointsman_sidecar.completing.failures import malformed, unplannable
from pointsman_sidecar.complexity import Scorer
from pointsman_sidecar.contract.decisions import Progress
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.forms import Form
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.routing.facts import Surroundings
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.plan import Complexity, Ejected, PlanError, plan
from pointsman_sidecar.routing.policy import Policy
from pointsman_sidecar.tuning.tuning import Tuning


def decide(
    form: Form[Any, Any],
    *,
    in_force: InForce,
    new_id: Callable[[], str],
    ejected: Callable[[Policy], Mapping[str, Ejected]],
    surroundings: Surroundings,
    paces: Callable[[Policy], Mapping[str, float]],
    hindrance: Callable[[Policy], str],
    tuning: Callable[[Policy], Tuning],
    negative: Callable[[str], int],
    explains: bool = False,
) -> tuple[Progress, Features]:
    """Check the request, measure it, and plan it under the policy in force and with the models that are well.

    `hindrance` says why budgets leave no room for the stronger model, in a sentence's end; it is asked where a complex
    request would go there. `tuning` says what the policy is tuned by, `negative` how many answers of a session were
    labelled as such that would not do. Who `explains` is told how complex a request is that a route decides, too.

    Raises:
        CompletionError: it is malformed, no policy is in force, or the policy has no model for it.
    """
    try:
        features = form.measure()
    except InvalidRequestError as error:
        raise malformed(error) from error
    if count := negative(features.session):
        features = replace(features, negative_feedback=count)
    policy = policy_of(in_force)
    request_id = new_id()
    try:
        tuned = tuning(policy)
        scored = partial(_complexity, form, policy, hindrance, tuned)
        planned = plan(
            policy,
            features,
            request_id=request_id,
            ejected=ejected(policy),
            surroundings=surroundings,
            paces=paces(policy),
            complexity=scored,
            splits=tuned.splits,
        )
    except PlanError as error:
        raise unplannable(error) from error
    complexity = scored() if explains and planned.route else planned.complexity
    return Progress(id=request_id, policy=policy, plan=planned, complexity=complexity), features


def _complexity(
    form: Form[Any, Any], policy: Policy, hindrance: Callable[[Policy], str], tuning: Tuning
) -> Complexity | None:
    """How complex the request is, where the policy asks. Scoring takes longer than all else here."""
    threshold = _threshold(policy, tuning)
    if threshold is None:
        return None
    scored = Complexity(score=Scorer.load().score(form.prompt()), threshold=threshold)
    return replace(scored, hindrance=hindrance(policy)) if scored.is_high else scored


def _threshold(policy: Policy, tuning: Tuning) -> float | None:
    """From which score on a request goes up; None where complexity is not looked at."""
    rule = policy.escalation
    if rule is None or not rule.complexity_share:
        return None if rule is None else rule.complexity_threshold
    return tuning.complexity_threshold


def policy_of(in_force: InForce) -> Policy:
    """The policy in force.

    Raises:
        CompletionError: there is none.
    """
    if in_force.policy is not None:
        return in_force.policy
    if in_force.waiting:
        raise CompletionError(Kind.UNAVAILABLE, "NOT_READY", in_force.no_policy)
    raise CompletionError(Kind.FAILED_PRECONDITION, "NO_POLICY", in_force.no_policy)
