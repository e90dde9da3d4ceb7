"""`pointsman score`."""

import json
from collections.abc import Callable
from pathlib import Path

from pointsman.lines import objects, text
from pointsman_sidecar.complexity import Scorer

_DIGITS = 6


def score(path: Path, *, write: Callable[[str], object]) -> None:
    """Write the score of each line's prompt, line by line.

    Raises:
        UserError: the file cannot be read, or a line of it; those before it are written.
    """
    scorer = Scorer.load()
    for where, raw in objects(path):
        found = {"id": text(raw, "id", where), "score": round(scorer.score(text(raw, "prompt", where)), _DIGITS)}
        write(json.dumps(found, ensure_ascii=False) + "\n")
