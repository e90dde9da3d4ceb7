"""What a replay of recorded questions adds up to, for any of them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from evaluating import replay
from evaluating.replay import Question, Strategy

parts = st.floats(0, 1)
questions = st.lists(
    st.builds(
        Question,
        tokens=st.integers(0, 5000),
        weak=parts,
        strong=parts,
        complexity=parts,
        ruled=st.booleans(),
        confidence=st.none() | parts,
    ),
    min_size=1,
    max_size=60,
)
shares = st.floats(0, 1)


def question(*, complexity: float = 0.5, confidence: float | None = None, weak: float = 0.0) -> Question:
    """One that the stronger model gets right."""
    return Question(tokens=0, weak=weak, strong=1, complexity=complexity, ruled=False, confidence=confidence)


@given(questions)
def test_all_ways_lie_between_asking_the_cheap_model_and_asking_both(asked: list[Question]) -> None:
    cheap, flagship, *others = [replay.played(asked, each) for each in replay.strategies(asked)]

    assert (cheap.share, flagship.share) == (0, 1)
    assert flagship.cost == pytest.approx(cheap.cost * 2.5 / 0.15)
    for each in others:
        assert cheap.cost - 1e-9 <= each.cost <= cheap.cost + flagship.cost + 1e-9


@given(questions, shares)
def test_each_way_sends_up_as_many_as_it_is_told(asked: list[Question], share: float) -> None:
    for way in (replay.by_complexity, replay.by_cascade, replay.by_both):
        assert sum(way(asked, share).up) == round(share * len(asked))


@given(questions, shares)
def test_what_cannot_be_judged_goes_by_complexity_and_is_paid_once(asked: list[Question], share: float) -> None:
    complexity = replay.by_complexity(asked, share).up
    for way in (replay.by_cascade, replay.by_both):
        found = way(asked, share)
        for each, told, up, twice in zip(asked, complexity, found.up, found.twice, strict=True):
            if each.confidence is None:
                assert (up, twice) == (told, False)


@given(questions, shares)
def test_a_cascade_asks_the_cheap_model_first_and_trusts_what_stays_most(asked: list[Question], share: float) -> None:
    found = replay.by_cascade(asked, share)
    answered = [at for at, each in enumerate(asked) if each.confidence is not None]

    assert all(found.twice[at] == found.up[at] for at in answered)
    trusted = [asked[at].confidence or 0 for at in answered if not found.up[at]]
    doubted = [asked[at].confidence or 0 for at in answered if found.up[at]]
    assert not trusted or not doubted or min(trusted) >= max(doubted)


def test_a_question_that_is_asked_twice_is_paid_twice() -> None:
    asked = [question(), question()]

    twice = replay.played(asked, Strategy("both", [True, True], twice=[True, False]))
    once = replay.played(asked, Strategy("one", [True, True]))

    # 200 tokens of the cheap model's answer, for one in two.
    assert twice.cost - once.cost == pytest.approx(1000 * 200 * 0.60 / 1_000_000 / 2)
    assert twice.right == once.right == 1


def test_both_send_the_most_complex_up_at_once_and_of_the_rest_the_least_trusted() -> None:
    asked = [
        question(complexity=0.9, confidence=0.9),
        question(complexity=0.8, confidence=0.1),
        question(complexity=0.1, confidence=0.2),
        question(complexity=0.2, confidence=0.8),
    ]

    found = replay.by_both(asked, 0.5)

    assert found.up == [True, True, False, False]
    assert found.twice == [False, True, False, False]


def test_the_policy_of_the_docs_goes_by_its_threshold_and_its_bar() -> None:
    asked = [
        question(complexity=0.8, confidence=0.1),
        question(complexity=0.79, confidence=0.69),
        question(complexity=0.79, confidence=0.7),
        question(complexity=0.79),
    ]

    found = replay.by_policy(asked)

    assert found.up == [True, True, False, False]
    assert found.twice == [False, True, False, False]
