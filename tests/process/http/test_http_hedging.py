"""A hedged stream over HTTP: whichever call begins to answer is the one that the app reads."""

import asyncio

from openai import AsyncOpenAI

from pointsman_api.v1 import snapshot_pb2
from pointsman_stub import Fault, StubProvider
from support.http_doors import QUESTION
from support.sidecars import Sidecar
from support.snapshots import snapshot
from support.tasks import no_task_left

HEDGING = snapshot_pb2.Hedging(after_percentile=50, max_percent=50)


async def read(client: AsyncOpenAI) -> tuple[str, dict[str, object]]:
    """A stream's text, and the decision at its end."""
    stream = await client.chat.completions.create(
        model="auto", messages=QUESTION, stream=True, extra_headers={"x-pointsman-decision": "body"}
    )
    chunks = [chunk async for chunk in stream]
    text = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    decision = (chunks[-1].model_extra or {})["pointsman"]
    assert isinstance(decision, dict)
    return text, decision


async def test_the_app_reads_one_answer_and_the_decision_has_both_calls(
    stub: StubProvider, sidecar: Sidecar, client: AsyncOpenAI
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, hedging=HEDGING, fallbacks=()))
    for _ in range(25):
        expected, _ = await read(client)
    stub.set_faults(Fault(hang="start", times=1))
    stub.clear_requests()

    text, decision = await read(client)

    assert text == expected
    attempts = decision["attempts"]
    assert isinstance(attempts, list)
    assert [(each["outcome"], each["charge"], each.get("hedge", False)) for each in attempts] == [
        ("OVERTAKEN", "UNKNOWN", False),
        ("SUCCEEDED", "COUNTED", True),
    ]
    assert attempts[0]["most"]["output_tokens"] == 16_384
    assert decision["usage"] == attempts[1]["usage"]


async def test_an_app_that_goes_away_leaves_neither_call(
    stub: StubProvider, sidecar: Sidecar, client: AsyncOpenAI
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, hedging=HEDGING, fallbacks=()))
    for _ in range(25):
        await read(client)
    stub.set_faults(Fault(hang="start"))

    async with no_task_left():
        reading = asyncio.create_task(read(client))
        await stub.until(lambda: stub.open_requests == 2)
        reading.cancel()
        await stub.until(lambda: stub.open_requests == 0)
        await asyncio.wait({reading})

    assert sidecar.in_flight == 0
