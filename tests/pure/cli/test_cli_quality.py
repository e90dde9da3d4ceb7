"""APGR, CPT50 and CPT80 by hand, and what holds of them for any scores."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman.quality import NoGapError, Ordered, interval, resampled


def test_the_best_order_of_one_gain_in_four() -> None:
    quality = Ordered([9, 3, 2, 1], [1, 0, 0, 0]).quality()

    # A line from 0 to 1 over the first quarter, then flat: 1/8 + 3/4.
    assert (quality.apgr, quality.cpt50, quality.cpt80) == pytest.approx((0.875, 12.5, 20))


def test_the_worst_order_of_one_gain_in_four() -> None:
    quality = Ordered([0, 3, 2, 1], [1, 0, 0, 0]).quality()

    assert (quality.apgr, quality.cpt50, quality.cpt80) == pytest.approx((0.125, 87.5, 95))


def test_equal_scores_count_as_ordered_at_random() -> None:
    quality = Ordered([5, 5, 5], [1, 0, 0]).quality()

    assert (quality.apgr, quality.cpt50, quality.cpt80) == pytest.approx((0.5, 50, 80))


def test_a_question_that_the_stronger_model_spoils_takes_away() -> None:
    # 1, 2, then back to 1: in halves of the gap over thirds of the questions, areas 1/6, 1/2 and 1/2.
    quality = Ordered([3, 2, 1], [1, 1, -1]).quality()

    assert quality.apgr == pytest.approx((0.5 + 1.5 + 1.5) / 3)
    assert quality.cpt50 == pytest.approx(100 / 6)
    assert quality.cpt80 == pytest.approx(80 / 3)


def test_groups_of_equal_scores_beside_others() -> None:
    # First the pair as one, half the gap over half the questions; then the rest one by one.
    quality = Ordered([2, 2, 1, 0], [1, 0, 1, 0]).quality()

    assert quality.apgr == pytest.approx(0.5 * 0.25 + 0.25 * 0.75 + 0.25 * 1)
    assert quality.cpt50 == pytest.approx(50)
    assert quality.cpt80 == pytest.approx(50 + 25 * 0.6)


def test_no_gap_is_said() -> None:
    with pytest.raises(NoGapError, match="no gap"):
        Ordered([1, 2], [0, 0]).quality()


_ROWS = st.lists(st.tuples(st.integers(0, 5), st.sampled_from([-1.0, 0.0, 1.0])), min_size=1, max_size=60).filter(
    lambda rows: sum(gain for _, gain in rows) > 0
)


@given(rows=_ROWS)
def test_an_order_and_its_reverse_are_worth_1_together(rows: list[tuple[int, float]]) -> None:
    gains = [gain for _, gain in rows]

    both = [Ordered([sign * score for score, _ in rows], gains).quality().apgr for sign in (1, -1)]

    assert sum(both) == pytest.approx(1)


@given(rows=_ROWS)
def test_each_question_taken_twice_changes_nothing(rows: list[tuple[int, float]]) -> None:
    order = Ordered([score for score, _ in rows], [gain for _, gain in rows])

    assert order.quality([2] * len(rows)).apgr == pytest.approx(order.quality().apgr)


def test_orders_are_drawn_on_the_same_questions() -> None:
    draw = random.Random(1)  # noqa: S311 - made-up gains, no secret
    gains = [float(draw.random() < 0.4) for _ in range(80)]
    one = Ordered([draw.random() for _ in gains], gains)

    first, second = resampled([one, one], rows=80, draws=20, choose=lambda count: draw.choices(range(80), k=count))

    assert first == second
    assert len({each.apgr for each in first}) > 1


def test_an_interval_is_the_middle_of_values() -> None:
    found = interval([float(each) for each in range(101)], part=0.9)

    assert (found.low, found.high) == pytest.approx((5, 95))
