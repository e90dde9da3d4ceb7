"""How long a sidecar waits before it calls the operator again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.control.stream import Backoff


def longest(failures: int) -> float:
    return Backoff(random=lambda: 1.0).delay(failures)


def test_each_failure_doubles_the_wait_up_to_a_bound() -> None:
    assert [longest(failures) for failures in range(1, 11)] == pytest.approx(
        [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 15.0, 15.0]
    )
    assert longest(10_000) == 15.0


@given(st.integers(1, 1000), st.floats(0, 1))
def test_jitter_takes_away_half_at_most(failures: int, drawn: float) -> None:
    delay = Backoff(random=lambda: drawn).delay(failures)

    assert longest(failures) / 2 <= delay <= longest(failures)


def test_sidecars_that_fail_together_do_not_come_back_together() -> None:
    draws = iter([0.1, 0.2, 0.3])
    backoff = Backoff(random=lambda: next(draws))

    assert len({backoff.delay(5) for _ in range(3)}) == 3
