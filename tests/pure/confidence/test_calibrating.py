"""A calibrated confidence means what it says."""

import itertools
import random
from collections import Counter
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_api.v1 import tuning_pb2
from pointsman_sidecar.confidence.calibration import ENOUGH, Calibration, Curve, Labelled, fit
from pointsman_sidecar.confidence.calibration_json import CalibrationError, from_json, to_json
from pointsman_sidecar.confidence.reliability import ece, table
from pointsman_sidecar.contract.tunings import read_tuning, tally_of
from pointsman_sidecar.tuning.counting import PolicyCounts

LABELS = st.lists(
    st.builds(Labelled, st.sampled_from(["mini", "flagship"]), st.floats(0, 1), st.sampled_from([0.0, 0.5, 1.0])),
    max_size=80,
)


def answers(count: int, *, seed: int, truth: Callable[[float], float]) -> list[Labelled]:
    """Answers of a model that is right as often as `truth` says of what the judge says."""
    drawn = random.Random(seed)  # noqa: S311 - a draw that repeats is wanted
    confidences = [drawn.random() for _ in range(count)]
    return [Labelled("mini", each, float(drawn.random() < truth(each))) for each in confidences]


def timid(confidence: float) -> float:
    """What a logistic curve can undo."""
    odds = (confidence + 1e-9) / (1 - confidence + 1e-9)
    return odds**2 / (odds**2 + 3)


def bent(confidence: float) -> float:
    """What it cannot."""
    return 0.3 + 0.1 * (confidence > 0.3) + 0.5 * (confidence > 0.7)


@pytest.mark.parametrize(("count", "truth"), [(600, timid), (5_000, timid), (5_000, bent)])
def test_a_map_learned_on_half_holds_on_the_other(count: int, truth: Callable[[float], float]) -> None:
    calibration = fit(answers(count, seed=1, truth=truth))
    fresh = answers(20_000, seed=2, truth=truth)
    raw = table(((each.confidence, each.is_right) for each in fresh), least=400)
    mapped = table(((calibration.apply("mini", each.confidence), each.is_right) for each in fresh), least=400)
    assert max(abs(each.gap) for each in raw) > 0.15
    assert max(abs(each.gap) for each in mapped) < 0.05
    assert ece(mapped) < 0.03


@given(LABELS)
def test_any_labels_give_maps_that_rise_within_bounds(labels: list[Labelled]) -> None:
    calibration = fit(labels)
    for model in ("mini", "flagship", "unheard of"):
        values = [calibration.apply(model, step / 40) for step in range(41)]
        assert all(0 <= each <= 1 for each in values)
        assert all(left <= right for left, right in itertools.pairwise(values))
    assert from_json(to_json(calibration)) == calibration


@given(st.integers(0, 5), st.sampled_from([0.0, 1.0]))
def test_many_labels_of_one_kind_give_maps_that_rise(seed: int, right: float) -> None:
    drawn = random.Random(seed)  # noqa: S311 - a draw that repeats is wanted
    labels = [Labelled("mini", drawn.choice([0.2, 0.2, 0.9]), right) for _ in range(1_200)]
    assert from_json(to_json(fit(labels))).apply("mini", 0.5) == pytest.approx(right, abs=0.05)


def test_each_model_has_a_map_of_its_own() -> None:
    good = [Labelled("good", 0.5, 1.0)] * 50
    bad = [Labelled("bad", 0.5, 0.0)] * 50
    calibration = fit([*good, *bad])
    assert calibration.apply("good", 0.5) > 0.9
    assert calibration.apply("bad", 0.5) < 0.1
    assert calibration.apply("another", 0.5) == pytest.approx(0.5, abs=0.05)


def test_too_few_labels_make_no_map() -> None:
    calibration = fit([Labelled("mini", 0.9, 0.0)] * (ENOUGH - 1))
    assert calibration == Calibration(models={})
    assert calibration.apply("mini", 0.9) == 0.9


def test_a_curve_is_flat_beyond_its_points() -> None:
    curve = Curve(points=((0.2, 0.3), (0.6, 0.7)), labels=9)
    assert [curve.at(each) for each in (0, 0.2, 0.4, 0.6, 1)] == pytest.approx([0.3, 0.3, 0.5, 0.7, 0.7])


def test_bins_of_few_answers_are_merged() -> None:
    judged = [(0.05, 0.0)] * 30 + [(0.15, 1.0)] * 30 + [(0.95, 1.0)] * 70 + [(0.99, 0.0)] * 5
    bins = table(judged, least=50)
    assert [each.count for each in bins] == [60, 75]
    assert bins[0].accuracy == 0.5
    assert ece([]) == 0


POINTS = {"labels": 3, "points": [[0.1, 0.2], [0.9, 0.8]]}


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        ([], "is no calibration"),
        ({"version": 2}, "is no calibration"),
        ({"version": 1}, "models: must be an object"),
        ({"version": 1, "models": {"mini": []}}, "models.mini.points: must be a list"),
        ({"version": 1, "models": {"mini": {"points": []}}}, "models.mini.points: must be a list"),
        ({"version": 1, "models": {"mini": {"points": [[0, 2]]}}}, "each must be two numbers"),
        ({"version": 1, "models": {"mini": {"points": [[0, True]]}}}, "each must be two numbers"),
        ({"version": 1, "models": {"mini": {"points": [[0, 0.5], [1, 0.4]]}}}, "must rise"),
        ({"version": 1, "models": {"mini": POINTS | {"labels": -1}}}, "models.mini.labels"),
        ({"version": 1, "models": {}, "others": 3}, "others.points"),
    ],
)
def test_what_is_no_calibration_is_refused(content: object, problem: str) -> None:
    with pytest.raises(CalibrationError, match=problem):
        from_json(content)


@given(LABELS)
def test_labels_that_are_alike_may_be_counted_together(labels: list[Labelled]) -> None:
    counted = Counter((each.model, each.confidence, each.is_right) for each in labels)
    together = [Labelled(*each, count) for each, count in counted.items()]

    one, other = fit(labels), fit(together)

    assert one.models.keys() == other.models.keys()
    for model, curve in one.models.items():
        assert curve.labels == other.models[model].labels
        assert all(abs(curve.at(step / 20) - other.models[model].at(step / 20)) < 0.001 for step in range(21))


@pytest.mark.parametrize(("count", "truth"), [(600, timid), (5_000, timid)])
def test_a_map_learned_of_a_fleets_counts_holds_on_fresh_answers(count: int, truth: Callable[[float], float]) -> None:
    """Of half of the labels, as sidecars count and send them: bins are within 5 points of what was right."""
    counts = PolicyCounts(policy_uid="u-1", process="p", began=1)
    for each in answers(count, seed=1, truth=truth):
        counts.label("mini", each.confidence, is_right=each.is_right > 0.5)
    told = tuning_pb2.Tuning(policy_uid="u-1", labels=tally_of(counts).labels)

    calibration = read_tuning(told).calibration

    assert calibration is not None
    fresh = answers(20_000, seed=2, truth=truth)
    mapped = table(((calibration.apply("mini", each.confidence), each.is_right) for each in fresh), least=400)
    assert max(abs(each.gap) for each in mapped) < 0.05
    assert ece(mapped) < 0.03
