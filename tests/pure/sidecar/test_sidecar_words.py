"""What is found in a text: words, languages, code and formulas, and how much of the text is looked at."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar import lexicons
from pointsman_sidecar.routing.content import LONGEST, LONGEST_MESSAGE, ends, sampled
from pointsman_sidecar.routing.kinds import kinds_in
from pointsman_sidecar.routing.languages import LANGUAGES, language_of
from pointsman_sidecar.routing.matchers import Domain, Kind
from pointsman_sidecar.routing.policy import Severity
from pointsman_sidecar.routing.risk import NO_RISK, Lexicon
from pointsman_sidecar.routing.words import Text, Words

HARMLESS = [
    "What is the capital of France?",
    "Write a poem about spring and the sea.",
    "The court was wet, so the tennis match was put off.",
    "Wie koche ich Nudeln al dente?",
    "Quelle est la hauteur de la tour Eiffel ?",
    "¿Dónde está la biblioteca de la ciudad?",
    "Translate 'good morning' into Japanese.",
    "Let us investigate why the build fails, and diagnose it.",
    "Sin embargo, prefiero el pan casero.",
    "Explica la herencia de clases en Python.",
    "Quelle enceinte choisir pour mon salon ?",
    "Who wrote the Old Testament?",
    "Where is my parcel, and may I have my money back?",
]
EVERYTHING = Lexicon(word for language in sorted(lexicons.LANGUAGES) for word in lexicons.words(language))


@pytest.mark.parametrize(
    ("word", "text", "found"),
    [
        ("refund", "A REFUND, please.", True),
        ("refund", "Refunds", False),
        ("refund*", "Refundable?", True),
        ("a*", "An apple", True),
        ("break my lease", "I break\n my  lease", True),
        ("break my lease", "my lease, break", False),
        ("power of attorn*", "the power of attorneys", True),
        ("straße", "In der STRASSE", True),
        ("prud'hommes", "aux prud’hommes", True),
        ("café", "un cafe\u0301 noir", True),
        (".NET", "I use .net!", True),
        (".NET", "the net", False),
        ("401(k)", "my 401(k)?", True),
        ("返金", "商品の返金を", True),
        ("ยา", "กินยาแล้ว", True),
        ("!!", "what!!", False),
    ],
)
def test_words_are_found_whole_and_in_any_case(word: str, text: str, *, found: bool) -> None:
    assert bool(Words({word: word}).found(Text(text))) is found


@given(words=st.lists(st.text("abc", min_size=1, max_size=3), min_size=1, max_size=8), at=st.integers(0, 7))
def test_each_word_of_a_text_is_found_in_it(words: list[str], at: int) -> None:
    word = words[at % len(words)]
    index = Words({word: "whole", word[:1] + "*": "stem", " ".join(words): "phrase", "d": "other"})

    expected = {"stem", "phrase"} if len(words) == 1 and word == " ".join(words) else {"whole", "stem", "phrase"}
    assert index.found(Text(", ".join(words).upper())) == expected


@pytest.mark.parametrize(
    ("text", "domain", "severity"),
    [
        ("They want to evict us", Domain.LEGAL, Severity.HIGH),
        ("May I break my lease early?", Domain.LEGAL, Severity.MEDIUM),
        ("Mir wurde fristlos gekündigt", Domain.LEGAL, Severity.HIGH),
        ("Welche Nebenwirkungen hat Ibuprofen?", Domain.MEDICAL, Severity.HIGH),
        ("J'ai une douleur à la poitrine", Domain.MEDICAL, Severity.HIGH),
        ("¿Qué dosis de insulina necesito?", Domain.MEDICAL, Severity.HIGH),
        ("Should I refinance my mortgage?", Domain.MONEY, Severity.MEDIUM),
        ("Blanqueo de capitales", Domain.MONEY, Severity.HIGH),
        ("Ich möchte nicht mehr leben", Domain.SAFETY, Severity.CRITICAL),
        ("Il y a une odeur de gaz", Domain.SAFETY, Severity.HIGH),
    ],
)
def test_the_lexicons_tell_of_a_risk(text: str, domain: Domain, severity: Severity) -> None:
    risk = EVERYTHING.found(Text(text))

    assert domain in risk.domains
    assert risk.severity is severity


@pytest.mark.parametrize("text", HARMLESS)
def test_the_lexicons_pass_over_what_is_harmless(text: str) -> None:
    assert EVERYTHING.found(Text(text)) == NO_RISK


@pytest.mark.parametrize("language", sorted(lexicons.LANGUAGES))
def test_each_lexicon_has_words_of_every_domain_and_none_twice(language: str) -> None:
    told = lexicons.words(language)

    assert {domain for _, (domain, _) in told} == set(Domain)
    assert len({word.casefold() for word, _ in told}) == len(told)


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("How do I get to the station?", "en"),
        ("Wie komme ich zum Bahnhof?", "de"),
        ("Comment est-ce que je peux aller à la gare ?", "fr"),
        ("¿Cómo puedo llegar a la estación?", "es"),
        ("Come posso arrivare alla stazione?", "it"),
        ("Como posso chegar à estação? Onde é que fica?", "pt"),
        ("Hoe kom ik bij het station?", "nl"),
        ("Hur kommer jag till stationen och när går det tåg?", "sv"),
        ("Jak dojść na dworzec i czy jest tam kasa?", "pl"),
        ("Miten pääsen asemalle ja missä se on?", "fi"),
        ("Как мне пройти на вокзал?", "ru"),
        ("Як мені дійти до вокзалу і що там є?", "uk"),
        ("İstasyona nasıl gidilir ve bu tren ne zaman?", "tr"),
        ("駅はどこですか", "ja"),
        ("火车站在哪里", "zh"),
        ("역이 어디에 있습니까", "ko"),
        ("أين المحطة من فضلك", "ar"),
        ("איפה התחנה", "he"),
        ("Πού είναι ο σταθμός;", "el"),
        ("स्टेशन कहाँ है", "hi"),
        ("สถานีอยู่ที่ไหน", "th"),
        ("ایستگاه کجاست؟ چگونه بروم", ""),
        ("Station", ""),
        ("", ""),
        ("12345 67890", ""),
        ("xqz bvw plk", ""),
    ],
)
def test_the_language_is_told(text: str, language: str) -> None:
    assert language_of(text) == language
    assert language == "" or language in LANGUAGES


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("```\nx\n```", {Kind.CODE}),
        ("def f(x):\n    return x", {Kind.CODE}),
        ("SELECT name FROM users", {Kind.CODE}),
        ("for (int i = 0; i < n; i++) {\n  sum();\n}", {Kind.CODE, Kind.MATHS}),
        ("What is 2+2?", {Kind.MATHS}),
        ("\\frac{1}{2}", {Kind.MATHS}),
        ("∫ f dx", {Kind.MATHS}),
        ("Please import the chairs; thanks.", set()),
        ("Call 555-1234 by 2026-05-06, and/or write.", set()),
        ("I select a gift from the list? No: from you.", {Kind.CODE}),
        ("", set()),
    ],
)
def test_code_and_formulas_are_told_by_their_marks(text: str, kinds: set[Kind]) -> None:
    assert kinds_in(text) == kinds


def test_of_megabytes_only_samples_are_kept() -> None:
    said = sampled(iter(["b" * 5_000_000, "c" * 5_000_000, "d" * 5_000_000]))

    assert [len(each) for each in said] == [LONGEST_MESSAGE, LONGEST - LONGEST_MESSAGE]


def test_no_more_messages_are_read_than_are_kept() -> None:
    messages = iter(["x" * 5_000_000, "y" * 5_000_000, "never read"])
    sampled(messages)

    assert next(messages) == "never read"


@given(text=st.text(), longest=st.integers(2, 40))
def test_a_sample_is_the_beginning_and_the_end(text: str, longest: int) -> None:
    sample = ends(text, longest)

    assert len(sample) <= longest
    assert sample == text or text.startswith(sample[: longest // 2])
    assert sample == text or text.endswith(sample[longest // 2 + 1 :])
