"""The threshold that sends a share of requests up, whatever their scores are."""

import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pointsman_sidecar.tuning.shares import OwnThresholds, Share


def went_up(share: Share, scores: list[float]) -> list[bool]:
    """Which of these scores go up, one after the other."""
    verdicts = []
    for score in scores:
        verdicts.append(score >= share.threshold)
        share.add(score)
    return verdicts


def test_it_starts_from_the_shipped_distribution() -> None:
    assert Share(0.1).threshold == pytest.approx(0.9)


@pytest.mark.parametrize("wanted", [0.05, 0.10, 0.20, 0.40])
@given(
    alpha=st.floats(0.3, 6),
    beta=st.floats(0.3, 6),
    seed=st.integers(0, 2**32),
)
@settings(max_examples=6, deadline=None)
def test_after_a_thousand_requests_the_share_is_within_two_points(
    wanted: float, alpha: float, beta: float, seed: int
) -> None:
    """Whatever the distribution of scores: of those that come after, and of all."""
    draw = random.Random(seed)  # noqa: S311 - no secret
    share = Share(wanted)
    scores = [draw.betavariate(alpha, beta) for _ in range(3_000)]

    verdicts = went_up(share, scores)

    after = verdicts[1_000:]
    assert abs(sum(after) / len(after) - wanted) <= 0.02
    assert abs(sum(verdicts) / len(verdicts) - wanted) <= 0.02


@pytest.mark.parametrize("wanted", [0.05, 0.10, 0.20, 0.40])
def test_it_follows_when_the_scores_change(wanted: float) -> None:
    draw = random.Random(7)  # noqa: S311 - no secret
    share = Share(wanted)
    went_up(share, [draw.betavariate(2, 5) for _ in range(3_000)])
    went_up(share, [draw.betavariate(5, 2) for _ in range(1_000)])

    after = went_up(share, [draw.betavariate(5, 2) for _ in range(2_000)])

    assert abs(sum(after) / len(after) - wanted) <= 0.02


@given(scores=st.lists(st.floats(0, 1), max_size=200), wanted=st.floats(0.01, 0.99))
def test_the_same_scores_give_the_same_threshold_and_it_is_one(scores: list[float], wanted: float) -> None:
    one, other = Share(wanted), Share(wanted)

    assert went_up(one, scores) == went_up(other, scores)
    assert one.threshold == other.threshold
    assert 0 <= one.threshold <= 1


def test_what_was_found_stays_the_policys_and_another_policy_or_share_begins_anew() -> None:
    thresholds = OwnThresholds()
    for _ in range(100):
        thresholds.add("one", 10, 0.2)

    assert thresholds.threshold("one", 10) != pytest.approx(0.9)
    assert thresholds.threshold("other", 10) == pytest.approx(0.9)
    assert thresholds.threshold("one", 20) == pytest.approx(0.8)
