"""`make eval-judge DATA=FOLDER`: what the judge is worth on answers that it was not trained on."""

import sys
from collections.abc import Sequence
from pathlib import Path

from confidence import fitting, samples
from confidence.samples import FOLDS, SETS, Sample
from evaluating import judging, measures
from pointsman.quality import RANDOM, Interval
from pointsman_sidecar.confidence.calibration import Labelled, fit
from pointsman_sidecar.confidence.reliability import Bin, ece, table

# What tells how an answer is written rather than whether it is right; and what the question tells before any answer.
_FORM = frozenset({
    "annotated_sums", "ends_openly", "final_has_numbers", "final_has_words", "final_is_marked", "final_is_said",
    "length", "length_to_prompt", "unbalanced", "corrections",
})  # fmt: skip
_BINS, _LEAST = 5, (100, 50)


def main() -> None:
    """Print the tables."""
    if len(sys.argv) != 2:  # noqa: PLR2004 - the command and the folder
        sys.exit("give the folder of the data: make eval-judge DATA=FOLDER")
    labelled = samples.read(Path(sys.argv[1]))
    everything = fitting.names(labelled)
    question = frozenset(name for name in everything if name.startswith(("prompt_", "asks_")))
    kinds = {
        "all signals": everything,
        "without the answer's form": fitting.names(labelled, without=_FORM),
        "without the question": fitting.names(labelled, without=question),
        "neither: sums and numbers": fitting.names(labelled, without=_FORM | question),
    }
    for source in SETS:
        own = samples.of(labelled, source)
        right = [each.is_right for each in own]
        gains = [each.gain for each in own]
        _say(f"\n{source}: {len(own)} answers, {sum(right) / len(own):.1%} right, cross-validated by question")
        _say(f"{'':28}{'APGR':>6} {'95% interval':17}{'CPT50':>6}{'CPT80':>6}{'AUC':>7}")
        _row("random", measures.Quality(RANDOM, Interval(RANDOM.apgr, RANDOM.apgr)), 0.5)
        lengths = [float(each.prompt_length) for each in own]
        _row("length of the prompt", measures.quality(lengths, gains), measures.auc([-each for each in lengths], right))
        for kind, learned in kinds.items():
            trusted = _trusted(labelled, own, learned)
            doubts = [1 - each for each in trusted]
            _row(kind, measures.quality(doubts, gains), measures.auc(trusted, right))
        _calibration(own, _trusted(labelled, own, everything))


def _trusted(labelled: Sequence[Sample], own: Sequence[Sample], learned: Sequence[str]) -> list[float]:
    found = judging.judged(labelled, learned, range(FOLDS))
    return [found[each.source, each.id] for each in own]


def _calibration(own: Sequence[Sample], trusted: Sequence[float]) -> None:
    """Fit a map on one half, and see on the other whether it says what it means."""
    lines = [
        (each, Labelled(model="cheap", confidence=confidence, is_right=each.is_right))
        for each, confidence in zip(own, trusted, strict=True)
    ]
    for number, half in enumerate((0, 1), start=1):
        known = [line for index, (_, line) in enumerate(lines) if index % 2 == half]
        new = [line for index, (_, line) in enumerate(lines) if index % 2 != half]
        calibration = fit(known)
        mapped = [(calibration.apply("cheap", line.confidence), line.is_right) for line in new]
        for least in _LEAST:
            bins = table(mapped, bins=_BINS, least=least)
            _say(f"calibrated on half {number}, on the other, bins of {least} at least:")
            _say(f"    ECE {ece(bins):.3f}, largest gap {max(map(_gap, bins)):.3f}")
            for each in bins:
                _say(f"    {each.confidence:.3f} said, {each.accuracy:.3f} right of {each.count} (±{each.chance:.3f})")


def _gap(one: Bin) -> float:
    return abs(one.gap)


def _row(name: str, found: measures.Quality, auc: float) -> None:
    worth, interval = found.worth, f"[{found.apgr.low:.3f}, {found.apgr.high:.3f}]"
    _say(f"{name:28}{worth.apgr:6.3f} {interval:17}{worth.cpt50:6.1f}{worth.cpt80:6.1f}{auc:7.3f}")


def _say(text: str) -> None:
    print(text)  # noqa: T201 - what a command is for


if __name__ == "__main__":
    main()
