"""How far an answer can be trusted, seen from the answer itself.

`judge` is pure and bounded: no I/O but the model's file, read once; no clock, no randomness; of a long text the
beginning and the end; every pattern goes through a text once. What is seen stays here: signals are numbers.

    confidence = judge(Judged(prompt=..., response=..., finish_reason="stop"))
    confidence.value                          # 0..1
    calibration.apply("mini", confidence.value)  # what it means of this model's answers
"""

from pointsman_sidecar.confidence.answers import Confidence, Judged
from pointsman_sidecar.confidence.judging import judge

__all__ = ["Confidence", "Judged", "judge"]
