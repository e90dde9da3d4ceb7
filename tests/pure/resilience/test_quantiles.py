"""Quantiles are right to a tenth, and forget."""

import math

from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.resilience.quantiles import ENOUGH, GENERATION, Quantiles

_LATENCIES = st.lists(st.floats(min_value=0.002, max_value=1500), min_size=ENOUGH, max_size=300)


@given(latencies=_LATENCIES, percent=st.integers(min_value=1, max_value=99))
def test_a_quantile_is_the_nearest_rank_to_a_tenth(latencies: list[float], percent: int) -> None:
    quantiles = Quantiles()
    for each in latencies:
        quantiles.add(0.0, each)
    true = sorted(latencies)[max(1, math.ceil(len(latencies) * percent / 100)) - 1]

    told = quantiles.quantile(0.0, percent)

    assert told is not None
    assert true * (1 - 1e-9) <= told <= true * 1.1 * (1 + 1e-9)


@given(latencies=_LATENCIES)
def test_quantiles_rise(latencies: list[float]) -> None:
    quantiles = Quantiles()
    for each in latencies:
        quantiles.add(0.0, each)

    told = [quantiles.quantile(0.0, percent) or 0.0 for percent in range(1, 100)]

    assert told == sorted(told)


def test_a_few_say_nothing() -> None:
    quantiles = Quantiles()
    for _ in range(ENOUGH - 1):
        quantiles.add(0.0, 1.0)
    assert quantiles.quantile(0.0, 50) is None


def test_what_is_beyond_its_edges_counts_as_the_edge() -> None:
    quantiles = Quantiles()
    for each in [0.0, 1e-9] * ENOUGH:
        quantiles.add(0.0, each)
    assert quantiles.quantile(0.0, 99) == 0.001
    for _ in range(10 * ENOUGH):
        quantiles.add(0.0, 1e9)
    assert (quantiles.quantile(0.0, 99) or 0) > 1500


def test_what_is_long_past_is_forgotten() -> None:
    quantiles = Quantiles()
    for _ in range(ENOUGH):
        quantiles.add(0.0, 9.0)
    for _ in range(ENOUGH):
        quantiles.add(GENERATION, 0.1)
    assert (quantiles.quantile(GENERATION, 99) or 0) > 8
    assert (quantiles.quantile(2 * GENERATION, 99) or 9) < 0.2
    assert quantiles.quantile(9 * GENERATION, 99) is None
