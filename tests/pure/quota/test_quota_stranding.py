"""Nearly all of a budget is spent before anybody is refused, however unevenly it is spent."""

import pytest

from support.quota.stranding import stranded


@pytest.mark.parametrize(("times", "seconds"), [(10, 600.0), (30, 600.0), (100, 300.0)])
def test_at_the_first_refusal_99_percent_are_spent_though_a_few_of_100_sidecars_spend_most(
    times: int, seconds: float
) -> None:
    found = stranded(times=times, seconds=seconds)

    assert found.share + found.reserved / found.limit >= 0.99
    assert found.spent + found.reserved <= found.limit


def test_who_spends_far_more_than_others_is_not_refused_while_most_is_left() -> None:
    """4,600 calls a second for 100 sidecars, a fifth of them for one."""
    found = stranded(times=100, seconds=60.0)

    assert found.share >= 0.95
    assert found.share + found.reserved / found.limit >= 0.99


def test_a_budget_of_one_reservation_each_is_stranded_in_part_and_never_exceeded() -> None:
    found = stranded(times=1)

    assert found.spent + found.reserved <= found.limit
    assert found.share >= 0.5
