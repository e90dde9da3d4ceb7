"""Unary answers, as the SDK reads them."""

import base64
import json
import math
from typing import TYPE_CHECKING, Annotated, Literal

import pytest
from openai import AsyncOpenAI, BadRequestError, LengthFinishReasonError
from openai.types.chat.completion_create_params import CompletionCreateParamsStreaming
from pydantic import BaseModel, Field

from pointsman_stub.requests import PARAMETERS

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

ASK: "list[ChatCompletionMessageParam]" = [{"role": "user", "content": "Which line leads to the harbour?"}]
# One transparent pixel.
PIXEL = base64.b64encode(b"\x89PNG\r\n\x1a\n" + bytes(60)).decode()


async def test_every_model_answers_in_its_own_name_and_the_flagship_at_length(client: AsyncOpenAI) -> None:
    mini = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
    flagship = await client.chat.completions.create(model="gpt-4o", messages=ASK)

    short, long = mini.choices[0].message.content or "", flagship.choices[0].message.content or ""
    assert short.startswith('[gpt-4o-mini] Canned answer to "Which line leads to the harbour?".')
    assert long.startswith("[gpt-4o] Canned answer to")
    assert len(long) > 1.5 * len(short)
    assert (mini.model, mini.choices[0].finish_reason) == ("gpt-4o-mini", "stop")


async def test_the_same_question_gets_the_same_answer(client: AsyncOpenAI) -> None:
    first = await client.chat.completions.create(model="gpt-4o", messages=ASK, temperature=1.5, seed=1)
    second = await client.chat.completions.create(model="gpt-4o", messages=ASK)

    assert first.choices == second.choices
    assert first.usage == second.usage
    assert first.id != second.id


async def test_usage_counts_four_characters_as_a_token(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="gpt-4o", messages=ASK)

    assert completion.usage is not None
    text = completion.choices[0].message.content or ""
    assert completion.usage.prompt_tokens == 3 + 3 + 8  # the start of the answer, one message, 32 characters
    assert completion.usage.completion_tokens == math.ceil(len(text) / 4)
    assert completion.usage.total_tokens == completion.usage.prompt_tokens + completion.usage.completion_tokens


async def test_the_earlier_turns_of_a_long_conversation_count_as_cached(client: AsyncOpenAI) -> None:
    long = "x" * 4 * 1_100
    messages: list[ChatCompletionMessageParam] = [{"role": "system", "content": long}, *ASK]
    completion = await client.chat.completions.create(model="gpt-4o", messages=messages)

    assert completion.usage is not None
    assert completion.usage.prompt_tokens_details is not None
    assert completion.usage.prompt_tokens_details.cached_tokens == 1_024


async def test_a_model_that_reasons_pays_for_its_hidden_tokens(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="o3-mini", messages=ASK, reasoning_effort="low")

    assert completion.usage is not None
    assert completion.usage.completion_tokens_details is not None
    assert completion.usage.completion_tokens_details.reasoning_tokens == 64
    assert completion.usage.completion_tokens > 64


async def test_log_probabilities_cover_the_answer_and_name_alternatives(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK, logprobs=True, top_logprobs=3)

    choice = completion.choices[0]
    assert choice.logprobs is not None
    assert choice.logprobs.content is not None
    assert "".join(entry.token for entry in choice.logprobs.content) == choice.message.content
    assert all(-3 < entry.logprob < 0 and len(entry.top_logprobs) == 3 for entry in choice.logprobs.content)
    assert bytes(choice.logprobs.content[0].bytes or ()) == choice.logprobs.content[0].token.encode()


async def test_the_flagship_is_surer_of_its_answer(client: AsyncOpenAI) -> None:
    means: dict[str, float] = {}
    for model in ("gpt-4o-mini", "gpt-4o"):
        completion = await client.chat.completions.create(model=model, messages=ASK, logprobs=True)
        assert completion.choices[0].logprobs is not None
        entries = completion.choices[0].logprobs.content or []
        means[model] = sum(math.exp(entry.logprob) for entry in entries) / len(entries)

    assert means["gpt-4o-mini"] < 0.96 < means["gpt-4o"]


async def test_several_choices_differ_and_are_all_paid_for(client: AsyncOpenAI) -> None:
    one = await client.chat.completions.create(model="gpt-4o", messages=ASK)
    two = await client.chat.completions.create(model="gpt-4o", messages=ASK, n=2)

    assert [choice.index for choice in two.choices] == [0, 1]
    assert two.choices[0] == one.choices[0]
    assert two.choices[0].message.content != two.choices[1].message.content
    assert one.usage is not None
    assert two.usage is not None
    assert two.usage.completion_tokens > 1.5 * one.usage.completion_tokens
    assert two.usage.prompt_tokens == one.usage.prompt_tokens


async def test_a_stop_sequence_ends_the_answer_before_it(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(model="gpt-4o", messages=ASK, stop=["never said", " answer"])

    assert completion.choices[0].message.content == "[gpt-4o] Canned"
    assert completion.choices[0].finish_reason == "stop"


@pytest.mark.parametrize("limit", ["max_tokens", "max_completion_tokens"])
async def test_a_limit_cuts_the_answer_and_says_so(client: AsyncOpenAI, limit: str) -> None:
    completion = await client.chat.completions.create(model="gpt-4o", messages=ASK, extra_body={limit: 5})

    assert completion.choices[0].message.content == "[gpt-4o] Canned answ"[:20]
    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 5


@pytest.mark.parametrize(
    ("url", "description"),
    [
        (f"data:image/png;base64,{PIXEL}", "I see image/png of 68 bytes."),
        ("https://example.com/map.jpg", "I see the image at https://example.com/map.jpg."),
    ],
)
async def test_an_image_is_described_and_counted(client: AsyncOpenAI, url: str, description: str) -> None:
    counts: list[int] = []
    for detail in ("low", "high"):
        completion = await client.chat.completions.create(
            model="gpt-4o-mini",
            messages=[
                {
                    "role": "user",
                    "content": [
                        {"type": "text", "text": "Where is this?"},
                        {"type": "image_url", "image_url": {"url": url, "detail": detail}},
                    ],
                }
            ],
        )
        assert description in (completion.choices[0].message.content or "")
        assert completion.usage is not None
        counts.append(completion.usage.prompt_tokens)

    assert counts == [10 + 85, 10 + 765]


async def test_only_a_model_that_hears_takes_audio(client: AsyncOpenAI) -> None:
    messages: list[ChatCompletionMessageParam] = [
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "What is said here?"},
                {
                    "type": "input_audio",
                    "input_audio": {"data": base64.b64encode(bytes(6_400)).decode(), "format": "wav"},
                },
            ],
        }
    ]
    heard = await client.chat.completions.create(model="gpt-4o", messages=messages)
    with pytest.raises(BadRequestError, match="does not hear") as refused:
        await client.chat.completions.create(model="gpt-4o-mini", messages=messages)

    assert "I hear a wav clip of 6400 bytes." in (heard.choices[0].message.content or "")
    assert heard.usage is not None
    assert heard.usage.prompt_tokens_details is not None
    assert heard.usage.prompt_tokens_details.audio_tokens == 2
    assert refused.value.param == "model"


async def test_json_mode_answers_an_object_and_wants_the_word(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        model="gpt-4o",
        messages=[{"role": "user", "content": "Answer in JSON."}],
        response_format={"type": "json_object"},
    )
    with pytest.raises(BadRequestError, match="the word 'json'"):
        await client.chat.completions.create(model="gpt-4o", messages=ASK, response_format={"type": "json_object"})

    assert json.loads(completion.choices[0].message.content or "")["model"] == "gpt-4o"


class Stop(BaseModel):
    """A stop; it refers to itself, as trees do."""

    name: Annotated[str, Field(max_length=12)]
    platform: Annotated[int, Field(ge=3, lt=9, multiple_of=2)]
    share: Annotated[float, Field(gt=0, lt=0.25)]
    kind: Literal["station", "halt"]
    code: Annotated[str, Field(pattern=r"^[A-Z]{3}-\d+(?:/[a-f])?$", min_length=8)]
    open: bool
    next: "Stop | None"


class Timetable(BaseModel):
    """A schema with what structured outputs have to offer."""

    stops: Annotated[list[Stop], Field(min_length=2, max_length=3)]
    remark: str | None
    other: int | Stop


async def test_parse_gets_an_object_that_fits_the_model(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.parse(model="gpt-4o", messages=ASK, response_format=Timetable)

    parsed = completion.choices[0].message.parsed
    assert parsed is not None
    assert len(parsed.stops) == 2
    assert parsed.remark == "gpt-4o: remark"


async def test_parse_of_an_answer_cut_by_its_limit_fails_as_it_would_for_real(client: AsyncOpenAI) -> None:
    with pytest.raises(LengthFinishReasonError):
        await client.chat.completions.parse(
            model="gpt-4o", messages=ASK, response_format=Timetable, max_completion_tokens=3
        )


@pytest.mark.parametrize(
    ("schema", "complaint"),
    [
        (
            {"type": "object", "properties": {"a": {"type": "rope"}}, "required": ["a"]},
            r"\$\.a: 'rope' is no JSON type",
        ),
        ({"$ref": "#/$defs/absent"}, "leads nowhere"),
        ({"$defs": {"a": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, "requires itself without end"),
        ({"type": "integer", "minimum": 2, "maximum": 1}, "no integer"),
        ({"type": "string", "pattern": "(?=a)b"}, "is not understood"),
        ({"not": {"type": "string"}}, "'not' is not supported"),
        ({"properties": 3}, "not a valid JSON schema"),
    ],
)
async def test_a_schema_that_nothing_fits_is_refused(
    client: AsyncOpenAI, schema: dict[str, object], complaint: str
) -> None:
    with pytest.raises(BadRequestError, match=complaint) as refused:
        await client.chat.completions.create(
            model="gpt-4o",
            messages=ASK,
            response_format={"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        )

    assert refused.value.param == "response_format"


def test_every_parameter_that_the_sdk_can_send_is_known() -> None:
    assert set(CompletionCreateParamsStreaming.__annotations__) <= PARAMETERS
