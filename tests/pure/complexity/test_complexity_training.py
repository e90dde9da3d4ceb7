"""Training on made-up questions: what can be learnt is, nothing is scored by what it was learnt from, bytes repeat."""

import random

import numpy as np
import pytest

from complexity.fitting import folds, model, unseen
from complexity.sets import Row
from complexity.sparse import Dense, ridge
from complexity.table import Table, table
from evaluating import crossing
from pointsman_sidecar.complexity.model import dump

_SOURCES = ("routellm_gsm8k_dev", "ulab_llmrouter")
_EASY, _HARD = ("apple", "river", "window", "garden"), ("tensor", "quorum", "isotope", "lattice")


def _row(at: int, draw: random.Random) -> Row:
    hard = draw.random() < 0.5
    words = " ".join(draw.choices([*(_HARD if hard else _EASY), "the", "of", "word"], k=12))
    gain = float(draw.random() < (0.7 if hard else 0.1))
    return Row(
        id=str(at),
        source=_SOURCES[at % 2],
        category="",
        prompt=f"{words} is where?",
        weak=1 - gain,
        strong=1,
        target=gain,
        question=at // 4 * 2 if at % 4 < 2 else at,
    )


@pytest.fixture(scope="module")
def rows() -> list[Row]:
    draw = random.Random(5)  # noqa: S311 - made-up questions, no secret
    return [_row(at, draw) for at in range(600)]


@pytest.fixture(scope="module")
def measured(rows: list[Row]) -> Table:
    return table(rows)


def test_words_that_stand_for_gains_are_learnt(rows: list[Row], measured: Table) -> None:
    for scores in (crossing.within(measured), crossing.across(measured)):
        gains = np.array([each.gain for each in rows])
        high = scores > np.median(scores)

        assert gains[high].mean() > gains[~high].mean() + 0.3


def test_the_same_questions_make_the_same_bytes(measured: Table) -> None:
    assert dump(model(measured)) == dump(model(measured))


def test_a_question_asked_in_two_sets_is_in_one_fold(measured: Table) -> None:
    fold = folds(measured)

    for question in np.unique(measured.question):
        assert len(set(fold[measured.question == question])) == 1


def test_what_is_scored_is_learnt_from_under_no_name(measured: Table) -> None:
    at = np.flatnonzero(measured.source == measured.source[0])

    learnt = unseen(measured, held_out=at)

    assert not set(measured.question[learnt]) & set(measured.question[at])


def test_what_is_learnt_does_not_depend_on_the_levels_of_groups() -> None:
    draw = np.random.default_rng(3)
    values, groups = draw.normal(size=(80, 3)), np.arange(80) % 2
    target = values @ np.array([1.0, -2.0, 0.5])

    found = [
        ridge(Dense(values), target + level * groups, weight=np.ones(80), groups=groups, penalty=1e-6)
        for level in (0, 50)
    ]

    assert found[0] == pytest.approx(found[1], abs=1e-4)
    assert found[0] == pytest.approx([1, -2, 0.5], abs=1e-3)
