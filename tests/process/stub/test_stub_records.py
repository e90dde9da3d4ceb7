"""What the stub tells of the requests that it received."""

from typing import TYPE_CHECKING

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from pointsman_stub import Fault, KeySeen, StubProvider, fingerprint
from pointsman_stub.records import RequestLog, RequestRecord

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

ASK: "list[ChatCompletionMessageParam]" = [{"role": "user", "content": "Hello?"}]


async def test_a_request_is_recorded_as_it_came_but_for_its_key(client: AsyncOpenAI, stub: StubProvider) -> None:
    await client.chat.completions.create(
        model="gpt-4o", messages=ASK, temperature=0.25, extra_headers={"x-trace": "abc"}
    )

    (record,) = stub.requests
    assert (record.method, record.path, record.status) == ("POST", "/v1/chat/completions", 200)
    assert (record.model, record.stream) == ("gpt-4o", False)
    assert record.body == {"model": "gpt-4o", "messages": ASK, "temperature": 0.25}
    assert record.headers["x-trace"] == "abc"
    assert record.key == KeySeen(given=True, fits=True, fingerprint=fingerprint(client.api_key))
    assert client.api_key not in repr(record)
    assert (record.open, record.disconnected) == (False, False)


async def test_a_key_that_does_not_fit_is_recorded_as_such(stub: StubProvider) -> None:
    async with AsyncOpenAI(base_url=stub.base_url, api_key="sk-wrong", max_retries=0) as stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.chat.completions.create(model="gpt-4o", messages=ASK)

    (record,) = stub.requests
    assert record.key == KeySeen(given=True, fits=False, fingerprint=fingerprint("sk-wrong"))
    assert (record.status, record.model) == (401, "gpt-4o")


async def test_a_client_that_leaves_a_stream_is_seen_to_go(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(hang=2))
    stream = await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
    await anext(stream)
    assert stub.open_requests == 1

    await stream.close()

    await stub.until(lambda: stub.open_requests == 0)
    assert stub.requests[0].disconnected


async def test_a_client_that_gives_up_waiting_is_seen_to_go(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(latency=60))

    with pytest.raises(openai.APITimeoutError):
        await client.chat.completions.create(model="gpt-4o", messages=ASK, timeout=0.1)

    await stub.until(lambda: stub.requests[0].disconnected)
    assert stub.requests[0].status is None


async def test_a_stream_read_to_its_end_is_no_disconnect(client: AsyncOpenAI, stub: StubProvider) -> None:
    stream = await client.chat.completions.create(model="gpt-4o", messages=ASK, stream=True)
    async for _ in stream:
        pass

    assert (stub.requests[0].open, stub.requests[0].disconnected) == (False, False)
    assert stub.requests[0].stream


async def test_records_are_shown_and_cleared_over_http(client: AsyncOpenAI, stub: StubProvider) -> None:
    await client.chat.completions.create(model="gpt-4o", messages=ASK)
    stub.set_faults(Fault(hang="headers"))
    stream = await client.chat.completions.create(model="gpt-4o-mini", messages=ASK, stream=True)
    async with aiohttp.ClientSession(stub.base_url.removesuffix("v1")) as session:
        async with session.get("stub/requests") as response:
            shown = await response.json()
        async with session.delete("stub/requests"):
            pass
        async with session.get("stub/requests") as response:
            after = await response.json()
    await stream.close()

    assert shown["open"] == 1
    assert [(one["model"], one["status"], one["open"]) for one in shown["requests"]] == [
        ("gpt-4o", 200, False),
        ("gpt-4o-mini", 200, True),
    ]
    assert shown["requests"][0]["key"] == {"given": True, "fits": True, "fingerprint": fingerprint(client.api_key)}
    assert after == {"open": 1, "requests": []}


def test_only_the_last_requests_are_kept() -> None:
    log = RequestLog(on_change=lambda: None, kept=3)
    for number in range(5):
        log.add(
            RequestRecord(
                id=str(number),
                received_at=0.0,
                method="GET",
                path="/v1/models",
                headers={},
                key=KeySeen(given=False, fits=True, fingerprint=None),
            )
        )
        log.update(str(number), status=200, open=False)

    assert [record.id for record in log.records] == ["2", "3", "4"]
    assert log.open == 0


async def test_waiting_in_vain_for_a_request_ends(stub: StubProvider) -> None:
    with pytest.raises(TimeoutError):
        await stub.until(lambda: bool(stub.requests), within=0.05)
