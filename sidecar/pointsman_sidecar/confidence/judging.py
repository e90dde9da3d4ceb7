"""The verdict on an answer."""

from pointsman_sidecar.confidence.answers import Confidence, Judged
from pointsman_sidecar.confidence.models import Model, shipped
from pointsman_sidecar.confidence.signals import signals


def judge(answer: Judged, *, model: Model | None = None) -> Confidence:
    """How likely the answer is right. The same answer gets the same verdict everywhere; any text gets one."""
    seen = signals(answer)
    return Confidence(value=(model or shipped()).value(seen), signals=tuple(seen.items()))
