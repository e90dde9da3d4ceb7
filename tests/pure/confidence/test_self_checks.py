"""What a model says of its own answer, and what becomes of the judge's value by it."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.confidence.self_checks import agreed, told, weighed

shares = st.floats(0, 1)


@pytest.mark.parametrize("word", ["Yes", " yes", "YES.", "**Yes**", '"Yes,'])
def test_a_yes_is_known_however_it_is_written(word: str) -> None:
    assert (told(word) or 0) > 0.5


@pytest.mark.parametrize("word", ["No", " no.", "NO!"])
def test_a_no_is_known_however_it_is_written(word: str) -> None:
    said = told(word)
    assert said is not None
    assert said < 0.5


@pytest.mark.parametrize("word", ["", "Maybe", "Nothing", "Yesterday", "🙂"])
def test_any_other_word_says_nothing(word: str) -> None:
    assert told(word) is None


def test_a_likelihood_is_that_of_yes_among_yes_and_no() -> None:
    said = weighed([("Yes", math.log(0.5)), (" yes", math.log(0.1)), ("No", math.log(0.2)), ("Well", math.log(0.2))])

    assert said == pytest.approx(0.75)


def test_where_neither_is_likely_nothing_is_said() -> None:
    assert weighed([("Well", -0.01), ("Yes", -8.0), ("No", -8.0)]) is None


@given(shares, shares)
def test_what_both_say_lies_between_them(one: float, other: float) -> None:
    least, most = sorted((one, other))

    assert min(least, 0.999) - 1e-9 <= agreed(one, other) <= max(most, 0.001) + 1e-9


@given(shares, shares, shares)
def test_more_trust_in_the_check_is_never_less_in_the_answer(value: float, one: float, other: float) -> None:
    least, most = sorted((one, other))

    assert agreed(value, least) <= agreed(value, most)


@given(st.lists(st.tuples(st.text(max_size=8), st.floats(-1000, 1000, allow_nan=False)), max_size=8))
def test_whatever_a_provider_sends_is_a_share_or_nothing(words: list[tuple[str, float]]) -> None:
    said = weighed(words)

    assert said is None or 0 <= said <= 1
