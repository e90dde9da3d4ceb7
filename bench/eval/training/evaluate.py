"""`make eval`: how well the complexity score picks, on questions not learnt from, and what it would save."""

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from statistics import fmean

from rich.console import Console
from rich.table import Table as Shown

from pointsman.drawing import Series, picture
from pointsman.quality import RANDOM, Ordered, Quality, interval, resampled
from training import crossing, replay
from training.sets import TRAINED, NoDataError, Row, read_all
from training.table import table

_ROOT = Path(__file__).resolve().parents[3]
_MARKED = ("routellm_mmlu_dev", "routellm_gsm8k_dev", "mmlupro_dev")
_WAYS = ("five folds", "other sets alone")
_SWEEP = 40


def main() -> int:
    """Measure; 2 where there is nothing to measure on."""
    parser = argparse.ArgumentParser(prog="make eval", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with the recorded results and their DATA.md")
    parser.add_argument("--draws", type=int, default=500, help="how often to draw anew, for the intervals")
    parser.add_argument("--plot", type=Path, default=_ROOT / "docs" / "complexity.svg", help="where to draw the replay")
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
    _replay(rows, scores[_WAYS[0]], given.plot, console)
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


def _replay(rows: Sequence[Row], scores: Sequence[float], plot: Path, console: Console) -> None:
    outcomes = [replay.played(rows, each) for each in replay.strategies(rows, scores)]
    cheap, flagship = outcomes[:2]
    console.print(f"\nReplay of {len(rows):,} questions of all sets, scored by the other folds")
    shown = Shown("WAY", "SHARE UP", "RIGHT", "LOST", "$ FOR 1,000", "CUT", "$ FOR A POINT MORE", box=None)
    for each in outcomes:
        gained = 100 * (each.right - cheap.right)
        shown.add_row(
            each.name,
            f"{each.share:.1%}",
            f"{each.right:.2%}",
            f"{100 * (flagship.right - each.right):.2f} points",
            f"{each.cost:.3f}",
            f"{1 - each.cost / flagship.cost:.1%}",
            f"{(each.cost - cheap.cost) / gained:.3f}" if gained > 0 else "-",
        )
    console.print(shown)
    sweep = [
        replay.played(rows, replay.Strategy("", replay.by_score(scores, step / _SWEEP))) for step in range(_SWEEP + 1)
    ]
    series = [
        Series("complexity", [(each.cost, 100 * each.right) for each in sweep]),
        Series("at random", [(each.cost, 100 * each.right) for each in (cheap, flagship)]),
        *(Series(each.name, [(each.cost, 100 * each.right)]) for each in outcomes[:3]),
    ]
    drawn = picture(
        series,
        title=f"{len(rows):,} recorded questions: what was right, and what it cost",
        across="dollars for 1,000 questions",
        up="right, in percent",
    )
    plot.write_text(drawn, encoding="utf-8")
    console.print(f"Drawn to {plot}")


if __name__ == "__main__":
    sys.exit(main())
