"""`make eval-savings`: what rules, the score before a call and the judge after it would save, on recorded questions."""

import argparse
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.table import Table as Shown

from complexity.sets import NoDataError, Row, read_all
from complexity.table import table
from confidence import samples
from evaluating import crossing, judging, replay
from evaluating.replay import Question
from pointsman.drawing import Series, picture
from pointsman_sidecar.lexicons import LANGUAGES, words
from pointsman_sidecar.routing.content import Content
from pointsman_sidecar.routing.estimates import text_tokens
from pointsman_sidecar.routing.facts import NOWHERE, Facts
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.matchers import Domain, DomainIn, Kind, KindIn
from pointsman_sidecar.routing.matching import matches
from pointsman_sidecar.routing.policy import Condition
from pointsman_sidecar.routing.risk import Lexicon

_DOCS = Path(__file__).resolve().parents[3] / "docs"
# What a platform team would write without a score: matters of risk by all lexicons, code and formulas go up.
_RULES = Condition(any=(DomainIn(domains=frozenset(Domain)), KindIn(kinds=frozenset(Kind))))
_SWEEP = 40
_MARKED_SHARE, _MARKED_CUT, _LEAST_CUT = 0.1, 0.7, 0.4


def main() -> int:
    """Replay; 2 where there is nothing to replay."""
    parser = argparse.ArgumentParser(prog="make eval-savings", description=__doc__)
    parser.add_argument("data", type=Path, help="the folder with the recorded results and their DATA.md")
    parser.add_argument("--plots", type=Path, default=_DOCS, help="the folder for the two pictures")
    given = parser.parse_args()
    # As wide as the table is, be it in a file.
    console = Console(highlight=False, width=150)
    try:
        rows = list(read_all(given.data))
    except NoDataError as error:
        sys.stderr.write(f"eval-savings: {error}\n")
        return 2
    mixed = _questions(rows, given.data)
    answered = [each for each in mixed if each.confidence is not None]
    console.print(
        f"Prices {replay.STRONG[0] / replay.WEAK[0]:.1f} to 1. A question that is asked of both models is paid twice. "
        "Scores and confidences are of folds that never saw the question."
    )
    _shown(
        mixed,
        f"All {len(mixed):,} questions; {len(answered):,} have an answer to judge, of the others the score decides",
        console,
    )
    _drawn(
        mixed, given.plots / "savings.svg", f"{len(mixed):,} mixed questions: what was right, and what it cost", console
    )
    _shown(answered, f"The {len(answered):,} questions that have an answer to judge", console)
    _drawn(
        answered,
        given.plots / "savings-judged.svg",
        f"{len(answered):,} questions with answers that can be judged",
        console,
    )
    return 0


def _questions(rows: Sequence[Row], folder: Path) -> list[Question]:
    scores = _places(rows, crossing.within(table(rows)).tolist())
    trusted = judging.calibrated(samples.read(folder))
    lexicon = Lexicon(told for language in sorted(LANGUAGES) for told in words(language))
    return [
        Question(
            tokens=text_tokens(row.prompt),
            weak=row.weak,
            strong=row.strong,
            complexity=score,
            ruled=_ruled(row.prompt, lexicon),
            confidence=trusted.get((row.source, row.id)),
        )
        for row, score in zip(rows, scores, strict=True)
    ]


def _places(rows: Sequence[Row], scores: Sequence[float]) -> list[float]:
    """Where each score stands among all, as the shipped model has it: each set by the root of its size."""
    sizes = Counter(row.source for row in rows)
    weights = [sizes[row.source] ** -0.5 for row in rows]
    found, below, total = [0.0] * len(rows), 0.0, sum(weights)
    for at in sorted(range(len(rows)), key=scores.__getitem__):
        found[at] = (below + weights[at] / 2) / total
        below += weights[at]
    return found


def _ruled(prompt: str, lexicon: Lexicon) -> bool:
    content = Content(messages=lambda: (prompt,), tool_names=tuple)
    size = len(prompt.encode())
    features = Features(request_bytes=size, estimated_input_tokens=text_tokens(prompt), content=content)
    return matches(_RULES, Facts(features, NOWHERE, lexicon)).holds


def _shown(questions: Sequence[Question], title: str, console: Console) -> None:
    outcomes = [replay.played(questions, each) for each in replay.strategies(questions)]
    cheap, flagship = outcomes[:2]
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
    console.print(f"\n{title}")
    console.print(shown)
    marked = replay.played(questions, replay.by_both(questions, _MARKED_SHARE))
    console.print(
        f"Both, at a share of {_MARKED_SHARE:.0%}: {1 - marked.cost / flagship.cost:.1%} of the cost is cut, where "
        f"{_MARKED_CUT:.0%} is asked for; {100 * (flagship.right - marked.right):.2f} points are lost to all flagship."
    )
    shares = [step / 100 for step in range(101)]
    cuts = {
        share: 1 - replay.played(questions, replay.by_both(questions, share)).cost / flagship.cost for share in shares
    }
    most = max(share for share in shares if cuts[share] >= _LEAST_CUT)
    console.print(f"{_LEAST_CUT:.0%} and more is cut up to a share of {most:.0%}.")


def _drawn(questions: Sequence[Question], path: Path, title: str, console: Console) -> None:
    def at(strategy: replay.Strategy) -> tuple[float, float]:
        found = replay.played(questions, strategy)
        return found.cost, 100 * found.right

    shares = [step / _SWEEP for step in range(_SWEEP + 1)]
    cheap, flagship, rules, *_ = every = replay.strategies(questions)
    series = [
        Series("complexity", [at(replay.by_complexity(questions, each)) for each in shares]),
        Series("cascade", [at(replay.by_cascade(questions, each)) for each in shares]),
        Series("at random", [at(cheap), at(flagship)]),
        Series("both", [at(replay.by_both(questions, each)) for each in shares]),
        Series("rules only", [at(rules)]),
        Series(every[-1].name, [at(every[-1])]),
    ]
    drawn = picture(series, title=title, across="dollars for 1,000 questions", up="right, in percent")
    path.write_text(drawn, encoding="utf-8")
    console.print(f"Drawn to {path}")


if __name__ == "__main__":
    sys.exit(main())
