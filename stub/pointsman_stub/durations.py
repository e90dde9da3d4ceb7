"""Durations as people write them, and delays that may differ by model."""

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

_UNITS = {"": 1.0, "s": 1.0, "ms": 0.001}
_DURATION = re.compile(r"(\d+(?:\.\d+)?)(ms|s|)")


@dataclass(frozen=True, kw_only=True)
class Delay:
    """Seconds to wait, for all models or by name."""

    otherwise: float = 0.0
    by_model: Mapping[str, float] = field(default_factory=dict)

    def of(self, model: str | None) -> float:
        """The seconds for this model."""
        return self.otherwise if model is None else self.by_model.get(model, self.otherwise)


def parse_duration(value: object) -> float:
    """Seconds from a number, or from a text such as `40ms`, `1.5s` or `2`."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value) and value >= 0:
        return float(value)
    found = _DURATION.fullmatch(value) if isinstance(value, str) else None
    if found is None:
        raise ValueError(f"{value!r} is no duration; write seconds (0.04) or a unit (40ms, 1.5s)")
    return float(found[1]) * _UNITS[found[2]]


def parse_delay(values: Iterable[str]) -> Delay:
    """A delay from texts such as `40ms` (all models) and `gpt-4o=40ms` (one); the last word on a model counts."""
    otherwise = 0.0
    by_model: dict[str, float] = {}
    for value in values:
        model, equals, duration = value.rpartition("=")
        if equals:
            by_model[model] = parse_duration(duration)
        else:
            otherwise = parse_duration(duration)
    return Delay(otherwise=otherwise, by_model=by_model)
