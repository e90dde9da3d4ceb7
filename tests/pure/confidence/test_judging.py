"""What an answer looks like decides how far it is trusted."""

import math
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.confidence import Judged, judge
from pointsman_sidecar.confidence.finals import Style, final
from pointsman_sidecar.confidence.signals import signals
from pointsman_sidecar.confidence.wording import CORRECTIONS, HEDGES, REFUSALS, corrections, hedges, refuses

QUESTION = "Tom has 12 crates of 3 pears and sells 6 pears. How many pears are left?"
GOOD = "He has 12 * 3 = 36 pears.\nThen 36 - 6 = 30 pears are left.\nThe answer is 30."
PROSE = Judged(prompt="Who wrote Faust?", response="Faust was written by Johann Wolfgang von Goethe.")
SUM = Judged(prompt=QUESTION, response=GOOD)

TEXTS = st.text(max_size=400) | st.text(alphabet="0123456789+-*/=<>()[]{}\\$%#.,\"' \nabx", max_size=800)


def seen(response: str, prompt: str = QUESTION) -> dict[str, float]:
    return signals(Judged(prompt=prompt, response=response))


@given(
    TEXTS, TEXTS, TEXTS,
    st.none() | st.lists(st.floats(max_value=0) | st.just(math.nan), max_size=50),
    st.tuples(st.none() | st.booleans(), st.booleans()),
)  # fmt: skip
def test_any_answer_gets_one_verdict(
    prompt: str, response: str, reason: str, logprobs: list[float] | None, flags: tuple[bool | None, bool]
) -> None:
    answer = Judged(
        prompt=prompt, response=response, finish_reason=reason, logprobs=logprobs,
        valid_json=flags[0], refused=flags[1],
    )  # fmt: skip
    verdict = judge(answer)
    assert 0 <= verdict.value <= 1
    assert all(math.isfinite(value) for _, value in verdict.signals)
    assert judge(answer) == verdict


@pytest.mark.parametrize(
    "worse",
    [
        replace(SUM, response=GOOD.replace("= 36", "= 38")),
        replace(SUM, response=GOOD.replace("answer is 30", "answer is 31")),
        replace(SUM, response=GOOD[:45]),
        replace(SUM, response="I can't help with that."),
        replace(SUM, response=""),
        replace(SUM, response=GOOD + " Wait, that is impossible."),
        replace(SUM, response="I think it is perhaps 30, but I'm not sure."),
        replace(SUM, response="12 / 5 = 2.4\nThe answer is 2.4."),
        replace(SUM, finish_reason="length"),
        replace(SUM, refused=True),
        replace(SUM, valid_json=False),
    ],
    ids=["sum", "final", "cut", "refusal", "empty", "correction", "hedges", "fraction", "length", "field", "schema"],
)
def test_a_flaw_costs_trust(worse: Judged) -> None:
    assert judge(worse).value < judge(SUM).value - 0.02


def test_a_loop_costs_trust() -> None:
    loop = replace(PROSE, response="Faust was written by the man who wrote it. " * 60)
    assert judge(loop).value < judge(PROSE).value - 0.3


def test_tokens_in_doubt_cost_trust() -> None:
    sure, unsure = [-0.01] * 40, [-0.01] * 37 + [-2.5] * 3
    assert judge(replace(PROSE, logprobs=unsure)).value < judge(replace(PROSE, logprobs=sure)).value - 0.1


def test_prose_is_not_measured_as_sums_are() -> None:
    assert "sums" not in signals(PROSE)
    assert "final_is_marked" not in signals(PROSE)


@pytest.mark.parametrize("language", REFUSALS)
def test_refusals(language: str) -> None:
    for phrase in REFUSALS[language]:
        assert refuses(f"{phrase.capitalize()} …"), phrase


@pytest.mark.parametrize("language", HEDGES)
def test_hedges(language: str) -> None:
    assert all(hedges(f"… {phrase} …") for phrase in HEDGES[language])


@pytest.mark.parametrize("language", CORRECTIONS)
def test_corrections(language: str) -> None:
    assert all(corrections(f"… {phrase} …") for phrase in CORRECTIONS[language])


def test_typographic_apostrophes_are_apostrophes() -> None:
    assert refuses("I can’t do that.")


@pytest.mark.parametrize(
    "sure",
    [
        "Goethe wrote Faust in 1808.", "Goethe schrieb Faust.", "Goethe a écrit Faust.", "Goethe escribió Fausto.",
        "歌德写了浮士德。", "ゲーテがファウストを書いた。", "Гёте написал «Фауста».",
    ],
)  # fmt: skip
def test_a_sure_sentence_is_none_of_these(sure: str) -> None:
    assert not refuses(sure)
    assert not hedges(sure)
    assert not corrections(sure)


def test_a_refusal_late_in_an_answer_is_none() -> None:
    assert not refuses("The poem goes on. " * 20 + "I cannot sleep, it ends.")


@pytest.mark.parametrize(
    ("text", "style", "number"),
    [
        ("so it is 4\n#### 540", Style.MARK, 540),
        ("#### $1,460.50", Style.MARK, 1460.5),
        ("#### -7", Style.MARK, -7),
        (r"thus \boxed{12}", Style.MARK, 12),
        ('{"reasoning": "5 and 6", "answer": "42"}', Style.MARK, 42),
        ("The answer is 17 pears.", Style.SENTENCE, 17),
        ("Die Antwort ist 17.", Style.SENTENCE, 17),
        ("La respuesta es 17.", Style.SENTENCE, 17),
        ("答案是17。", Style.SENTENCE, 17),
        ("He had 5. Therefore, he has 5 + 4 = 9 left.", Style.CONCLUSION, 9),
        ("There are 5.\nHe has 4 - 1 = 3", Style.LAST_NUMBER, 3),
        ("No number here.", Style.LAST_NUMBER, None),
        ("", Style.NONE, None),
    ],
)
def test_final_answers(text: str, style: Style, number: float | None) -> None:
    found = final(text)
    assert found.style is style
    assert (None if found.number is None else found.number.value) == number


def test_numbers_are_followed() -> None:
    assert seen(GOOD)["final_is_last_sum"] == 1
    assert seen(GOOD)["foreign_operands"] == 0
    assert seen("12 * 17 = 204")["foreign_operands"] > 0
    assert seen("12 * 3 = 36")["unused_given"] > 0
    assert seen(GOOD)["unused_given"] == 0
    assert seen("12 * 3 = 36\n12 - 6 = 6")["unused_results"] > 0
    assert seen("6 - 12 = -6")["negative_results"] > 0
    assert seen("12 / 36 = 0.33\nThe answer is 0.33")["final_is_fraction_of_count"] == 1


def test_a_percentage_given_may_be_used_in_many_ways() -> None:
    prompt = "A coat costs $50 and is reduced by 20%. What does it cost?"
    for text in ("50 * 0.8 = 40", "50 * 20/100 = 10", "20% of 50 = 10", "50 * 80% = 40"):
        assert seen(text, prompt)["foreign_operands"] == 0, text
        assert seen(text, prompt)["no_percent_where_percent"] == 0, text


def test_a_wrong_sum_beside_unknowns_is_told_apart() -> None:
    found = seen(r"\sqrt{x}, and so 12 * 3 = 38")
    assert found["has_wrong_algebra"] == 1
    assert found["has_wrong_sum"] == 0


@pytest.mark.parametrize(
    ("text", "is_open"),
    [
        ("He has 30 pears.", 0),
        ("30", 0),
        ("He has 36 pears.\nThen he sold six of", 1),
        ("They are:\n- red apples\n- green pears", 0),
        ("He has 36.\n#### 5 hours and 20 minutes", 0),
        ("Goethe", 0),
        ("He sold six of them, and then he went on to", 1),
        ("12 * 3 = ", 1),
        ("12 * 3 = <<12*", 1),
        ("Er hat 30 Birnen!", 0),
        ("他有30个梨。", 0),
    ],
)
def test_open_endings(text: str, is_open: int) -> None:
    assert seen(text)["ends_openly"] == is_open


def test_answers_in_json_are_read_as_text() -> None:
    text = '{"reasoning": "First, 12 * 3 = 36.\\nThen 36 - 6 = 30.", "answer": "30"}'
    assert seen(text)["final_is_last_sum"] == 1
    assert seen(text)["sums"] == pytest.approx(math.log1p(2))
