"""Streamed answers, as the SDK reads them."""

from typing import TYPE_CHECKING

from openai import AsyncOpenAI

from pointsman_stub import StubProvider

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

ASK: "list[ChatCompletionMessageParam]" = [{"role": "user", "content": "When does the last tram go? 🚋"}]


async def test_a_stream_adds_up_to_the_unary_answer(client: AsyncOpenAI) -> None:
    unary = await client.chat.completions.create(model="gpt-4o", messages=ASK)
    chunks = [chunk async for chunk in await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)]

    assert content(chunks) == unary.choices[0].message.content
    assert chunks[0].choices[0].delta.role == "assistant"
    assert [chunk.choices[0].finish_reason for chunk in chunks[-2:]] == [None, "stop"]
    assert len({chunk.id for chunk in chunks}) == 1
    assert all(chunk.usage is None for chunk in chunks)


async def test_usage_comes_last_in_a_chunk_without_choices(client: AsyncOpenAI) -> None:
    unary = await client.chat.completions.create(model="gpt-4o", messages=ASK)
    stream = await client.chat.completions.create(
        model="gpt-4o", messages=ASK, stream=True, stream_options={"include_usage": True}
    )
    chunks = [chunk async for chunk in stream]

    assert chunks[-1].choices == []
    assert chunks[-1].usage == unary.usage
    assert all(chunk.usage is None for chunk in chunks[:-1])


async def test_log_probabilities_come_with_their_tokens(client: AsyncOpenAI) -> None:
    unary = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK, logprobs=True, top_logprobs=2)
    stream = await client.chat.completions.create(
        model="gpt-4o-mini", messages=ASK, logprobs=True, top_logprobs=2, stream=True
    )
    entries = [
        entry
        async for chunk in stream
        if chunk.choices[0].logprobs is not None
        for entry in chunk.choices[0].logprobs.content or ()
    ]

    assert unary.choices[0].logprobs is not None
    assert entries == unary.choices[0].logprobs.content


async def test_choices_of_a_stream_are_told_apart_by_index(client: AsyncOpenAI) -> None:
    unary = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK, n=2)
    stream = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK, n=2, stream=True)
    chunks = [chunk async for chunk in stream]

    for index in (0, 1):
        own = [chunk for chunk in chunks if chunk.choices[0].index == index]
        assert content(own) == unary.choices[index].message.content
        assert own[-1].choices[0].finish_reason == "stop"


async def test_a_limit_ends_a_stream_with_length(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True, max_tokens=2)
    chunks = [chunk async for chunk in stream]

    assert content(chunks) == "[gpt-4o]"
    assert chunks[-1].choices[0].finish_reason == "length"


async def test_the_sdks_own_stream_helper_assembles_the_answer(client: AsyncOpenAI) -> None:
    async with client.chat.completions.stream(model="gpt-4o", messages=ASK) as stream:
        final = await stream.get_final_completion()

    assert (final.choices[0].message.content or "").startswith("[gpt-4o] Canned answer")


async def test_a_stream_is_marked_as_events_and_named(client: AsyncOpenAI, stub: StubProvider) -> None:
    async with client.chat.completions.with_streaming_response.create(
        model="gpt-4o", messages=ASK, stream=True
    ) as response:
        lines = [line async for line in response.iter_lines()]

    assert response.headers["content-type"] == "text/event-stream"
    assert response.headers["x-request-id"] == stub.requests[-1].id
    assert lines[0].startswith("data: {")
    assert [line for line in lines if line][-1] == "data: [DONE]"


def content(chunks: "list[ChatCompletionChunk]") -> str:
    """The text that the chunks carry."""
    return "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
