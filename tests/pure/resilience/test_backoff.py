"""Waits grow, are spread, and are worth it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.resilience.backoff import FIRST, LONGEST, WORTH_WAITING, backoff, worth_it

_DRAW = st.floats(min_value=0, max_value=1)


@given(retry=st.integers(min_value=0, max_value=10_000), draw=_DRAW)
def test_a_wait_is_between_half_of_its_ceiling_and_all_of_it(retry: int, draw: float) -> None:
    ceiling = min(LONGEST, FIRST * 2 ** min(retry, 30))

    assert ceiling / 2 <= backoff(retry, draw=draw, named=None) <= ceiling


@given(draw=_DRAW)
def test_waits_do_not_shrink(draw: float) -> None:
    waits = [backoff(retry, draw=draw, named=None) for retry in range(12)]

    assert waits == sorted(waits)


@given(retry=st.integers(0, 10), draw=_DRAW, named=st.floats(min_value=0.001, max_value=86_400))
def test_a_time_that_the_provider_names_is_kept_and_little_is_added(retry: int, draw: float, named: float) -> None:
    assert named <= backoff(retry, draw=draw, named=named) <= named * 1.1 + 1e-9


@pytest.mark.parametrize(
    ("wait", "left", "has_fallback", "worth"),
    [
        (1.0, 60.0, True, True),
        (WORTH_WAITING + 0.1, 60.0, True, False),
        (20.0, 60.0, False, True),
        (31.0, 60.0, False, False),
        (0.2, 0.3, False, False),
        (0.2, 0.3, True, False),
    ],
)
def test_who_has_somebody_else_to_ask_waits_for_little(
    *, wait: float, left: float, has_fallback: bool, worth: bool
) -> None:
    assert worth_it(wait, left=left, has_fallback=has_fallback) is worth
