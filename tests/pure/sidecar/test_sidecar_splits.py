"""Which arm of a split a request falls to."""

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.routing.plan import plan
from pointsman_sidecar.routing.policy import Arm, StickyBy
from pointsman_sidecar.routing.splitting import draw
from support.policies import features, model, policy, route

KEYS = [f"user-{number}" for number in range(10_000)]


def arms(*weights: int) -> list[Arm]:
    return [Arm(model=chr(ord("a") + index), weight=weight) for index, weight in enumerate(weights)]


def drawn(*weights: int) -> list[str]:
    """The arm of each key."""
    return [draw(arms(*weights), key=key, salt="shop/support/new").model for key in KEYS]


@pytest.mark.parametrize("weights", [(50, 50), (95, 5), (1, 2, 3), (99, 1)])
def test_keys_spread_by_weight(weights: tuple[int, ...]) -> None:
    counted = Counter(drawn(*weights))

    for arm in arms(*weights):
        share = arm.weight / sum(weights)
        # Four standard deviations of a binomial draw.
        tolerance = 4 * (len(KEYS) * share * (1 - share)) ** 0.5
        assert abs(counted[arm.model] - len(KEYS) * share) <= tolerance


def test_an_arm_without_weight_is_never_drawn() -> None:
    assert set(drawn(0, 3, 0, 1, 0)) == {"b", "d"}


def test_weight_moved_between_neighbours_moves_only_keys_at_their_border() -> None:
    before, after = drawn(60, 30, 10), drawn(50, 40, 10)

    moved = Counter((old, new) for old, new in zip(before, after, strict=True) if old != new)
    assert set(moved) == {("a", "b")}
    assert moved["a", "b"] == pytest.approx(len(KEYS) / 10, rel=0.15)


def test_two_routes_draw_independently() -> None:
    """The same users must not be in the small arm of every experiment."""
    here = [draw(arms(50, 50), key=key, salt="shop/support/one").model for key in KEYS]
    there = [draw(arms(50, 50), key=key, salt="shop/support/two").model for key in KEYS]

    both = sum(first == second for first, second in zip(here, there, strict=True))
    assert both == pytest.approx(len(KEYS) / 2, rel=0.05)


def test_a_known_key_falls_where_it_always_fell() -> None:
    """A new release must not reshuffle users: these values are part of the contract with running experiments."""
    fallen = "".join(draw(arms(50, 30, 20), key=key, salt="shop/support/new").model for key in KEYS[:8])

    assert fallen == "aacababc"


@given(key=st.text(), weights=st.lists(st.integers(0, 1_000_000), min_size=1).filter(any))
def test_any_key_has_an_arm_that_weighs_something(key: str, weights: list[int]) -> None:
    assert draw(arms(*weights[:50], 1), key=key, salt="s").weight > 0


def test_arms_that_weigh_nothing_cannot_be_drawn_from() -> None:
    with pytest.raises(ValueError, match="above 0"):
        draw(arms(0, 0), key="k", salt="s")


def arms_of(sticky_by: StickyBy, requests: list[dict[str, str]]) -> list[str]:
    """The model that each request gets, every request with an id of its own."""
    made_of = policy(model("a"), model("b"), routes=(route("new", arms={"a": 1, "b": 1}, sticky_by=sticky_by),))
    return [
        plan(made_of, features(**wants), request_id=f"r-{number}").steps[0].model.name  # type: ignore[arg-type]
        for number, wants in enumerate(requests)
    ]


@pytest.mark.parametrize(
    ("sticky_by", "same"),
    [
        pytest.param(StickyBy.USER, {"user": "ada"}, id="user"),
        pytest.param(StickyBy.SESSION, {"session": "s-1"}, id="session"),
    ],
)
def test_what_sticks_stays_on_its_arm(sticky_by: StickyBy, same: dict[str, str]) -> None:
    assert len(set(arms_of(sticky_by, [same] * 40))) == 1


@pytest.mark.parametrize(
    ("sticky_by", "wants"),
    [
        pytest.param(StickyBy.USER, {"session": "s-1"}, id="by user, but none is named"),
        pytest.param(StickyBy.SESSION, {"user": "ada"}, id="by session, but none is named"),
        pytest.param(StickyBy.REQUEST, {"user": "ada", "session": "s-1"}, id="by request"),
    ],
)
def test_what_does_not_stick_is_drawn_anew(sticky_by: StickyBy, wants: dict[str, str]) -> None:
    assert set(arms_of(sticky_by, [wants] * 40)) == {"a", "b"}
