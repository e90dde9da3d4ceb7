"""What is asked of counts: percentiles and shares out of histograms, and bounds for how sure they are."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.tuning.arms import ArmCounts, summed
from pointsman_operator.tuning.chances import least_excess, share_bounds
from pointsman_sidecar.tuning.arms import confidence_bin, latency_bin

TIMES = st.lists(st.floats(0.0001, 900), min_size=1, max_size=200)
COUNTS = st.builds(
    ArmCounts,
    requests=st.integers(0, 1000),
    errors=st.integers(0, 1000),
    latency=st.lists(st.integers(1, 9), max_size=9).map(tuple),
    confidence=st.lists(st.integers(1, 9), max_size=9).map(tuple),
    labels=st.integers(0, 9),
    negative=st.integers(0, 9),
)


def counted(times: list[float]) -> ArmCounts:
    """These times, in the bins that a sidecar would count them in."""
    bins = [0] * (max(map(latency_bin, times)) + 1)
    for each in times:
        bins[latency_bin(each)] += 1
    return ArmCounts(requests=len(times), latency=tuple(bins))


@given(times=TIMES, bar=st.floats(0.002, 600))
def test_what_is_slower_than_a_bar_is_known_but_for_the_bin_that_it_lies_in(times: list[float], bar: float) -> None:
    slower = counted(times).slower_than(bar)

    assert sum(each > bar * 1.1 for each in times) <= slower + 1e-6
    assert slower <= sum(each > bar / 1.1 for each in times) + 1e-6


@given(times=TIMES)
def test_the_percentile_is_right_to_a_bin(times: list[float]) -> None:
    exact = sorted(times)[max(0, -(-95 * len(times) // 100) - 1)]

    assert counted(times).p95 == pytest.approx(exact, rel=0.1, abs=0.001)


@given(first=COUNTS, second=COUNTS)
def test_what_is_added_can_be_taken_away(first: ArmCounts, second: ArmCounts) -> None:
    assert summed((first, second)) - first == second
    assert (first + second - second).is_sound


def test_counts_that_shrank_are_not_sound() -> None:
    assert not (ArmCounts(requests=3) - ArmCounts(requests=4)).is_sound
    assert not (ArmCounts(latency=(1,)) - ArmCounts(latency=(0, 1))).is_sound


def test_a_confidence_is_in_the_bin_that_the_contract_says() -> None:
    assert [confidence_bin(each) for each in (0.0, 0.019, 0.5, 0.999, 1.0)] == [0, 0, 25, 49, 49]
    assert ArmCounts(confidence=(0,) * 35 + (10,)).mean_confidence == pytest.approx(0.71)


@given(of=st.integers(1, 100_000), share=st.floats(0, 1))
def test_bounds_hold_the_share_and_close_in_on_it(of: int, share: float) -> None:
    hits = round(of * share)
    low, high = share_bounds(hits, of)
    closer_low, closer_high = share_bounds(hits * 100, of * 100)

    assert 0 <= low <= hits / of <= high <= 1
    assert closer_high - closer_low <= high - low


def test_two_equal_shares_are_no_excess_however_many_there_are() -> None:
    assert least_excess(50_000, 1_000_000, other_hits=50_000, other_of=1_000_000) < 0
    assert least_excess(60_000, 1_000_000, other_hits=50_000, other_of=1_000_000) > 0.009
    assert least_excess(1, 1, other_hits=0, other_of=0) < 0
