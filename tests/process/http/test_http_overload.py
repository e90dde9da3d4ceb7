"""More than the policy lets one sidecar serve, as OpenAI's client sees it."""

import asyncio
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from pointsman_api.v1 import snapshot_pb2
from pointsman_stub import Fault, StubProvider
from support.http_doors import QUESTION
from support.sidecars import Sidecar, sample
from support.snapshots import snapshot
from support.waiting import until


@pytest.fixture
async def busy(stub: StubProvider, sidecar: Sidecar, client: AsyncOpenAI) -> "asyncio.Task[Any]":
    """The one completion that the sidecar may serve, which does not end by itself."""
    concurrency = snapshot_pb2.Concurrency(limit=1, queue=1)
    sidecar.apply(snapshot(base_url=stub.base_url, concurrency=concurrency))
    stub.set_faults(Fault(hang="start", times=1))
    running = asyncio.create_task(ask(client))
    await stub.until(lambda: stub.open_requests == 1)
    return running


async def ask(client: AsyncOpenAI, *, priority: str = "", streamed: bool = False) -> Any:
    """One completion, and what of its headers matters."""
    return await client.chat.completions.with_raw_response.create(
        model="auto",
        messages=QUESTION,
        stream=streamed,
        extra_headers={"x-pointsman-priority": priority} if priority else {},
    )


async def waiting(sidecar: Sidecar) -> None:
    """Wait until the line is full."""
    await until(lambda: sample(sidecar.metrics.registry, "pointsman_completions_queued") == 1)


@pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])
async def test_who_finds_no_room_is_told_when_to_come_back(
    sidecar: Sidecar, client: AsyncOpenAI, busy: "asyncio.Task[Any]", *, streamed: bool
) -> None:
    next_one = asyncio.create_task(ask(client))
    await waiting(sidecar)

    with pytest.raises(openai.RateLimitError) as refused:
        await ask(client, streamed=streamed)

    assert refused.value.code == "overloaded"
    headers = refused.value.response.headers
    assert int(headers["retry-after"]) >= 1
    assert float(headers["retry-after-ms"]) > 0
    assert "x-should-retry" not in headers
    assert headers["x-pointsman-decision-id"]
    busy.cancel()
    assert (await next_one).parse().choices[0].message.content.startswith("[gpt-4o-mini]")


async def test_the_urgent_take_the_place_of_those_who_are_not(
    sidecar: Sidecar, client: AsyncOpenAI, busy: "asyncio.Task[Any]"
) -> None:
    low = asyncio.create_task(ask(client, priority="low"))
    await waiting(sidecar)
    high = asyncio.create_task(ask(client, priority="high"))

    with pytest.raises(openai.RateLimitError):
        await low
    busy.cancel()

    assert (await high).parse().choices[0].finish_reason == "stop"


async def test_a_priority_that_is_none_is_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError, match="x-pointsman-priority is 'urgent': write low, normal or high"):
        await ask(client, priority="urgent")
