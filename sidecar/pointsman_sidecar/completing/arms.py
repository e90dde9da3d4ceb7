"""From a completion that has ended to what it says of the arm that it fell to."""

from pointsman_sidecar.contract.decisions import Attempt, Progress
from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.routing.plan import Reason
from pointsman_sidecar.tuning.arms import ArmResult

# The caller went away, another call was quicker, or no call was made: none of it is the model's doing.
_SILENT = frozenset({None, Outcome.CANCELLED, Outcome.OVERTAKEN, Outcome.NO_ACCESS})


def arm_result(progress: Progress, *, out_of_time: bool) -> ArmResult | None:
    """What came of it at the arm's own model; None where nothing can be said, or the split does not change by itself.

    A model that is left alone since it failed so often fails this request, too. `out_of_time` says that the caller gave
    the completion less time than the policy does, and it is used up.
    """
    arm = progress.plan.arm
    if arm is None or not arm.split:
        return None
    own = [each for each in progress.attempts if each.step.model.name == arm.model and _tells(each)]
    answered = next((each for each in own if each.outcome is Outcome.SUCCEEDED), None)
    if answered is not None:
        began = _until_begun(answered) + answered.began - own[0].began
        return ArmResult(seconds=began, confidence=answered.confidence)
    if own:
        return None if out_of_time else ArmResult(seconds=None)
    return ArmResult(seconds=None) if progress.plan.steps[0].reason is Reason.EJECTED else None


def _tells(attempt: Attempt) -> bool:
    return attempt.outcome not in _SILENT and not attempt.self_check


def _until_begun(attempt: Attempt) -> float:
    return attempt.latency if attempt.time_to_first_token is None else attempt.time_to_first_token
