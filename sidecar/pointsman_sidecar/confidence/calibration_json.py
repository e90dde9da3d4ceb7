"""A calibration as JSON, for files and for the wire."""

import itertools
from collections.abc import Mapping
from typing import Any

from pointsman_sidecar.confidence.calibration import Calibration, Curve

VERSION = 1
_MOST_POINTS = 1_000


class CalibrationError(Exception):
    """What is read is no calibration. The text says where."""


def to_json(calibration: Calibration) -> dict[str, Any]:
    """As plain JSON values."""
    return {
        "version": VERSION,
        "models": {model: _curve_to_json(curve) for model, curve in sorted(calibration.models.items())},
        "others": None if calibration.others is None else _curve_to_json(calibration.others),
    }


def from_json(content: Any) -> Calibration:
    """Read it back.

    Raises:
        CalibrationError: it is none, or its curves fall or leave 0 to 1.
    """
    if not isinstance(content, Mapping) or content.get("version") != VERSION:
        raise CalibrationError(f"is no calibration of version {VERSION}: write one with `pointsman calibrate`")
    models = content.get("models")
    if not isinstance(models, Mapping):
        raise CalibrationError("models: must be an object")
    others = content.get("others")
    return Calibration(
        models={str(model): _curve(curve, f"models.{model}") for model, curve in models.items()},
        others=None if others is None else _curve(others, "others"),
    )


def _curve_to_json(curve: Curve) -> dict[str, Any]:
    return {"labels": curve.labels, "points": [list(point) for point in curve.points]}


def _curve(content: Any, path: str) -> Curve:
    points = content.get("points") if isinstance(content, Mapping) else None
    if not isinstance(points, list) or not 0 < len(points) <= _MOST_POINTS:
        raise CalibrationError(f"{path}.points: must be a list of 1 to {_MOST_POINTS} points")
    if not all(isinstance(each, list) and len(each) == 2 and all(map(_is_share, each)) for each in points):  # noqa: PLR2004 - a point
        raise CalibrationError(f"{path}.points: each must be two numbers from 0 to 1")
    if any(left[0] >= right[0] or left[1] > right[1] for left, right in itertools.pairwise(points)):
        raise CalibrationError(f"{path}.points: must rise from one to the next")
    labels = content.get("labels", 0)
    if isinstance(labels, bool) or not isinstance(labels, int) or labels < 0:
        raise CalibrationError(f"{path}.labels: must be a count")
    return Curve(tuple((float(at), float(value)) for at, value in points), labels)


def _is_share(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool) and 0 <= value <= 1
