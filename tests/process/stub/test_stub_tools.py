"""Tool calls, unary and streamed."""

import json
from typing import TYPE_CHECKING, Any

import pytest
from openai import AsyncOpenAI, BadRequestError, pydantic_function_tool
from pydantic import BaseModel

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolUnionParam


class GetWeather(BaseModel):
    """The weather of a place."""

    place: str
    days: int


class BookTicket(BaseModel):
    """A seat on a train."""

    train: str


TOOLS: "list[ChatCompletionToolUnionParam]" = [pydantic_function_tool(GetWeather), pydantic_function_tool(BookTicket)]


def ask(text: str) -> "list[ChatCompletionMessageParam]":
    """A conversation of one question."""
    return [{"role": "user", "content": text}]


async def called(client: AsyncOpenAI, text: str, **more: Any) -> tuple[list[str], str]:
    """The names of the functions called, and how the answer ended."""
    completion = await client.chat.completions.create(model="gpt-4o", messages=ask(text), tools=TOOLS, **more)
    calls = completion.choices[0].message.tool_calls or []
    return [call.function.name for call in calls if call.type == "function"], completion.choices[0].finish_reason


async def test_auto_calls_the_tools_that_the_question_speaks_of(client: AsyncOpenAI) -> None:
    assert await called(client, "How is the weather?") == (["GetWeather"], "tool_calls")
    assert await called(client, "Check the weather and book a ticket.") == (["GetWeather", "BookTicket"], "tool_calls")
    assert await called(client, "Good morning!") == ([], "stop")


async def test_tool_choice_forbids_requires_or_names(client: AsyncOpenAI) -> None:
    named = {"type": "function", "function": {"name": "BookTicket"}}

    assert await called(client, "How is the weather?", tool_choice="none") == ([], "stop")
    assert await called(client, "Good morning!", tool_choice="required") == (["GetWeather"], "tool_calls")
    assert await called(client, "How is the weather?", tool_choice=named) == (["BookTicket"], "stop")


async def test_parallel_calls_can_be_forbidden(client: AsyncOpenAI) -> None:
    names, _ = await called(client, "Check the weather and book a ticket.", parallel_tool_calls=False)

    assert names == ["GetWeather"]


async def test_parse_gets_arguments_that_fit_the_tool(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.parse(
        model="gpt-4o",
        messages=ask("How is the weather?"),
        tools=[pydantic_function_tool(GetWeather)],
    )

    calls = completion.choices[0].message.tool_calls or []
    assert isinstance(calls[0].function.parsed_arguments, GetWeather)


async def test_streamed_arguments_add_up_to_the_unary_call(client: AsyncOpenAI) -> None:
    question = ask("Check the weather and book a ticket.")
    unary = await client.chat.completions.create(model="gpt-4o", messages=question, tools=TOOLS)
    stream = await client.chat.completions.create(model="gpt-4o", messages=question, tools=TOOLS, stream=True)

    names: dict[int, str] = {}
    arguments: dict[int, str] = {}
    pieces = 0
    async for chunk in stream:
        finish_reason = chunk.choices[0].finish_reason
        for delta in chunk.choices[0].delta.tool_calls or ():
            assert delta.function is not None
            if delta.id:
                names[delta.index] = delta.function.name or ""
            arguments[delta.index] = arguments.get(delta.index, "") + (delta.function.arguments or "")
            pieces += 1

    assert finish_reason == "tool_calls"
    assert pieces > 4
    assert [(names[index], arguments[index]) for index in (0, 1)] == [
        (call.function.name, call.function.arguments)
        for call in unary.choices[0].message.tool_calls or ()
        if call.type == "function"
    ]
    assert GetWeather.model_validate_json(arguments[0])


async def test_a_tools_result_is_answered_in_words(client: AsyncOpenAI) -> None:
    question = ask("How is the weather?")
    first = await client.chat.completions.create(model="gpt-4o", messages=question, tools=TOOLS)
    calls = first.choices[0].message.tool_calls or []
    second = await client.chat.completions.create(
        model="gpt-4o",
        messages=[
            *question,
            {"role": "assistant", "tool_calls": [call.model_dump() for call in calls]},  # type: ignore[misc] # as the SDK's guide does it
            {"role": "tool", "tool_call_id": calls[0].id, "content": "Rain."},
        ],
        tools=TOOLS,
    )

    assert 'The tool says "Rain.".' in (second.choices[0].message.content or "")


async def test_a_limit_cuts_the_arguments(client: AsyncOpenAI) -> None:
    completion = await client.chat.completions.create(
        model="gpt-4o", messages=ask("How is the weather?"), tools=TOOLS, max_tokens=6
    )

    assert completion.choices[0].finish_reason == "length"
    assert completion.usage is not None
    assert completion.usage.completion_tokens == 6
    call = (completion.choices[0].message.tool_calls or [])[0]
    assert call.type == "function"
    with pytest.raises(ValueError, match="Unterminated string"):
        json.loads(call.function.arguments)


@pytest.mark.parametrize(
    ("messages", "complaint"),
    [
        ([{"role": "tool", "tool_call_id": "call_1", "content": "Rain."}], "answers no tool call"),
        (
            [
                {"role": "assistant", "tool_calls": [{"id": "call_1", "type": "function", "function": {}}]},
                {"role": "user", "content": "Well?"},
            ],
            "no message with role 'tool' after them: call_1",
        ),
    ],
)
async def test_a_history_that_tears_a_call_from_its_result_is_refused(
    client: AsyncOpenAI, messages: Any, complaint: str
) -> None:
    with pytest.raises(BadRequestError, match=complaint):
        await client.chat.completions.create(model="gpt-4o", messages=messages)
