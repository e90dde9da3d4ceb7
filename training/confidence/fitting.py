"""Fits the logistic model. The same samples give the same model."""

from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from confidence.samples import Sample
from pointsman_sidecar.confidence.models import Model, Weight

Numbers = NDArray[np.float64]

# What holds the weights down; what an answer of the two sets counts where the third is what is to be learned of:
# those models answer in another form, and are right more often.
PENALTY = 25.0
OTHERS = 0.6
MAIN = "routellm_gsm8k_dev"
_LEVEL_PENALTY = 1e-3
# Few answers have these, and nearly all that do are wrong: held down like the rest they would say too little.
FEW, FEW_PENALTY = frozenset({"has_wrong_sum", "ends_openly"}), 4.0
_ROUNDS = 30

# What the samples cannot teach, since they have none of it: set by hand, mean, scale and weight. A sign that is hardly
# ever there says nothing by being away, hence the means of 0.
PRIORS: dict[str, Weight] = {
    "refused": Weight(0.0, 1.0, -3.5),
    "empty": Weight(0.0, 1.0, -8.0),
    "stopped_early": Weight(0.0, 1.0, -2.5),
    "repetition": Weight(0.0, 1.0, -3.0),
    "invalid_json": Weight(0.0, 1.0, -4.0),
    "least_probable": Weight(0.1, 0.1, 0.15),
    "probable_p5": Weight(0.5, 0.25, 0.5),
    "probable_p50": Weight(0.95, 0.1, 0.3),
    "doubtful_tokens": Weight(0.05, 0.05, -0.4),
    "hedges": Weight(0.0, 1.0, -0.8),
}


def names(samples: Iterable[Sample], *, without: frozenset[str] = frozenset()) -> list[str]:
    """The signals to learn of, in order."""
    return sorted({name for sample in samples for name in sample.seen} - set(PRIORS) - without)


def fit(samples: Sequence[Sample], learned: Sequence[str], *, main: str = MAIN, others: float = OTHERS) -> Model:
    """Learn from samples; those that are not of `main` count by `others`."""
    seen = np.array([[sample.seen.get(name, np.nan) for name in learned] for sample in samples])
    right = np.array([sample.is_right for sample in samples])
    counts = np.array([1.0 if sample.source == main else others for sample in samples])
    mean = np.nan_to_num(np.nanmean(seen, axis=0))
    scale = np.nanstd(seen, axis=0)
    scale[~(scale > 1e-9)] = 1.0  # noqa: PLR2004 - a signal that never changes
    # Rounded as they are written down: the model that is measured is the one that is shipped.
    mean, scale = np.round(mean, 5), np.maximum(np.round(scale, 5), 1e-5)
    inputs = np.nan_to_num((seen - mean) / scale).clip(-4, 4)
    fixed = np.array([_prior(sample) for sample in samples])
    # Each set has a level of its own, so that no weight learns how another model answers, or how hard another set is.
    sources = sorted({sample.source for sample in samples})
    levels = np.array([[float(sample.source == source) for source in sources] for sample in samples])
    held = np.array([FEW_PENALTY if name in FEW else PENALTY for name in learned])
    weights, found_levels = _newton(inputs, levels, held, right, counts, fixed)
    bias = float(found_levels[sources.index(main)])
    found = {
        name: Weight(float(mean[index]), float(scale[index]), round(float(weights[index]), 5))
        for index, name in enumerate(learned)
    }
    return Model(bias=round(bias, 5), weights=found | PRIORS)


def _prior(sample: Sample) -> float:
    return sum(
        prior.weight * (sample.seen[name] - prior.mean) / prior.scale
        for name, prior in PRIORS.items()
        if name in sample.seen
    )


def _newton(
    inputs: Numbers, levels: Numbers, held: Numbers, right: Numbers, counts: Numbers, fixed: Numbers
) -> tuple[Numbers, Numbers]:
    rows = np.hstack([inputs, levels])
    known = inputs.shape[1]
    penalty = np.concatenate([held, np.full(levels.shape[1], _LEVEL_PENALTY)])
    weights = np.zeros(rows.shape[1])
    for _ in range(_ROUNDS):
        expected = 1 / (1 + np.exp(-(rows @ weights + fixed)))
        slope = rows.T @ (counts * (expected - right)) + penalty * weights
        bend = (rows * (counts * expected * (1 - expected))[:, None]).T @ rows + np.diag(penalty)
        step = np.linalg.solve(bend, slope)
        weights = weights - step
        if np.abs(step).max() < 1e-9:  # noqa: PLR2004 - nothing moves any more
            break
    return weights[:known], weights[known:]
