"""Estimates of tokens, caps on output, and costs."""

from decimal import Decimal, localcontext

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.routing.capability import output_cap
from pointsman_sidecar.routing.costs import Usage, cost
from pointsman_sidecar.routing.estimates import audio_tokens, image_tokens, text_tokens
from support.policies import features, model, price

words = st.text(st.characters(exclude_categories=["Cs"]), max_size=200)


@given(words, words)
def test_more_text_is_never_fewer_tokens(text: str, more: str) -> None:
    assert text_tokens(text) <= text_tokens(text + more)


@given(words.filter(bool))
def test_a_text_has_one_token_at_least_and_one_a_character_at_most(text: str) -> None:
    assert 1 <= text_tokens(text) <= len(text)


def test_no_text_has_no_tokens() -> None:
    assert text_tokens("") == 0


@pytest.mark.parametrize("text", ["ключ", "鍵と錠前", "🔑🔒"], ids=["Cyrillic", "Japanese", "emoji"])
def test_other_scripts_weigh_more_than_as_many_latin_letters(text: str) -> None:
    assert text_tokens(text * 10) > 2 * text_tokens("a" * len(text) * 10)


def test_english_prose_is_estimated_a_little_high() -> None:
    """16 tokens by OpenAI's tokenizer for gpt-4o."""
    text = "The quick brown fox jumps over the lazy dog, and then it sleeps in the shade."

    assert 17 <= text_tokens(text) <= 24


def test_a_picture_with_low_detail_is_cheap() -> None:
    assert image_tokens("low") == 85
    assert image_tokens("high") == image_tokens("auto") == image_tokens("") == 765


def test_ten_seconds_of_sound_are_a_hundred_tokens_in_either_format() -> None:
    assert audio_tokens(size=320_000, format_="wav") == 100
    assert audio_tokens(size=80_000, format_="mp3") == 100
    assert audio_tokens(size=1, format_="wav") == 1


@pytest.mark.parametrize(
    ("asked", "policy_cap", "cap"),
    [
        pytest.param(None, None, None, id="nobody says anything: left to the provider"),
        pytest.param(50, None, 50, id="the request's"),
        pytest.param(None, 40, 40, id="the policy's"),
        pytest.param(50, 40, 40, id="the policy's, being lower"),
        pytest.param(30, 40, 30, id="the request's, being lower"),
        pytest.param(5000, None, 1000, id="the model's, being lower than the request's"),
        pytest.param(None, 5000, 1000, id="the model's, being lower than the policy's"),
    ],
)
def test_the_lowest_cap_holds(asked: int | None, policy_cap: int | None, cap: int | None) -> None:
    wants = features(max_output_tokens=asked)

    assert output_cap(model("m", max_output_tokens=1000), wants, policy_cap=policy_cap) == cap


def test_cached_input_has_its_own_price() -> None:
    usage = Usage(input_tokens=1_000, cached_input_tokens=600, output_tokens=100, reasoning_tokens=40)

    assert cost(usage, price(input_="2.50", cached_input="1.25", output="10.00")) == Decimal("0.00275")


tokens = st.integers(0, 10**9)
prices = st.decimals(0, 1000, places=6)


@given(tokens, tokens, tokens, prices, prices, prices)
def test_a_cost_is_exact_to_the_last_digit(
    fresh: int, cached: int, output: int, input_price: Decimal, cached_price: Decimal, output_price: Decimal
) -> None:
    usage = Usage(input_tokens=fresh + cached, cached_input_tokens=cached, output_tokens=output)
    charged = cost(usage, price(input_=str(input_price), cached_input=str(cached_price), output=str(output_price)))

    with localcontext(prec=60):
        exact = (fresh * input_price + cached * cached_price + output * output_price) / Decimal(1_000_000)
    assert charged == exact
