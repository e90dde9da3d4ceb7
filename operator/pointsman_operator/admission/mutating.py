"""What is answered on a pod that is about to be created: pure."""

from collections.abc import Mapping

from pointsman_operator.admission.outcomes import Outcome
from pointsman_operator.admission.reviews import MalformedReviewError, Review, allowed, forbidden
from pointsman_operator.inject import Injected, NotWanted, Refused, SidecarSettings, patch


def mutate(review: Review, *, namespace_labels: Mapping[str, str], sidecar: SidecarSettings) -> Outcome:
    """Answer. Raise MalformedReviewError if the review is of something else."""
    if (review.kind, review.operation) != ("Pod", "CREATE"):
        raise MalformedReviewError(
            f"{review.operation} of {review.kind} is not for this webhook; register it for CREATE of pods"
        )
    match patch(review.value, namespace_labels=namespace_labels, settings=sidecar):
        case Injected(patch=ops, warnings=warnings):
            return Outcome(verdict="injected", answer=allowed(review, patch=ops, warnings=warnings))
        case NotWanted():
            return Outcome(verdict="unchanged", answer=allowed(review))
        case Refused(sentence=sentence):
            return Outcome(verdict="refused", answer=forbidden(review, sentence))
