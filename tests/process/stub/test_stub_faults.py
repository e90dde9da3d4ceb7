"""Faults on demand, and what the SDK makes of them."""

import asyncio
import json
from typing import TYPE_CHECKING, Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from pointsman_stub import Fault, StubProvider
from pointsman_stub.faults import FaultError, parse_header

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

ASK: "list[ChatCompletionMessageParam]" = [{"role": "user", "content": "Hello?"}]


async def streamed(client: AsyncOpenAI, received: list[str], **more: Any) -> None:
    """Stream an answer into a list, which keeps what came before a failure."""
    stream = await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True, **more)
    async for chunk in stream:
        received.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - a failure must leave what came before


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (401, openai.AuthenticationError),
        (403, openai.PermissionDeniedError),
        (429, openai.RateLimitError),
        (500, openai.InternalServerError),
        (503, openai.InternalServerError),
    ],
)
async def test_a_status_becomes_the_sdks_typed_error(
    client: AsyncOpenAI, stub: StubProvider, status: int, error: type[openai.APIStatusError]
) -> None:
    stub.set_faults(Fault(status=status))

    with pytest.raises(error) as unary:
        await client.chat.completions.create(model="gpt-4o", messages=ASK)
    with pytest.raises(error):
        await streamed(client, [])
    assert unary.value.status_code == stub.requests[0].status == status


async def test_a_rate_limit_says_when_to_come_back(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(status=429, retry_after=2, code="insufficient_quota"))

    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert caught.value.response.headers["retry-after"] == "2"
    assert caught.value.code == "insufficient_quota"


@pytest.mark.parametrize("point", ["start", "headers", 3])
async def test_a_hanging_answer_times_out(client: AsyncOpenAI, stub: StubProvider, point: str | int) -> None:
    stub.set_faults(Fault(hang=point))
    received: list[str] = []

    with pytest.raises(openai.APITimeoutError):
        await client.chat.completions.create(model="gpt-4o", messages=ASK, timeout=0.4)
    with pytest.raises(openai.APITimeoutError):
        await streamed(client, received, timeout=0.4)
    assert len(received) == (point if isinstance(point, int) else 0)


@pytest.mark.parametrize("point", ["start", "headers", 3])
async def test_a_cut_answer_is_a_lost_connection(client: AsyncOpenAI, stub: StubProvider, point: str | int) -> None:
    stub.set_faults(Fault(cut=point))
    received: list[str] = []

    with pytest.raises(openai.APIConnectionError):
        await client.chat.completions.create(model="gpt-4o", messages=ASK)
    with pytest.raises(openai.APIConnectionError):
        await streamed(client, received)
    assert len(received) == (point if isinstance(point, int) else 0)
    assert [record.status for record in stub.requests] == [None if point == "start" else 200] * 2
    assert not any(record.disconnected for record in stub.requests)


async def test_json_that_breaks_off_does_not_parse(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(garbage="json"))
    received: list[str] = []

    with pytest.raises(json.JSONDecodeError):
        await client.chat.completions.create(model="gpt-4o", messages=ASK)
    with pytest.raises(json.JSONDecodeError):
        await streamed(client, received)
    assert len(received) == 1


async def test_a_web_page_may_come_instead_of_the_answer(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(garbage="html"))

    response = await client.chat.completions.with_raw_response.create(model="gpt-4o", messages=ASK)

    assert response.headers["content-type"].startswith("text/html")
    assert response.http_response.text.startswith("<!doctype html>")


async def test_a_stream_may_end_in_an_error_event(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(error_after=2))
    received: list[str] = []

    with pytest.raises(openai.APIError, match="asked to fail"):
        await streamed(client, received)
    with pytest.raises(openai.InternalServerError):
        await client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert len(received) == 2


async def test_slowness_is_before_the_first_byte_or_between_chunks(client: AsyncOpenAI, stub: StubProvider) -> None:
    loop = asyncio.get_running_loop()

    stub.set_faults(Fault(latency=0.15))
    before = loop.time()
    await client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert loop.time() - before >= 0.15

    stub.set_faults(Fault(chunk_delay=0.05))
    before = loop.time()
    await streamed(client, [], max_tokens=2)
    assert loop.time() - before >= 4 * 0.05  # role, two tokens, the end, [DONE]


async def test_a_fault_meets_its_model_so_many_times(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(model="gpt-4o", status=500, times=2))

    for _ in range(2):
        await client.chat.completions.create(model="gpt-4o-mini", messages=ASK)
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert await client.chat.completions.create(model="gpt-4o", messages=ASK)
    assert stub.faults == ()


async def test_faults_are_set_shown_and_deleted_over_http(client: AsyncOpenAI, stub: StubProvider) -> None:
    faults: list[dict[str, object]] = [
        {"model": "gpt-4o", "status": 503, "times": 2},
        {"model": "gpt-4o", "latency": "10ms"},
    ]
    async with aiohttp.ClientSession(stub.base_url.removesuffix("v1")) as session:
        async with session.put("stub/faults", json=faults) as response:
            assert response.status == 200
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="gpt-4o", messages=ASK)
        async with session.get("stub/faults") as response:
            assert await response.json() == [faults[0] | {"times": 1}, {"model": "gpt-4o", "latency": 0.01}]
        async with session.delete("stub/faults") as response:
            assert response.status == 204

    assert await client.chat.completions.create(model="gpt-4o", messages=ASK)


@pytest.mark.parametrize(
    "header", ['{"status": 429, "retry_after": "1500ms"}', "status=429; retry_after=1.5", "status=429;retry_after=1.5s"]
)
async def test_a_header_brings_a_fault_for_its_own_request(client: AsyncOpenAI, header: str) -> None:
    with pytest.raises(openai.RateLimitError) as caught:
        await client.chat.completions.create(model="gpt-4o", messages=ASK, extra_headers={"x-stub-fault": header})
    assert caught.value.response.headers["retry-after"] == "1.5"
    assert await client.chat.completions.create(model="gpt-4o", messages=ASK)


@pytest.mark.parametrize(
    ("fault", "complaint"),
    [
        ({}, "a fault needs one of status, hang, cut"),
        ({"status": 500, "cut": "start"}, "has status and cut"),
        ({"status": 200}, "an error status from 400 to 599, not 200"),
        ({"hang": 0}, "'start', 'headers' or a number of events"),
        ({"cut": "middle"}, "'start', 'headers' or a number of events"),
        ({"garbage": True}, "'html', 'json' or 'events'"),
        ({"odd": "eggs"}, "odd must be one of no_choices, no_usage, wrong_usage, filtered"),
        ({"latency": "soon"}, "latency: 'soon' is no duration; write seconds"),
        ({"hang": "start", "retry_after": 1}, "retry_after belongs to a status"),
        ({"status": 500, "times": 0}, "times must be an integer of 1 or more"),
        ({"statuses": 500}, "'statuses' is no field of a fault; there are model, times, share, status"),
        ("status=500", "a fault is an object"),
    ],
)
async def test_a_bad_fault_is_refused_with_its_reason(stub: StubProvider, fault: object, complaint: str) -> None:
    async with (
        aiohttp.ClientSession() as session,
        session.put(f"{stub.base_url.removesuffix('/v1')}/stub/faults", json=[{"status": 500}, fault]) as response,
    ):
        message = (await response.json())["error"]["message"]

    assert response.status == 400
    assert message.startswith("fault 1: ")
    assert complaint in message
    assert stub.faults == ()


async def test_a_bad_fault_header_is_a_bad_request(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="x-stub-fault: 'tea' is no field") as caught:
        await client.chat.completions.create(model="gpt-4o", messages=ASK, extra_headers={"x-stub-fault": "tea=1"})
    assert caught.value.param == "x-stub-fault"


def test_a_fault_made_in_python_is_checked_too() -> None:
    with pytest.raises(FaultError, match="an error status"):
        Fault(status=200)


def test_a_header_cannot_count_requests() -> None:
    with pytest.raises(FaultError, match="times has no meaning"):
        parse_header("status=500; times=2")


async def test_an_odd_answer_is_well_formed(client: AsyncOpenAI, stub: StubProvider) -> None:
    async def asked(oddity: str) -> tuple[Any, list[Any]]:
        stub.set_faults(Fault(odd=oddity))
        whole = await client.chat.completions.create(model="gpt-4o", messages=ASK)
        stream = await client.chat.completions.create(
            model="gpt-4o", messages=ASK, stream=True, stream_options={"include_usage": True}
        )
        return whole, [chunk async for chunk in stream]

    whole, chunks = await asked("no_choices")
    assert whole.choices == []
    assert not any(chunk.choices for chunk in chunks)

    whole, chunks = await asked("no_usage")
    assert whole.usage is None
    assert not any(chunk.usage for chunk in chunks)
    assert chunks[-1].choices[0].finish_reason == "stop"

    whole, chunks = await asked("wrong_usage")
    assert whole.usage.prompt_tokens == chunks[-1].usage.prompt_tokens == -1

    whole, chunks = await asked("filtered")
    assert whole.choices[0].finish_reason == chunks[-2].choices[0].finish_reason == "content_filter"


async def test_an_error_has_no_oddity(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(odd="no_choices"))

    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model="gpt-nowhere", messages=ASK)


async def test_lines_that_are_no_events_end_a_stream_without_a_chunk(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(garbage="events"))

    received: list[str] = []
    await streamed(client, received)

    assert received == []


async def test_a_fault_meets_a_share_of_the_requests(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(status=500, share=1.0, times=1), Fault(status=503, share=1e-12))

    with pytest.raises(openai.InternalServerError, match="500"):
        await client.chat.completions.create(model="gpt-4o", messages=ASK)
    await client.chat.completions.create(model="gpt-4o", messages=ASK)
