"""`make train DATA=folder`: train the complexity model and write it, with its card. The same data, the same bytes."""

import argparse
import sys
from pathlib import Path

from complexity.cards import card
from complexity.fitting import model
from complexity.sets import NoDataError, read_all
from complexity.table import table
from pointsman_sidecar.complexity.model import dump

_PACKAGE = Path(__file__).resolve().parents[2] / "sidecar" / "pointsman_sidecar" / "complexity"


def main() -> int:
    """Train; 2 where there is nothing to train on."""
    parser = argparse.ArgumentParser(prog="make train", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with the recorded results and their DATA.md")
    parser.add_argument("--output", type=Path, default=_PACKAGE, help="the folder for the model and its card")
    given = parser.parse_args()
    try:
        rows = list(read_all(given.data))
    except NoDataError as error:
        sys.stderr.write(f"train: {error}\n")
        return 2
    raw = dump(model(table(rows)))
    (given.output / "complexity.model").write_bytes(raw)
    (given.output / "complexity.card.json").write_text(card(rows, raw), encoding="utf-8")
    sys.stdout.write(f"{len(raw):,} bytes of model, learnt from {len(rows):,} questions\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
