"""How much a prompt needs the stronger model, told from its text alone, before any model is called.

A small linear model over words and hand-made measures, trained by `training/complexity`, shipped beside this code with
its card. Pure Python over the standard library, no I/O but reading the model file once; a bounded piece of the text is
looked at, so its time has a bound whatever the prompt.
"""

from pointsman_sidecar.complexity.prompts import Turn, prompt_text
from pointsman_sidecar.complexity.scorer import Scorer

__all__ = ["Scorer", "Turn", "prompt_text"]
