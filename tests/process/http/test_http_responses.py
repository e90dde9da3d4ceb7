"""The Responses API by the openai SDK: what a chat completion can say arrives, what it cannot is refused by name."""

import json
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from pointsman_stub import Fault, StubProvider
from support.http_doors import events
from support.sidecars import Sidecar

WEATHER: Any = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather somewhere.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"enum": ["Oslo"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
    "strict": True,
}
PICTURE = "data:image/png;base64,iVBORw0KGgo="


class Invoice(BaseModel):
    """What an app wants to read out of an answer."""

    number: str
    total: float


async def test_a_response_says_what_a_chat_completion_would(client: AsyncOpenAI, stub: StubProvider) -> None:
    raw = await client.responses.with_raw_response.create(
        model="gpt-4o",
        instructions="Be brief.",
        input="What is 2 + 2?",
        max_output_tokens=500,
        temperature=0.5,
        metadata={"topic": "sums"},
    )
    response = raw.parse()

    assert response.output_text.startswith('[gpt-4o-mini] Canned answer to "What is 2 + 2?".')
    assert (response.status, response.instructions, response.temperature) == ("completed", "Be brief.", 0.5)
    assert response.metadata == {"topic": "sums"}
    assert response.usage is not None
    assert response.usage.total_tokens == response.usage.input_tokens + response.usage.output_tokens
    assert raw.headers["x-pointsman-model"] == "mini"
    assert stub.requests[0].body == {
        "model": "gpt-4o-mini",
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "What is 2 + 2?"}],
        "max_completion_tokens": 500,
        "temperature": 0.5,
    }


async def test_items_of_every_kind_that_a_chat_knows_arrive(client: AsyncOpenAI, stub: StubProvider) -> None:
    given: Any = [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "input_text", "text": "Look"},
                {"type": "input_image", "image_url": PICTURE, "detail": "low"},
            ],
        },
        {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I see."}]},
        {"type": "function_call", "call_id": "c1", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call", "call_id": "c2", "name": "get_weather", "arguments": "{}"},
        {"type": "function_call_output", "call_id": "c1", "output": "-3"},
        {"type": "function_call_output", "call_id": "c2", "output": [{"type": "input_text", "text": "-4"}]},
    ]

    response = await client.responses.create(model="auto", input=given, tools=[WEATHER], tool_choice="none")

    assert "I see image/png of 8 bytes" in response.output_text
    body = stub.requests[0].body
    assert body["messages"] == [
        {"role": "developer", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "Look"},
                {"type": "image_url", "image_url": {"url": PICTURE, "detail": "low"}},
            ],
        },
        {
            "role": "assistant",
            "content": [{"type": "text", "text": "I see."}],
            "tool_calls": [
                {"id": name, "type": "function", "function": {"name": "get_weather", "arguments": "{}"}}
                for name in ("c1", "c2")
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "-3"},
        {"role": "tool", "tool_call_id": "c2", "content": [{"type": "text", "text": "-4"}]},
    ]
    function = {name: value for name, value in WEATHER.items() if name != "type"}
    assert body["tools"] == [{"type": "function", "function": function}]
    assert body["tool_choice"] == "none"


async def test_a_function_is_called_and_its_output_sent_back(client: AsyncOpenAI) -> None:
    question: Any = {"role": "user", "content": "What is the weather?"}

    first = await client.responses.create(model="auto", input=[question], tools=[WEATHER])

    (call,) = first.output
    assert call.type == "function_call"
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    output: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "-3 °C"}
    second = await client.responses.create(model="auto", input=[question, call, output], tools=[WEATHER])  # type: ignore[list-item] # an output is an input, as OpenAI's guide has it
    assert 'The tool says "-3 °C".' in second.output_text


async def test_a_response_is_parsed_by_its_schema(client: AsyncOpenAI, stub: StubProvider) -> None:
    parsed = await client.responses.parse(model="auto", input="An invoice", text_format=Invoice)

    assert isinstance(parsed.output_parsed, Invoice)
    form = stub.requests[0].body["response_format"]
    assert (form["type"], form["json_schema"]["strict"]) == ("json_schema", True)


async def test_an_answer_that_met_its_limit_is_incomplete(client: AsyncOpenAI) -> None:
    response = await client.responses.create(model="auto", input="Hi", max_output_tokens=3)

    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    assert response.incomplete_details.reason == "max_output_tokens"


async def test_logprobs_come_where_they_are_asked_for(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="auto", input="Hi", include=["message.output_text.logprobs"], top_logprobs=2
    )

    (message,) = response.output
    assert message.type == "message"
    (part,) = message.content
    assert part.type == "output_text"
    assert "".join(token.token for token in part.logprobs or ()) == response.output_text
    assert all(len(token.top_logprobs) == 2 for token in part.logprobs or ())


@pytest.mark.parametrize(
    ("given", "kinds"),
    [
        ("What is 2 + 2?", ["message"]),
        ("What is the weather?", ["function_call"]),
    ],
)
async def test_a_stream_adds_up_to_the_response(client: AsyncOpenAI, given: str, kinds: list[str]) -> None:
    whole = await client.responses.create(model="auto", input=given, tools=[WEATHER])

    async with client.responses.stream(model="auto", input=given, tools=[WEATHER]) as stream:
        seen = [event async for event in stream]
        final = await stream.get_final_response()

    assert [event.type for event in seen[:3]] == [
        "response.created",
        "response.in_progress",
        "response.output_item.added",
    ]
    assert seen[-1].type == "response.completed"
    assert [event.sequence_number for event in seen] == sorted({event.sequence_number for event in seen})
    assert [item.type for item in final.output] == kinds
    assert final.output_text == whole.output_text
    assert final.usage == whole.usage


async def test_the_final_response_holds_the_decision_where_it_is_asked_for(client: AsyncOpenAI) -> None:
    header = {"x-pointsman-decision": "body"}
    whole = await client.responses.create(model="auto", input="Hi", extra_headers=header)
    stream = await client.responses.create(model="auto", input="Hi", stream=True, extra_headers=header)
    *_, last = [event async for event in stream]

    assert (whole.model_extra or {})["pointsman"]["model"] == "mini"
    assert last.type == "response.completed"
    assert (last.response.model_extra or {})["pointsman"]["usage"]["output_tokens"] > 0


async def test_a_stream_that_breaks_off_ends_with_a_failed_response(
    http: aiohttp.ClientSession, sidecar: Sidecar, stub: StubProvider
) -> None:
    stub.set_faults(Fault(cut=4))
    body = {"model": "auto", "input": "Hi", "stream": True}
    async with http.post(f"{sidecar.http_url}/responses", json=body) as response:
        text = await response.read()

    names = [line.removeprefix("event: ") for line in text.decode().splitlines() if line.startswith("event: ")]
    assert names[0] == "response.created"
    assert names[-1] == "response.failed"
    last = json.loads(text.decode().rpartition("data: ")[2])
    assert last["response"]["status"] == "failed"
    assert "the connection broke off" in last["response"]["error"]["message"]
    assert not events(text)


@pytest.mark.parametrize(
    ("given", "field", "says"),
    [
        ({"previous_response_id": "resp_1"}, "previous_response_id", "send the whole conversation as input"),
        ({"conversation": "conv_1"}, "conversation", "send the whole conversation as input"),
        ({"background": True}, "background", "nothing runs on here once its caller is gone"),
        ({"store": True}, "store", "is true, and no response is kept here"),
        ({"prompt": {"id": "p"}}, "prompt", "send the prompt's text as instructions and input"),
        ({"tools": [{"type": "web_search"}]}, "tools[0].type", "is 'web_search': functions alone are served"),
        ({"tool_choice": {"type": "file_search"}}, "tool_choice", "must be none, auto, required, or name a function"),
        ({"truncation": "auto"}, "truncation", "nothing is cut here"),
        ({"include": ["reasoning.encrypted_content"]}, "include", "asks for 'reasoning.encrypted_content'"),
        ({"reasoning": {"summary": "auto"}}, "reasoning.summary", "has no equal in chat completions"),
        ({"max_tool_calls": 3}, "max_tool_calls", "has no equal in chat completions"),
        ({"input": []}, "input", "is empty: give a text, or one item at least"),
        ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].type", "is 'item_reference'"),
        ({"input": [{"role": "tool", "content": "x"}]}, "input[0].role", "must be one of user, assistant"),
        (
            {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
            "input[0].content[0].image_url",
            "files of the provider's cannot be looked at by id",
        ),
        ({"text": {"format": {"type": "json_schema"}}}, "text.format", "needs a name and a schema"),
    ],
)
async def test_what_has_no_equal_is_refused_by_its_name(
    client: AsyncOpenAI, stub: StubProvider, given: dict[str, Any], field: str, says: str
) -> None:
    with pytest.raises(openai.BadRequestError, match="400") as caught:
        await client.responses.create(**{"model": "auto", "input": "Hi"} | given)

    assert caught.value.param == field
    assert says in caught.value.message
    assert stub.requests == ()


async def test_what_only_says_no_is_no_obstacle(client: AsyncOpenAI) -> None:
    response = await client.responses.create(
        model="auto",
        input="Hi",
        background=False,
        store=False,
        truncation="disabled",
        previous_response_id=None,
        tools=[],
    )

    assert response.status == "completed"
