"""The judge's model: a weight for each signal, from a file that `training/confidence` writes."""

import functools
import importlib.resources
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass

_FILE = "model.json"


@dataclass(frozen=True, slots=True)
class Weight:
    """What a signal adds: `weight` for each `scale` that it lies above `mean`, the value that says nothing."""

    mean: float
    scale: float
    weight: float


@dataclass(frozen=True, slots=True)
class Model:
    """A logistic model. A signal that was not seen adds nothing."""

    bias: float
    weights: Mapping[str, Weight]

    def value(self, signals: Mapping[str, float]) -> float:
        """The probability that the answer is right."""
        total = self.bias
        for name, seen in signals.items():
            known = self.weights.get(name)
            if known is not None:
                total += known.weight * max(-_FURTHEST, min(_FURTHEST, (seen - known.mean) / known.scale))
        return 1 / (1 + math.exp(-max(-_STEEPEST, min(_STEEPEST, total))))


# What lies further from what was learned than this is no stronger a sign.
_FURTHEST = 4.0
_STEEPEST = 30.0


@functools.cache
def shipped() -> Model:
    """The model that the package carries; read once."""
    return read(importlib.resources.files(__package__).joinpath(_FILE).read_text(encoding="utf-8"))


def read(text: str) -> Model:
    """A model from its file."""
    content = json.loads(text)
    return Model(
        bias=content["bias"],
        weights={name: Weight(*numbers) for name, numbers in content["weights"].items()},
    )
