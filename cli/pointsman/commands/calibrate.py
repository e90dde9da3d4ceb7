"""`pointsman calibrate`."""

import json
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table

from pointsman.answers import labels
from pointsman.errors import UserError
from pointsman_sidecar.confidence.calibration import ENOUGH, Labelled, fit
from pointsman_sidecar.confidence.calibration_json import to_json
from pointsman_sidecar.confidence.reliability import Bin, ece, table


def calibrate(path: Path, *, write: Path | None, bins: int, out: Console) -> None:
    """Print how reliable the confidences are and would be, and write the maps.

    What would be is seen on answers that the map was not learned from: every second one. The file is learned from all.

    Raises:
        UserError: there are too few labels, or a file cannot be read or written.
    """
    known = list(labels(path))
    if len(known) < 2 * ENOUGH:
        raise UserError(
            f"{path} has {len(known)} labels: {2 * ENOUGH} are the least to calibrate and to see what it does"
        )
    for model in sorted({label.model for label in known}):
        own = [label for label in known if label.model == model]
        _print(model or "(no model named)", own, bins=bins, out=out)
    if write is None:
        return
    try:
        write.write_text(json.dumps(to_json(fit(known)), indent=1) + "\n", encoding="utf-8")
    except OSError as error:
        raise UserError(f"{write} cannot be written: {error.strerror}") from error
    out.print(f"written to {write}")


def _print(model: str, labelled: Sequence[Labelled], *, bins: int, out: Console) -> None:
    _reliability(f"{model}, as judged", _table([(each.confidence, each.is_right) for each in labelled], bins), out)
    if len(labelled) < 2 * ENOUGH:
        out.print(f"{model}: {len(labelled)} labels; {2 * ENOUGH} are the least to see what a calibration does\n")
        return
    calibration = fit(labelled[::2])
    mapped = [(calibration.apply(each.model, each.confidence), each.is_right) for each in labelled[1::2]]
    _reliability(f"{model}, calibrated on half of it, seen on the other", _table(mapped, bins), out)


def _table(judged: Sequence[tuple[float, float]], bins: int) -> list[Bin]:
    return table(judged, bins=bins)


def _reliability(title: str, bins: Sequence[Bin], out: Console) -> None:
    out.print(title)
    shown = Table(box=None)
    for column in ("CONFIDENCE", "RIGHT", "GAP", "BY CHANCE", "ANSWERS"):
        shown.add_column(column, justify="right")
    for each in bins:
        shown.add_row(
            f"{each.confidence:.3f}", f"{each.accuracy:.3f}", f"{each.gap:+.3f}", f"±{each.chance:.3f}", str(each.count)
        )
    out.print(shown)
    out.print(f"expected calibration error {ece(bins):.3f}\n")
