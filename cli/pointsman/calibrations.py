"""Calibrations from files that `pointsman calibrate` wrote."""

import json
from pathlib import Path

from pointsman.errors import UserError
from pointsman_sidecar.confidence.calibration import Calibration
from pointsman_sidecar.confidence.calibration_json import CalibrationError, from_json


def read_calibration(path: Path) -> Calibration:
    """Read one.

    Raises:
        UserError: it cannot be read, or is none.
    """
    try:
        return from_json(json.loads(path.read_bytes()))
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is no JSON") from error
    except CalibrationError as error:
        raise UserError(f"{path}: {error}") from error
