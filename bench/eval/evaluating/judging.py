"""Confidences by judges that saw neither the answer nor its question, and calibrated by labels of other questions."""

from collections.abc import Mapping, Sequence

from confidence import fitting
from confidence.samples import FOLDS, Sample
from pointsman_sidecar.confidence.calibration import Labelled, fit

# Whose answers a set holds: a calibration is a model's.
_MODELS = {
    "routellm_gsm8k_dev": "Mixtral-8x7B-Instruct-v0.1",
    "zeroeval_gsm_dev": "gpt-4o-mini",
    "zeroeval_math_l5": "gpt-4o-mini",
}


def judged(labelled: Sequence[Sample], learned: Sequence[str], folds: Sequence[int]) -> dict[tuple[str, str], float]:
    """By set and id, a confidence for each answer among some folds, by models that saw the others of these alone."""
    found: dict[tuple[str, str], float] = {}
    for fold in folds:
        model = fitting.fit([each for each in labelled if each.fold in folds and each.fold != fold], learned)
        found |= {(each.source, each.id): model.value(each.seen) for each in labelled if each.fold == fold}
    return found


def calibrated(labelled: Sequence[Sample]) -> Mapping[tuple[str, str], float]:
    """The same of all folds, each calibrated by labels of which no judge, and no map, saw its question."""
    learned, every = fitting.names(labelled), range(FOLDS)
    raw = judged(labelled, learned, every)
    found = {}
    for fold in every:
        others = [each for each in every if each != fold]
        labels = judged(labelled, learned, others)
        calibration = fit(
            Labelled(_MODELS[each.source], labels[each.source, each.id], each.is_right)
            for each in labelled
            if each.fold != fold
        )
        for each in labelled:
            if each.fold == fold:
                key = each.source, each.id
                found[key] = calibration.apply(_MODELS[each.source], raw[key])
    return found
