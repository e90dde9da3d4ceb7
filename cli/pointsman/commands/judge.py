"""`pointsman judge`."""

import json
import sys
from pathlib import Path

from pointsman.answers import answers
from pointsman.calibrations import read_calibration
from pointsman_sidecar.confidence import judge as judged
from pointsman_sidecar.confidence.calibration import Calibration


def judge(path: Path, *, calibration: Path | None, with_signals: bool) -> None:
    """Print a line for each answer.

    Raises:
        UserError: the answers or the calibration cannot be read.
    """
    known = Calibration(models={}) if calibration is None else read_calibration(calibration)
    for line in answers(path):
        verdict = judged(line.answer)
        row: dict[str, object] = {"id": line.id, "confidence": round(known.apply(line.model, verdict.value), 6)}
        if with_signals:
            row["signals"] = {name: round(value, 6) for name, value in verdict.signals}
        # Not by the console, which would measure and wrap each of thousands of lines.
        sys.stdout.write(json.dumps(row, ensure_ascii=False) + "\n")
