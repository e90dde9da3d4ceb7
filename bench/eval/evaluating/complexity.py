"""`make eval`: how well the complexity score picks, on questions not learnt from."""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table as Shown

from complexity.sets import TRAINED, NoDataError, Row, read_all
from complexity.table import table
from evaluating import crossing
from pointsman.quality import RANDOM, Ordered, Quality, interval, resampled

_MARKED = ("routellm_mmlu_dev", "routellm_gsm8k_dev", "mmlupro_dev")
_WAYS = ("five folds", "other sets alone")


def main() -> int:
    """Measure; 2 where there is nothing to measure on."""
    parser = argparse.ArgumentParser(prog="make eval", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with the recorded results and their DATA.md")
    parser.add_argument("--draws", type=int, default=500, help="how often to draw anew, for the intervals")
    given = parser.parse_args()
    # As wide as the table is, be it in a file.
    console = Console(highlight=False, width=150)
    try:
        rows = list(read_all(given.data))
    except NoDataError as error:
        sys.stderr.write(f"eval: {error}\n")
        return 2
    measured = table(rows)
    scores = dict(zip(_WAYS, (crossing.within(measured).tolist(), crossing.across(measured).tolist()), strict=True))
    _qualities(rows, scores, draws=given.draws, console=console)
    return 0


def _qualities(rows: Sequence[Row], scores: dict[str, list[float]], *, draws: int, console: Console) -> None:
    shown = Shown("SET", "ORDER", "APGR", "95 %", "CPT50", "95 %", "CPT80", "95 %", "- LENGTH, 90 %", box=None)
    better: dict[str, list[list[float]]] = {way: [] for way in _WAYS}
    for source in TRAINED:
        at = [place for place, row in enumerate(rows) if row.source == source]
        gains = [rows[place].gain for place in at]
        orders = {way: Ordered([scores[way][place] for place in at], gains) for way in _WAYS}
        orders["prompt length"] = Ordered([float(len(rows[place].prompt)) for place in at], gains)
        draw = random.Random(0)  # noqa: S311 - a sample, no secret; the same each time
        places = range(len(at))
        drawn = dict(
            zip(
                orders,
                resampled(
                    list(orders.values()),
                    rows=len(at),
                    draws=draws,
                    choose=lambda count, draw=draw, places=places: draw.choices(places, k=count),  # type: ignore[misc]
                ),
                strict=True,
            )
        )
        length = [each.apgr for each in drawn["prompt length"]]
        shown.add_row(source, "random", *_cells(RANDOM, []), "")
        for name, order in orders.items():
            differences = [each.apgr - other for each, other in zip(drawn[name], length, strict=True)]
            if name in _WAYS and source in _MARKED:
                better[name].append(differences)
            ahead = "" if name == "prompt length" else _span(differences, 3, part=0.9)
            shown.add_row("", name, *_cells(order.quality(), drawn[name]), ahead)
    console.print(shown)
    for way, found in better.items():
        pooled = [fmean(each) for each in zip(*found, strict=True)]
        console.print(
            f"{way}: APGR less that of the length, mean over MMLU, GSM8K and MMLU-Pro: {fmean(pooled):+.3f}, "
            f"90 % {_span(pooled, 3, part=0.9)}"
        )


def _cells(quality: Quality, drawn: Sequence[Quality]) -> list[str]:
    cells = []
    for figure, digits in (("apgr", 3), ("cpt50", 1), ("cpt80", 1)):
        cells.append(f"{getattr(quality, figure):.{digits}f}")
        cells.append(_span([getattr(each, figure) for each in drawn], digits))
    return cells


def _span(values: Sequence[float], digits: int, *, part: float = 0.95) -> str:
    if not values:
        return ""
    found = interval(values, part=part)
    return f"\\[{found.low:.{digits}f}, {found.high:.{digits}f}]"


if __name__ == "__main__":
    sys.exit(main())
