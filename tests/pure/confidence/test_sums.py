"""Equations in answers are worked out again; what cannot be told is passed over."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.confidence.equations import MOST_EQUATIONS, Verdict, reckoning
from pointsman_sidecar.confidence.expressions import evaluate
from pointsman_sidecar.confidence.tokens import MOST_TOKENS, Kind, plain, tokens

HOLDS, ROUNDED, WRONG = Verdict.HOLDS, Verdict.ROUNDED, Verdict.WRONG


def verdicts(text: str) -> list[Verdict]:
    found = reckoning(text)
    return [each.verdict for each in (*found.equations, *found.annotated)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("12*3 = 36", [HOLDS]),
        ("12*3 = 38", [WRONG]),
        ("12 × 3 = 36", [HOLDS]),
        ("12 x 3 = 35", [WRONG]),
        ("So 4 + 3 + 3 = 11 apples are left.", [WRONG]),
        ("$40 + $5 = $45.", [HOLDS]),
        ("$1,250 + $250 = $1,500", [HOLDS]),
        ("3 sprints * 60 meters/sprint = 180 meters", [HOLDS]),
        ("36 * 68/12 = $204", [HOLDS]),
        ("5 * 3 = 15 + 2 = 17", [HOLDS, HOLDS]),
        ("5 * 3 = 15 + 2 = 18", [HOLDS, WRONG]),
        ("30% of 180 = 54", [HOLDS]),
        ("30% of 180 = 64", [WRONG]),
        ("100% - 20% = 80%", [HOLDS]),
        ("8 * 25% = 2", [HOLDS]),
        ("3/4 of 20 = 15", [HOLDS]),
        ("10 / 3 = 3.33", [ROUNDED]),
        ("10 / 3 ≈ 3.3", [ROUNDED]),
        ("10 / 3 = 3", [ROUNDED]),
        ("7 / 2 = 4", [ROUNDED]),
        ("36 = 12 * 3", [HOLDS]),
        ("(45 total hours - 40 regular hours) * $12 = $60", [HOLDS]),
        ("5 * (2 + 3) = 25", [HOLDS]),
        ("2(3 + 4) = 15", [WRONG]),
        ("20 (Monday) + 30 (Tuesday) = 50", [HOLDS]),
        ("5 - -3 = 8", [HOLDS]),
        ("-7 + -8 = -15", [HOLDS]),
        ("2 ** 3 = 8", [HOLDS]),
        ("2^10 = 1024", [HOLDS]),
        ("-3^2 = -9", [HOLDS]),
        ("12 / 2/5 = 30", [HOLDS]),
        ("$3k + $2k = $5,000", [HOLDS]),
        ("2 million * 3 = 6 million", [HOLDS]),
        ("3 times 4 = 12", [HOLDS]),
        ("3 mal 4 = 13", [WRONG]),
        ("3 fois 4 = 12", [HOLDS]),
        ("2,5 * 2 = 5", [HOLDS]),
        (r"\frac{1}{2} \times 8 = 4", [HOLDS]),
        (r"\frac{3}{4} \cdot 8 = 7", [WRONG]),
        (r"\[ 60 \div 5 = 12 \]", [HOLDS]),
        (r"\$4 \times 3 \text{ boxes} = \$12", [HOLDS]),
        ("<<48/2=24>>24", [HOLDS]),
        ("48 / 2 = <<48/2=25>>25 clips", [WRONG, WRONG]),
        ("x = 38 / 2 = 18", [WRONG]),
        ("He walks 3 miles. 4 + 4 = 8", [HOLDS]),
        ("1. 5 + 5 = 10", [HOLDS]),
    ],
)
def test_sums(text: str, expected: list[Verdict]) -> None:
    assert verdicts(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "no sums at all",
        "2x + 8 = 38",
        "4S + 2G = 70",
        "profit - 3 + 5 = 10",
        "y = 3",
        "120 = 5 × d_2",
        r"\sqrt{9 + 36} = 3\sqrt{5}",
        r"2\pi + 3 = 9",
        "5! + 1 = 121",
        "2 dozen * 3 = 72",
        "2 1/2 = 2.5",
        "x <= 3 + 4",
        "a => 3 + 4",
        "3 + = 4",
        "= 5",
        "1 / 0 = 3",
        "9^9^9^9 = 1",
        "99999999999999999999 + 1 = 3",
        "First side: 5 + Second side: 10 = 5 + 10 = 15"[:38],
        "the score was 3 - to everyone's surprise = 4",
    ],
)
def test_what_cannot_be_told_is_no_claim(text: str) -> None:
    assert WRONG not in verdicts(text)


@given(st.integers(0, 10_000), st.integers(0, 10_000), st.integers(1, 500))
def test_a_right_sum_holds_and_a_wrong_one_does_not(left: int, right: int, off: int) -> None:
    assert verdicts(f"{left} apples + {right} = {left + right} apples") == [HOLDS]
    wrong = left + right + off + left // 20 + right // 20
    assert verdicts(f"{left} apples + {right} = {wrong} apples") == [WRONG]


@given(st.text(alphabet="0123456789+-*/^=()%.,x <>\n", max_size=300))
def test_any_text_of_signs_is_read(text: str) -> None:
    found = reckoning(text)
    assert len(found.equations) <= MOST_EQUATIONS
    assert len(found.tokens) <= MOST_TOKENS + 100


@given(st.lists(st.one_of(st.floats(allow_nan=False), st.sampled_from("+-*/^()~")), max_size=40))
def test_any_sequence_is_a_number_or_none(parts: list[float | str]) -> None:
    value = evaluate(parts)
    assert value is None or abs(value) < float("inf")


def test_hyphens_and_ordinals_are_no_sums() -> None:
    kinds = [token.kind for token in tokens("the 5-minute walk on the 2nd day, step-by-step")]
    assert Kind.OPERATOR not in kinds
    assert kinds.count(Kind.NUMBER) == 1


def test_lists_are_numbers_of_their_own() -> None:
    assert [token.value for token in tokens("1,2,3") if token.kind is Kind.NUMBER] == [1, 2, 3]


def test_nested_fractions_are_left_alone() -> None:
    assert plain(r"\frac{\frac{1}{2}}{3}").startswith(r"\frac")
