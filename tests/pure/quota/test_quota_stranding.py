"""Nearly all of a budget is spent before anybody is refused, however unevenly it is spent."""

import pytest

from support.quota.stranding import stranded


@pytest.mark.parametrize("times", [10, 30])
def test_at_the_first_refusal_99_percent_are_spent_though_a_few_of_100_sidecars_spend_most(times: int) -> None:
    found = stranded(times=times)

    assert found.share + found.reserved / found.limit >= 0.99
    assert found.spent + found.reserved <= found.limit


def test_a_budget_of_one_reservation_each_is_stranded_in_part_and_never_exceeded() -> None:
    found = stranded(times=1)

    assert found.spent + found.reserved <= found.limit
    assert found.share >= 0.5
