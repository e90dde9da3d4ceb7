"""No more is added to the traffic than the policy says."""

from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.resilience.budgets import WINDOW, Budget
from pointsman_sidecar.resilience.counts import SlidingCounts

# Each step: how much later, and whether a request comes or an extra call is asked for.
_STEPS = st.lists(st.tuples(st.floats(min_value=0, max_value=20), st.booleans()), max_size=300)


@given(steps=_STEPS, percent=st.integers(min_value=1, max_value=100), floor=st.integers(min_value=0, max_value=20))
def test_a_grant_never_exceeds_the_share_of_the_last_minute(
    steps: list[tuple[float, bool]], percent: int, floor: int
) -> None:
    budget, now = Budget(floor=floor), 0.0
    requests: list[float] = []
    grants: list[float] = []
    for later, is_request in steps:
        now += later
        if is_request:
            budget.request(now)
            requests.append(now)
        elif budget.take(now, percent=percent):
            grants.append(now)
            # What the budget has forgotten may be a tenth of the window younger than the window.
            recent_requests = sum(1 for each in requests if now - each <= WINDOW)
            recent_grants = sum(1 for each in grants if now - each <= WINDOW * 0.9)
            assert recent_grants <= max(floor, recent_requests * percent / 100)


@given(requests=st.integers(min_value=0, max_value=500), percent=st.integers(min_value=1, max_value=100))
def test_the_whole_share_can_be_had(requests: int, percent: int) -> None:
    budget = Budget(floor=3)
    for _ in range(requests):
        budget.request(1.0)

    granted = sum(budget.take(1.0, percent=percent) for _ in range(600))

    assert granted == max(3, requests * percent // 100)


def test_a_share_of_nothing_is_nothing_whatever_the_floor() -> None:
    assert not Budget(floor=10).take(0.0, percent=0)


def test_what_was_spent_comes_back_with_time() -> None:
    budget = Budget(floor=1)
    assert budget.take(0.0, percent=10)
    assert not budget.take(WINDOW / 2, percent=10)
    assert budget.take(WINDOW * 1.2, percent=10)


@given(
    events=st.lists(st.tuples(st.floats(min_value=0, max_value=30), st.integers(0, 3), st.integers(0, 3)), max_size=200)
)
def test_counts_are_those_of_the_window_but_for_a_slot(events: list[tuple[float, int, int]]) -> None:
    counts, now = SlidingCounts(window=10.0), 0.0
    seen: list[tuple[float, int, int]] = []
    for later, every, some in events:
        now += later
        counts.add(now, every=every, some=some)
        seen.append((now, every, some))
        total, kind = counts.totals(now)
        assert sum(each[1] for each in seen if now - each[0] < 9.0) <= total
        assert total <= sum(each[1] for each in seen if now - each[0] <= 10.0)
        assert sum(each[2] for each in seen if now - each[0] < 9.0) <= kind
        assert kind <= sum(each[2] for each in seen if now - each[0] <= 10.0)
