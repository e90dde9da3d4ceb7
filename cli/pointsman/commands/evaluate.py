"""`pointsman evaluate`."""

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from pointsman.drawing import Series, picture
from pointsman.errors import UserError
from pointsman.lines import objects, text
from pointsman.quality import RANDOM, Interval, NoGapError, Ordered, Quality, interval, resampled
from pointsman_sidecar.complexity import Scorer

SHARES = (0.05, 0.1, 0.2, 0.4)
_DIGITS = 4
_PRICED = 100


@dataclass(frozen=True, slots=True)
class Question:
    """What two models made of a prompt, from 0 to 1 each, and the score that stands for it, where one was given."""

    prompt: str
    weak: float
    strong: float
    score: float


@dataclass(frozen=True, slots=True)
class Mix:
    """What comes of sending a share of the questions to the stronger model."""

    share: float
    accuracy: float
    cost: float
    saved: float
    cost_of_a_point: float | None


def evaluate(
    path: Path,
    *,
    prices: tuple[float, float],
    draws: int,
    plot: Path | None,
    as_json: bool,
    out: Console,
) -> None:
    """Print how well the scores pick, and what each share costs.

    Raises:
        UserError: the file cannot be read, or nothing can be told from it.
    """
    scorer = Scorer.load()
    questions = [_question(raw, where, scorer) for where, raw in objects(path)]
    if not questions:
        raise UserError(f"{path} has no lines: write one question a line")
    gains = [each.strong - each.weak for each in questions]
    orders = {
        "complexity": Ordered([each.score for each in questions], gains),
        "prompt length": Ordered([float(len(each.prompt)) for each in questions], gains),
    }
    try:
        found = {name: each.quality() for name, each in orders.items()}
    except NoGapError as error:
        raise UserError(f"{path}: {error}") from error
    positions, draw = range(len(questions)), random.Random(0)  # noqa: S311 - a sample, no secret; the same each time
    drawn = resampled(
        list(orders.values()), rows=len(questions), draws=draws, choose=lambda count: draw.choices(positions, k=count)
    )
    spans = {name: _spans(each) for name, each in zip(orders, drawn, strict=True)}
    mixes = [mix(questions, share, prices) for share in (0, *SHARES, 1)]
    if plot is not None:
        _draw(plot, orders)
    if as_json:
        out.print_json(json.dumps(_plain(len(questions), found, spans, mixes)))
    else:
        _print(questions, found, spans, mixes, out=out)


def mix(questions: Sequence[Question], share: float, prices: tuple[float, float]) -> Mix:
    """What comes of a share: the highest scores go up. Costs are of a call each, in the unit of the prices."""
    count = round(share * len(questions))
    ordered = sorted(questions, key=lambda each: -each.score)
    right = sum(each.strong for each in ordered[:count]) + sum(each.weak for each in ordered[count:])
    weak, strong = prices
    part = count / len(questions)
    cost = part * strong + (1 - part) * weak
    gained = _PRICED * (right - sum(each.weak for each in questions)) / len(questions)
    return Mix(
        share=share,
        accuracy=right / len(questions),
        cost=cost,
        saved=1 - cost / strong,
        cost_of_a_point=(cost - weak) / gained if gained > 0 else None,
    )


def _question(raw: Mapping[str, Any], where: str, scorer: Scorer) -> Question:
    if "prompt" not in raw and isinstance(raw.get("question"), str) and isinstance(raw.get("options"), list):
        prompt = "\n".join([raw["question"], *map(str, raw["options"])])
    else:
        prompt = text(raw, "prompt", where)
    return Question(
        prompt, _part(raw, "weak_correct", where), _part(raw, "strong_correct", where), scorer.score(prompt)
    )


def _part(raw: Mapping[str, Any], member: str, where: str) -> float:
    value = raw.get(member)
    if not isinstance(value, int | float) or not 0 <= value <= 1:
        raise UserError(f'{where}: "{member}" must be a number from 0 (wrong) to 1 (right)')
    return float(value)


def _spans(drawn: Sequence[Quality]) -> dict[str, Interval]:
    if not drawn:
        return {}
    return {name: interval([getattr(each, name) for each in drawn]) for name in ("apgr", "cpt50", "cpt80")}


def _print(
    questions: Sequence[Question],
    found: Mapping[str, Quality],
    spans: Mapping[str, Mapping[str, Interval]],
    mixes: Sequence[Mix],
    *,
    out: Console,
) -> None:
    count = len(questions)
    weak, strong = (sum(getattr(each, name) for each in questions) / count for name in ("weak", "strong"))
    out.print(f"{count:,} questions; the cheap model gets {weak:.1%} right, the stronger one {strong:.1%}")
    table = Table("ORDER", "APGR", "", "CPT50", "", "CPT80", "", box=None)
    for name, quality in {**found, "random": RANDOM}.items():
        cells = []
        for figure, digits in (("apgr", 3), ("cpt50", 1), ("cpt80", 1)):
            span = spans.get(name, {}).get(figure)
            cells += [
                f"{getattr(quality, figure):.{digits}f}",
                f"[{span.low:.{digits}f}, {span.high:.{digits}f}]" if span else "",
            ]
        table.add_row(name, *cells)
    out.print(table)
    costs = Table("SHARE UP", "RIGHT", "COST A CALL", "CUT", "A POINT MORE COSTS", box=None)
    for each in mixes:
        point = "-" if each.cost_of_a_point is None else f"{each.cost_of_a_point:.4g}"
        costs.add_row(f"{each.share:.0%}", f"{each.accuracy:.1%}", f"{each.cost:.4g}", f"{each.saved:.1%}", point)
    out.print(costs)


def _plain(
    count: int,
    found: Mapping[str, Quality],
    spans: Mapping[str, Mapping[str, Interval]],
    mixes: Sequence[Mix],
) -> dict[str, object]:
    return {
        "questions": count,
        "orders": {
            name: {
                figure: {
                    "value": round(getattr(quality, figure), _DIGITS),
                    "interval": [round(span.low, _DIGITS), round(span.high, _DIGITS)]
                    if (span := spans[name].get(figure))
                    else None,
                }
                for figure in ("apgr", "cpt50", "cpt80")
            }
            for name, quality in found.items()
        },
        "mixes": [asdict(each) for each in mixes],
    }


def _draw(plot: Path, orders: Mapping[str, Ordered]) -> None:
    series = []
    for name, each in orders.items():
        shares, parts = each.curve()
        step = max(1, len(shares) // 200)
        points = list(zip(shares, parts, strict=True))
        series.append(Series(name, [*points[::step], points[-1]]))
    series.append(Series("random", [(0, 0), (1, 1)]))
    drawn = picture(
        series,
        title="What is recovered of the gap between the two models",
        across="share of the questions sent to the stronger model",
        up="part of the gap",
    )
    try:
        plot.write_text(drawn, encoding="utf-8")
    except OSError as error:
        raise UserError(f"--plot {plot} cannot be written: {error.strerror or error}") from error
