"""What is a regression, and what follows from all cases."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from pointsman.regression.comparing import Compared, Run, Verdict, lacking, summary
from pointsman.regression.properties import Failed

GOOD = Run(failed=(), seconds=0.1, tokens=10, cost=(Decimal("0.002"), "USD"))
BAD = Run(failed=(Failed(property="equals", message="the answer is another"),), seconds=0.3, tokens=30)
NONE = Run(failed=(Failed(property="answered", message="no answer: timeout"),), seconds=9.0)
runs = st.lists(st.sampled_from([GOOD, BAD, NONE]), min_size=1, max_size=5).map(tuple)


def verdict(*cases: tuple[tuple[Run, ...], tuple[Run, ...]], allowed: int = 0) -> Verdict:
    return Verdict(
        cases=tuple(Compared(name=str(at), baseline=was, candidate=now) for at, (was, now) in enumerate(cases)),
        allowed=allowed,
    )


def test_what_passed_and_now_fails_is_a_regression_and_nothing_else_is() -> None:
    found = verdict(((GOOD,), (BAD,)), ((BAD,), (BAD,)), ((BAD,), (GOOD,)), ((GOOD,), (GOOD,)), ((GOOD,), (NONE,)))

    assert [each.name for each in found.regressions] == ["0", "4"]
    assert not found.passed
    assert found.obstacle == ""


def test_so_many_are_allowed() -> None:
    cases = [((GOOD,), (BAD,))] * 2

    assert [verdict(*cases, allowed=allowed).passed for allowed in (0, 1, 2)] == [False, False, True]


def test_of_several_runs_more_than_half_decide() -> None:
    two, three = (GOOD, GOOD, BAD), (GOOD, BAD, BAD)

    assert [len(verdict((was, now)).regressions) for was, now in ((two, three), (two, two), (three, three))] == [
        1,
        0,
        0,
    ]
    assert verdict(((GOOD,), (GOOD, BAD))).regressions


def test_nothing_follows_where_the_baseline_did_not_answer() -> None:
    found = verdict(((GOOD,), (GOOD,)), ((NONE,), (GOOD,)), allowed=9)

    assert found.obstacle == "1 case could not be compared: the baseline gave no answer"
    assert not found.passed


def test_nothing_follows_where_the_baseline_passes_nothing() -> None:
    found = verdict(((BAD,), (BAD,)), allowed=9)

    assert found.obstacle == "the baseline passes no case, so nothing can be worse: look at the suite"
    assert not found.passed


@given(st.lists(st.tuples(runs, runs), min_size=1, max_size=6), st.integers(0, 6))
def test_a_candidate_that_answers_as_the_baseline_does_never_regresses(
    cases: list[tuple[tuple[Run, ...], tuple[Run, ...]]], allowed: int
) -> None:
    same = verdict(*((was, was) for was, _ in cases), allowed=allowed)
    found = verdict(*cases, allowed=allowed)

    assert same.regressions == ()
    assert found.passed <= (len(found.regressions) <= allowed)


def test_what_was_missing_is_said_once_with_how_often() -> None:
    assert [(each.property, times) for each, times in lacking((BAD, GOOD, BAD, NONE))] == [
        ("equals", 2),
        ("answered", 1),
    ]


def test_numbers_are_those_of_answers() -> None:
    found = summary([(GOOD,), (BAD,), (NONE,)])

    assert (found.passed, found.failed) == (1, 2)
    assert (found.p50, found.p95) == (0.1, 0.3)
    assert found.tokens == 20
    assert found.cost == {"USD": Decimal("2.000")}


def test_without_answers_there_are_no_numbers() -> None:
    found = summary([(NONE,)])

    assert (found.p50, found.p95, found.tokens, found.cost) == (None, None, None, {})
