"""A score is a share, the same each time, for any text whatever; what is looked at has a bound."""

import hashlib
import json
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar import complexity
from pointsman_sidecar.complexity import Scorer
from pointsman_sidecar.complexity.excerpt import LONGEST, excerpt, size
from pointsman_sidecar.complexity.measures import NAMES, Kind, measure
from pointsman_sidecar.complexity.model import ModelError, dump, load

_PACKAGE = files(complexity)
_MOST_TERMS = 2500
_EASY = (
    "hi",
    "Hello, how are you today?",
    "Hallo, wie geht es dir?",
    "Bonjour, comment ça va ?",
    "Привет, как дела?",
    "你好 今天怎么样",
    "مرحبا كيف حالك",
)
_HARD = (
    "Prove that there are infinitely many primes p with p ≡ 3 (mod 4), and determine whether their inverses converge.",
    "Beweise, dass es unendlich viele Primzahlen p mit p ≡ 3 (mod 4) gibt, und bestimme die Summe ihrer Kehrwerte.",
    "证明存在无穷多个素数 p 满足 p ≡ 3 (mod 4)。判断它们的倒数之和是否收敛。计算其值。",
    "أثبت أن هناك عددا لا نهائيا من الأعداد الأولية p بحيث p ≡ 3 (mod 4) ثم احسب مجموع مقلوباتها",
    "Докажите, что существует бесконечно много простых чисел p, таких что p ≡ 3 (mod 4), и вычислите сумму.",
)
_MEGABYTE = 1_000_000
_PIECES = (
    "a",
    "\n",
    "1",
    " A",
    "A. \n",
    "\nA)",
    ".",
    "\\",
    '"',
    "é",
    "漢",
    "🙂",
    "$=",
    "{[(",
    "\x00",
    "prov",
    "\ud800",
)


@given(text=st.text())
def test_any_text_has_a_score_from_0_to_1(text: str) -> None:
    assert 0 <= Scorer.load().score(text) <= 1


@given(text=st.text(alphabet=st.sampled_from("aA1. \n)(\\$?é漢\ud800"), max_size=3000))
def test_what_looks_like_options_and_formulas_has_one_too(text: str) -> None:
    assert 0 <= Scorer.load().score(text) <= 1


@given(text=st.text(max_size=400))
def test_the_same_text_has_the_same_score_from_any_scorer(text: str) -> None:
    other = Scorer(load((_PACKAGE / "complexity.model").read_bytes()))

    assert other.score(text) == Scorer.load().score(text)


@pytest.mark.parametrize("piece", _PIECES)
def test_of_a_megabyte_no_more_is_looked_at_than_of_a_page(piece: str) -> None:
    text = piece * (_MEGABYTE // len(piece))

    measured = measure(text)

    assert len(excerpt(text)) <= LONGEST
    assert len(measured.terms) <= _MOST_TERMS
    assert 0 <= Scorer.load().score(text) <= 1


@given(text=st.text())
def test_each_measure_is_told(text: str) -> None:
    measured = measure(text)

    assert len(measured.numbers) == len(NAMES)
    assert all(each >= 0 for each in measured.numbers[:4])


def test_the_beginning_and_the_end_of_a_long_text_are_seen() -> None:
    seen = excerpt("begin" + "x" * _MEGABYTE + "end")

    assert seen.startswith(b"begin")
    assert seen.endswith(b"end")


@given(text=st.text(max_size=LONGEST // 4))
def test_a_short_text_is_seen_whole(text: str) -> None:
    seen = excerpt(text)

    assert seen == text.encode(errors="replace")
    assert size(text, seen) == len(seen)


@pytest.mark.parametrize("hard", _HARD)
def test_a_proof_scores_above_every_greeting_whatever_the_language(hard: str) -> None:
    scorer = Scorer.load()

    assert scorer.score(hard) > max(map(scorer.score, _EASY))


@pytest.mark.parametrize(
    ("text", "kind"),
    [
        ("Which is it?\nA. one\nB. two\nC. three\nD. four\nAnswer:", Kind.LETTERED),
        ("Which is it?\none\ntwo\nthree\nfour", Kind.LISTED),
        ("Tom has 3 apples and buys 2 more. How many has he?", Kind.NUMBERS),
        ("Find $\\frac{1}{2}x$.", Kind.FORMAL),
        ("Prove it.", Kind.FORMAL),
        ("Where is the river?", Kind.OTHER),
        ("C:\\x 1 2", Kind.NUMBERS),
    ],
)
def test_the_kind_of_question_is_told_by_its_form(text: str, kind: Kind) -> None:
    assert measure(text).kind is kind


def test_the_card_is_that_of_the_model_which_is_small() -> None:
    raw = (_PACKAGE / "complexity.model").read_bytes()
    card = json.loads((_PACKAGE / "complexity.card.json").read_text(encoding="utf-8"))

    assert card["sha256"] == hashlib.sha256(raw).hexdigest()
    assert card["bytes"] == len(raw) < 512 * 1024
    assert all(each["from"] for each in card["trained"])
    assert not [each for each in card["trained"] if each["set"].startswith("routerbench")]


def test_a_model_is_written_as_it_is_read() -> None:
    raw = (_PACKAGE / "complexity.model").read_bytes()

    assert dump(load(raw)) == raw


@pytest.mark.parametrize("raw", [b"", b"no model", b"{}\n", b'{"format": 99, "names": []}\n'])
def test_what_is_no_model_of_this_version_is_refused(raw: bytes) -> None:
    with pytest.raises(ModelError):
        load(raw)


def test_a_model_that_is_cut_short_is_refused() -> None:
    raw = (_PACKAGE / "complexity.model").read_bytes()

    with pytest.raises(ModelError, match="cut short"):
        load(raw[:-1])
