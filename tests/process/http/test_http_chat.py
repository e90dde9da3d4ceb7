"""Chat completions by the openai SDK, whole and streamed, as an app that knows nothing of Pointsman asks for them."""

import asyncio
import json
import os
import subprocess
import sys
from decimal import Decimal
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI
from pydantic import BaseModel

from pointsman_stub import StubProvider
from support.http_doors import APP_KEY, QUESTION, chunks, question
from support.sidecars import Sidecar, sample
from support.snapshots import snapshot

WEATHER: Any = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "parameters": {
            "type": "object",
            "properties": {"city": {"enum": ["Oslo"]}},
            "required": ["city"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
BODY = {"x-pointsman-decision": "body"}


class Invoice(BaseModel):
    """What an app wants to read out of an answer."""

    number: str
    total: float


async def test_an_answer_comes_with_its_decision_in_the_headers(client: AsyncOpenAI) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="auto", messages=QUESTION)
    answer = raw.parse()

    assert answer.choices[0].message.content.startswith('[gpt-4o-mini] Canned answer to "What is 2 + 2?".')
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens
    headers = {name: value for name, value in raw.headers.items() if name.startswith("x-pointsman-")}
    assert len(headers.pop("x-pointsman-decision-id")) == 32
    assert Decimal(headers.pop("x-pointsman-cost").removesuffix(" USD")) > 0
    assert headers == {
        "x-pointsman-policy": "shop/support",
        "x-pointsman-model": "mini",
        "x-pointsman-provider": "openai",
        "x-pointsman-provider-model": "gpt-4o-mini",
        "x-pointsman-reason": "DEFAULT",
        "x-pointsman-message": "no route matched, so the default model answers",
        "x-pointsman-attempts": "1",
    }
    assert answer._request_id == raw.headers["x-pointsman-decision-id"]


async def test_an_app_that_names_a_model_of_the_providers_is_routed_all_the_same(
    client: AsyncOpenAI, stub: StubProvider
) -> None:
    raw = await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=QUESTION)

    assert [each.model for each in stub.requests] == ["gpt-4o-mini"]
    assert raw.headers["x-pointsman-changes"] == "model"


@pytest.mark.parametrize("name", ["flagship", "gpt-4o"])
async def test_a_name_pins_where_the_policy_allows_it(
    client: AsyncOpenAI, sidecar: Sidecar, stub: StubProvider, name: str
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, allow_pinning=True))

    raw = await client.chat.completions.with_raw_response.create(model=name, messages=QUESTION)

    assert raw.headers["x-pointsman-reason"] == "PINNED"
    assert [each.model for each in stub.requests] == ["gpt-4o"]


async def test_a_name_that_may_pin_and_is_none_is_not_found(
    client: AsyncOpenAI, sidecar: Sidecar, stub: StubProvider
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, allow_pinning=True))

    with pytest.raises(openai.NotFoundError) as caught:
        await client.chat.completions.create(model="gpt-9", messages=QUESTION)

    assert (caught.value.code, caught.value.param) == ("model_not_found", "model")


async def test_the_decision_stands_in_the_body_where_it_is_asked_for(client: AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="gpt-4o", messages=QUESTION, extra_headers=BODY)

    decision = answer.model_extra["pointsman"]
    assert (decision["model"], decision["reason"]) == ("mini", "DEFAULT")
    assert decision["policy"] == {"namespace": "shop", "name": "support", "generation": 3}
    assert [(each["model"], each["outcome"]) for each in decision["attempts"]] == [("mini", "SUCCEEDED")]
    assert decision["usage"]["output_tokens"] == answer.usage.completion_tokens
    assert decision["changes"][0]["field"] == "model"
    assert decision["cost"]["currency"] == "USD"


async def test_metadata_and_headers_decide_and_go_no_further(client: AsyncOpenAI, stub: StubProvider) -> None:
    severe = {"x-pointsman-severity": "critical", "x-pointsman-session": "CANARY-session"}

    raw = await client.chat.completions.with_raw_response.create(
        model="auto", messages=QUESTION, metadata={"topic": "CANARY-topic"}, user="hash-of-ada", extra_headers=severe
    )

    assert (raw.headers["x-pointsman-route"], raw.headers["x-pointsman-model"]) == ("risky", "flagship")
    (received,) = stub.requests
    assert received.body == {"model": "gpt-4o", "messages": QUESTION, "user": "hash-of-ada"}
    seen = json.dumps([received.body, dict(received.headers)])
    assert "CANARY" not in seen
    assert not [name for name in received.headers if name.startswith("x-pointsman")]


async def test_the_apps_key_ends_at_the_door(client: AsyncOpenAI, sidecar: Sidecar, stub: StubProvider) -> None:
    await client.chat.completions.create(model="auto", messages=QUESTION)
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(model="auto", messages=[])

    assert [each.key.fits for each in stub.requests] == [True]
    assert APP_KEY not in json.dumps([each.json() for each in stub.requests])
    assert APP_KEY not in json.dumps(sidecar.logged, default=str)


async def test_tools_are_called_and_their_results_sent_back(client: AsyncOpenAI) -> None:
    messages: list[Any] = [{"role": "user", "content": "What is the weather?"}]

    first = await client.chat.completions.create(model="auto", messages=messages, tools=[WEATHER])

    assert first.choices[0].finish_reason == "tool_calls"
    (call,) = first.choices[0].message.tool_calls or ()
    assert call.type == "function"
    assert json.loads(call.function.arguments) == {"city": "Oslo"}
    messages += [first.choices[0].message, {"role": "tool", "tool_call_id": call.id, "content": "-3 °C"}]
    second = await client.chat.completions.create(model="auto", messages=messages, tools=[WEATHER])
    assert 'The tool says "-3 °C".' in (second.choices[0].message.content or "")


async def test_an_answer_is_parsed_by_its_schema(client: AsyncOpenAI, stub: StubProvider) -> None:
    parsed = await client.chat.completions.parse(model="auto", messages=QUESTION, response_format=Invoice)

    assert isinstance(parsed.choices[0].message.parsed, Invoice)
    assert stub.requests[0].body["response_format"]["json_schema"]["strict"] is True


async def test_a_stream_comes_as_the_whole_answer_would(client: AsyncOpenAI) -> None:
    whole = await client.chat.completions.create(model="auto", messages=QUESTION)

    stream = await client.chat.completions.create(model="auto", messages=QUESTION, stream=True)
    pieces = [chunk async for chunk in stream]

    assert stream.response.headers["x-pointsman-model"] == "mini"
    assert "x-pointsman-cost" not in stream.response.headers
    assert pieces[0].choices[0].delta.role == "assistant"
    assert "".join(piece.choices[0].delta.content or "" for piece in pieces) == whole.choices[0].message.content
    assert pieces[-1].choices[0].finish_reason == "stop"


async def test_the_sdks_own_accumulation_of_a_stream_works(client: AsyncOpenAI) -> None:
    messages: Any = [{"role": "user", "content": "What is the weather?"}]
    async with client.chat.completions.stream(model="auto", messages=messages, tools=[WEATHER]) as stream:
        async for _ in stream:
            pass
        final = await stream.get_final_completion()

    (call,) = final.choices[0].message.tool_calls or ()
    assert call.function.parsed_arguments == {"city": "Oslo"}


async def test_a_stream_ends_with_what_it_cost_for_those_who_ask(client: AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="auto", messages=QUESTION, stream=True, stream_options={"include_usage": True}
    )
    *_, last = [chunk async for chunk in stream]

    assert last.choices == []
    assert last.usage.total_tokens > 0
    assert "pointsman" not in (last.model_extra or {})


@pytest.mark.parametrize("options", [{}, {"stream_options": {"include_usage": True}}], ids=["without usage", "with"])
async def test_a_streams_last_chunk_holds_the_decision_where_it_is_asked_for(
    client: AsyncOpenAI, options: dict[str, Any]
) -> None:
    stream = await client.chat.completions.create(
        model="auto", messages=QUESTION, stream=True, extra_headers=BODY, **options
    )
    *_, last = [chunk async for chunk in stream]

    decision = last.model_extra["pointsman"]
    assert decision["id"] == stream.response.headers["x-pointsman-decision-id"]
    assert decision["usage"]["output_tokens"] == last.usage.completion_tokens
    assert decision["attempts"][0]["time_to_first_token_ms"] > 0


async def test_chunks_are_sent_on_byte_for_byte(
    http: aiohttp.ClientSession, sidecar: Sidecar, stub: StubProvider
) -> None:
    """The provider's own stream, but for its ids and times, is what the app reads."""
    key = {"Authorization": "Bearer sk-of-these-tests"}
    body = question(stream=True, model="gpt-4o-mini", stream_options={"include_usage": True})
    async with http.post(f"{stub.base_url}/chat/completions", json=body, headers=key) as direct:
        expected = await direct.read()
    async with http.post(f"{sidecar.http_url}/chat/completions", json=body) as through:
        received = await through.read()

    names = [(chunk["id"], str(chunk["created"])) for chunk in (chunks(expected)[0], chunks(received)[0])]
    for old, new in zip(*names, strict=True):
        expected = expected.replace(old.encode(), new.encode())
    assert received == expected


async def test_without_being_asked_a_stream_says_nothing_of_usage(
    http: aiohttp.ClientSession, sidecar: Sidecar
) -> None:
    async with http.post(f"{sidecar.http_url}/chat/completions", json=question(stream=True)) as response:
        received = chunks(await response.read())

    assert response.content_type == "text/event-stream"
    assert all(chunk["choices"] for chunk in received)


async def test_models_are_listed_by_the_names_that_requests_may_use(client: AsyncOpenAI) -> None:
    assert [model.id async for model in client.models.list()] == ["auto", "mini", "flagship", "embed"]
    assert (await client.models.retrieve("auto")).owned_by == "pointsman"
    assert (await client.models.retrieve("gpt-4o")).owned_by == "openai"
    with pytest.raises(openai.NotFoundError, match="there is no model gpt-9; there are auto, mini, flagship, embed"):
        await client.models.retrieve("gpt-9")


async def test_what_is_seen_of_a_completion_is_the_same_through_both_doors(
    client: AsyncOpenAI, sidecar: Sidecar
) -> None:
    await client.chat.completions.create(model="auto", messages=QUESTION)

    counted = {"policy": "shop/support", "route": "", "model": "mini", "reason": "DEFAULT", "code": "OK"}
    assert sample(sidecar.metrics.registry, "pointsman_completions_total", **counted) == 1
    assert sidecar.in_flight == 0
    (line,) = sidecar.logged
    assert (line["event"], line["code"], line["model"]) == ("completion", "OK", "mini")


SYNCHRONOUS = """
import openai
client = openai.OpenAI()
answer = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}])
print(answer.choices[0].message.content)
stream = client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "Hi"}], stream=True)
print("".join(chunk.choices[0].delta.content or "" for chunk in stream))
"""


async def test_an_app_needs_to_be_told_nothing_but_what_injection_sets(sidecar: Sidecar) -> None:
    """The synchronous client in a process of its own."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        SYNCHRONOUS,
        stdout=subprocess.PIPE,
        env={
            "PATH": os.environ["PATH"],
            "OPENAI_BASE_URL": sidecar.http_url,
            "OPENAI_API_KEY": "pointsman",
        },
    )
    said, _ = await process.communicate()

    whole, streamed = said.decode().splitlines()
    assert whole.startswith('[gpt-4o-mini] Canned answer to "Hi".')
    assert streamed == whole
