"""Of the policies that select a pod, one wins, and everybody agrees which."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.compile import Claim, claim_of, matches, select
from pointsman_operator.resources import Key, LabelSelector, parse_policy
from pure.operator.objects import policy

START = datetime(2026, 3, 1, tzinfo=UTC)


def selector(**value: object) -> LabelSelector:
    return LabelSelector.model_validate(value)


def expression(key: str, operator: str, *values: str) -> LabelSelector:
    return selector(matchExpressions=[{"key": key, "operator": operator, "values": list(values)}])


def claim(
    name: str, *, labels: dict[str, str] | None = None, age: int = 0, legible: bool = True, namespace: str = "shop"
) -> Claim:
    return Claim(
        key=Key(namespace, name),
        uid=f"uid-of-{name}",
        created=START - timedelta(seconds=age),
        selector=None if labels is None else selector(matchLabels=labels),
        legible=legible,
    )


@pytest.mark.parametrize(
    ("asked", "labels", "expected"),
    [
        (selector(matchLabels={"app": "a"}), {"app": "a", "tier": "b"}, True),
        (selector(matchLabels={"app": "a"}), {"app": "b"}, False),
        (selector(matchLabels={"app": ""}), {"app": ""}, True),
        (selector(matchLabels={"app": ""}), {}, False),
        (expression("app", "In", "a", "b"), {"app": "b"}, True),
        (expression("app", "In", "a"), {}, False),
        (expression("app", "NotIn", "a"), {"app": "b"}, True),
        (expression("app", "NotIn", "a"), {"app": "a"}, False),
        (expression("app", "NotIn", "a"), {}, True),
        (expression("app", "Exists"), {"app": ""}, True),
        (expression("app", "Exists"), {}, False),
        (expression("app", "DoesNotExist"), {}, True),
        (expression("app", "DoesNotExist"), {"app": ""}, False),
        (selector(matchLabels={"a": "1"}, matchExpressions=[{"key": "b", "operator": "Exists"}]), {"a": "1"}, False),
        (None, {}, True),
    ],
)
def test_selectors_match_as_in_kubernetes(
    asked: LabelSelector | None, labels: dict[str, str], expected: object
) -> None:
    assert matches(asked, labels) is expected


def test_a_selector_beats_none_however_young() -> None:
    winner, losers = select([claim("old", age=100), claim("young", labels={"app": "a"})], pod_labels={"app": "a"})

    assert winner is not None
    assert winner.key.name == "young"
    assert [loser.key.name for loser in losers] == ["old"]


def test_among_equals_the_older_wins_and_then_the_name() -> None:
    claims = [claim("c", age=5), claim("b", age=9), claim("a", age=5)]

    winner, losers = select(claims, pod_labels={})

    assert winner is not None
    assert [winner.key.name, *(loser.key.name for loser in losers)] == ["b", "a", "c"]


def test_no_policy_wins_a_pod_that_none_selects() -> None:
    assert select([claim("a", labels={"app": "a"})], pod_labels={"app": "b"}) == (None, ())


names = st.sampled_from("abcdef")
labels = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["x", "y"]))
some_labels = st.dictionaries(st.sampled_from(["app", "tier"]), st.sampled_from(["x", "y"]), min_size=1)
claims = st.lists(
    st.builds(
        claim,
        names,
        labels=st.none() | some_labels,
        age=st.integers(0, 3),
        legible=st.booleans(),
    ),
    max_size=6,
    unique_by=lambda each: each.key,
)


@given(claims=claims, pod=labels, data=st.data())
def test_the_order_in_which_policies_are_known_changes_nothing(
    claims: list[Claim], pod: dict[str, str], data: st.DataObject
) -> None:
    shuffled = data.draw(st.permutations(claims))

    assert select(claims, pod_labels=pod) == select(shuffled, pod_labels=pod)


@given(claims=claims, pod=labels, other=st.builds(claim, st.just("other"), labels=some_labels))
def test_a_policy_that_does_not_select_the_pod_changes_nothing(
    claims: list[Claim], pod: dict[str, str], other: Claim
) -> None:
    if not matches(other.selector, pod):
        assert select([*claims, other], pod_labels=pod) == select(claims, pod_labels=pod)


def test_a_policy_whose_selector_no_label_can_match_keeps_the_pods_that_it_had_and_wins_no_other() -> None:
    illegible = claim_of(parse_policy(policy("broken", selector={"matchLabels": {"not a label": "x"}})))
    rest = claim("rest")

    assert select([illegible, rest], pod_labels={}, held_uid=illegible.uid)[0] == illegible
    assert select([illegible, rest], pod_labels={}, held_uid=rest.uid) == (rest, ())


def test_an_unreadable_policy_still_claims_the_pods_that_its_selector_names() -> None:
    unreadable = claim_of(parse_policy(policy("broken", selector={"matchLabels": {"app": "a"}}, defaultModel=7)))

    assert select([unreadable, claim("rest")], pod_labels={"app": "a"})[0] == unreadable


def test_two_selectors_that_say_the_same_in_other_words_claim_the_same_pods() -> None:
    one = claim("one", labels={"app": "a"})
    other = Claim(key=Key("shop", "other"), uid="o", created=START, selector=expression("app", "In", "a"))

    assert one.same_pods(other)
    assert claim("x").same_pods(claim("y"))
    assert not one.same_pods(claim("x"))
    assert not one.same_pods(claim("z", labels={"app": "b"}))
