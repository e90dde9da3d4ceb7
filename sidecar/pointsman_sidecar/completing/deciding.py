"""From a request to its plan, before any call; what `Explain` shows is what `Complete` does."""

from collections.abc import Callable, Mapping
from typing import Any

from pointsman_sidecar.completing.failures import malformed, unplannable
from pointsman_sidecar.contract.decisions import Progress
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.forms import Form
from pointsman_sidecar.contract.requests import InvalidRequestError
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.plan import Ejected, PlanError, plan
from pointsman_sidecar.routing.policy import Policy


def decide(
    form: Form[Any, Any],
    *,
    in_force: InForce,
    new_id: Callable[[], str],
    ejected: Callable[[Policy], Mapping[str, Ejected]],
) -> tuple[Progress, Features]:
    """Check the request, measure it, and plan it under the policy in force and with the models that are well.

    Raises:
        CompletionError: it is malformed, no policy is in force, or the policy has no model for it.
    """
    try:
        features = form.measure()
    except InvalidRequestError as error:
        raise malformed(error) from error
    policy = policy_of(in_force)
    request_id = new_id()
    try:
        planned = plan(policy, features, request_id=request_id, ejected=ejected(policy))
    except PlanError as error:
        raise unplannable(error) from error
    return Progress(id=request_id, policy=policy, plan=planned), features


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
