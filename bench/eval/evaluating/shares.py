"""`make eval-share`: whether a share that is asked for is kept, on questions of a kind that nothing was learnt from."""

import argparse
import random
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from rich.console import Console
from rich.table import Table as Shown

from complexity.fitting import model, unseen
from complexity.sets import TRAINED, NoDataError, Row, read, read_all
from complexity.table import Table, table
from pointsman_api.v1 import tuning_pb2
from pointsman_operator.tuning import thresholds
from pointsman_operator.tuning.tallies import growth
from pointsman_operator.tuning.thresholds import Scores
from pointsman_sidecar.complexity.scorer import Scorer
from pointsman_sidecar.contract.tunings import tally_of
from pointsman_sidecar.tuning.counting import PolicyCounts
from pointsman_sidecar.tuning.shares import OwnThresholds
from pointsman_sidecar.tuning.tuning import UNTUNED, Tuning, tuning_for

_ASKED = (5, 10, 20, 40)
_UNTRAINED = "routerbench_subset"
_FIRST, _ALL = 1_000, 4_000
_DRAWS = 10
_SIDECARS = 20
# So many requests pass in the whole fleet from one computing to the next, and to its being heard of.
_LATE = 100
_UID = "policy"
_PARTS = ("first", "later")

Way = Callable[[int, Sequence[float]], Iterator[bool]]


@dataclass(frozen=True, slots=True)
class Kept:
    """The share that went up: of the first requests, and of those that followed."""

    first: float
    later: float


def alone(share: int, scores: Sequence[float]) -> Iterator[bool]:
    """Which of these requests go up in a sidecar that has no operator to hear from."""
    own = OwnThresholds()
    for score in scores:
        yield score >= own.threshold(_UID, share)
        own.add(_UID, share, score)


def together(share: int, scores: Sequence[float]) -> Iterator[bool]:
    """Which go up in a new fleet, whose requests come to one sidecar after the other."""
    counts = [PolicyCounts(policy_uid=_UID, process=str(number), began=1) for number in range(_SIDECARS)]
    own = [OwnThresholds() for _ in counts]
    said = [tuning_pb2.Tally() for _ in counts]
    kept, told, heard = Scores(), UNTUNED, UNTUNED
    for turn, score in enumerate(scores):
        at = turn % _SIDECARS
        tuning = tuning_for(_UID, share, fleet=heard, own_threshold=own[at].threshold(_UID, share))
        is_high = tuning.complexity_threshold is not None and score >= tuning.complexity_threshold
        yield is_high
        own[at].add(_UID, share, score)
        counts[at].score(score, is_high=is_high)
        if turn % _LATE == _LATE - 1:
            for number, each in enumerate(counts):
                tally = tally_of(each)
                kept = thresholds.taken_in(kept, growth(said[number], tally))
                said[number] = tally
            kept = thresholds.placed(kept, share)
            # What is told now is heard of when the next is told.
            heard, told = told, Tuning(policy_uid=_UID, complexity_threshold=kept.threshold, complexity_share=share)


def main() -> int:
    """Measure; 2 where there is nothing to measure on."""
    parser = argparse.ArgumentParser(prog="make eval-share", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with the recorded results and their DATA.md")
    given = parser.parse_args()
    console = Console(highlight=False, width=150)
    try:
        rows = list(read_all(given.data))
        beside = read(given.data, _UNTRAINED)
    except NoDataError as error:
        sys.stderr.write(f"eval-share: {error}\n")
        return 2
    measured = table(rows)
    scores = {source: _unlearnt(rows, measured, source) for source in TRAINED}
    scores[_UNTRAINED] = [Scorer.load().score(row.prompt) for row in beside]
    console.print(
        f"Shares of requests that go up, in percent: the mean of {_DRAWS} orders, and the one that is furthest off.\n"
        f"FIRST: of the first {_FIRST:,} requests. LATER: of the {_ALL - _FIRST:,} that follow."
    )
    _print("one sidecar alone", alone, scores, console)
    _print(f"a fleet of {_SIDECARS}", together, scores, console)
    return 0


def _unlearnt(rows: Sequence[Row], measured: Table, source: str) -> list[float]:
    """The scores of a set by a model like the shipped one that has learnt from the other sets alone."""
    held_out = np.array([at for at, row in enumerate(rows) if row.source == source])
    scorer = Scorer(model(measured.pick(unseen(measured, held_out=held_out))))
    return [scorer.score(rows[at].prompt) for at in held_out]


def _print(title: str, way: Way, scores: dict[str, list[float]], console: Console) -> None:
    shown = Shown("SET", *(f"{each} % {part}" for each in _ASKED for part in ("FIRST", "LATER")), box=None, title=title)
    worst = dict.fromkeys(_PARTS, 0.0)
    for source, found in scores.items():
        cells = []
        for share in _ASKED:
            kept = [_kept(way, share, found, seed) for seed in range(_DRAWS)]
            for part in _PARTS:
                values = [100 * getattr(each, part) for each in kept]
                furthest = max(values, key=lambda value, share=share: abs(value - share))  # type: ignore[misc]
                worst[part] = max(worst[part], abs(furthest - share))
                cells.append(f"{sum(values) / len(values):.1f} ({furthest:.1f})")
        shown.add_row(source, *cells)
    console.print(shown)
    console.print(
        f"{title}: off by at most {worst['first']:.1f} points of the first, {worst['later']:.1f} of those that follow\n"
    )


def _kept(way: Way, share: int, scores: Sequence[float], seed: int) -> Kept:
    draw = random.Random(seed)  # noqa: S311 - an order, no secret; the same each time
    drawn = draw.sample(scores, k=min(_ALL, len(scores)))
    # A small set is asked again.
    drawn += draw.choices(scores, k=_ALL - len(drawn))
    went_up = list(way(share, drawn))
    return Kept(sum(went_up[:_FIRST]) / _FIRST, sum(went_up[_FIRST:]) / (_ALL - _FIRST))


if __name__ == "__main__":
    sys.exit(main())
