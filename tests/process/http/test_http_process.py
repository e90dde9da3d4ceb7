"""The door of a sidecar's own process: its trace, and how it ends."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Any

import aiohttp
import openai
import pytest
from openai import AsyncOpenAI

from pointsman_api.v1 import control_pb2
from pointsman_stub import Fault, StubProvider
from support.collectors import Collector, running_collector
from support.http_doors import APP_KEY, KEY, QUESTION
from support.operators import running_operator
from support.sidecar_processes import SidecarProcess, running_process
from support.snapshots import snapshot, update
from support.waiting import until

TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = {"traceparent": f"00-{TRACE}-{PARENT}-01"}


@dataclass(kw_only=True)
class Pod:
    """A sidecar's process with its policy in force, an app's client for it, and where its spans go."""

    process: SidecarProcess
    client: AsyncOpenAI
    collector: Collector


@pytest.fixture
async def pod(stub: StubProvider) -> AsyncIterator[Pod]:
    """One of them."""
    async with (
        running_collector() as collector,
        running_operator() as operator,
        running_process(
            operator=operator.address,
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "20"},
        ) as process,
        AsyncOpenAI(base_url=process.http_url, api_key=APP_KEY, max_retries=0) as client,
    ):
        connection = await operator.connection()
        connection.send(
            access=control_pb2.AccessUpdate(providers=[control_pb2.ProviderAccess(provider="openai", api_key=KEY)])
        )
        connection.send(snapshot=update(snapshot(base_url=stub.base_url)))
        await connection.answer()
        yield Pod(process=process, client=client, collector=collector)


async def ask(pod: Pod, **members: Any) -> Any:
    """One completion."""
    return await pod.client.chat.completions.create(**{"model": "auto", "messages": QUESTION, **members})


async def test_a_completion_is_a_span_of_the_apps_trace(pod: Pod) -> None:
    await ask(pod, extra_headers=TRACEPARENT, user="CANARY-user")
    await until(lambda: len(pod.collector.spans) == 2)

    server, call = sorted(pod.collector.spans, key=lambda span: span.kind != "SERVER")
    assert (server.name, server.trace_id, server.parent_id) == ("POST /v1/chat/completions", TRACE, PARENT)
    assert call.parent_id == server.span_id
    http = {name: value for name, value in server.attributes.items() if name.startswith(("http.", "url.", "rpc."))}
    assert http == {
        "http.request.method": "POST",
        "http.route": "/v1/chat/completions",
        "http.response.status_code": 200,
        "url.path": "/v1/chat/completions",
        "url.scheme": "http",
    }
    assert server.attributes["pointsman.model"] == "mini"
    assert "CANARY" not in repr([span.attributes for span in pod.collector.spans]) + "".join(pod.process.stderr)


async def test_a_span_tells_the_status_that_the_app_got(pod: Pod, stub: StubProvider) -> None:
    stub.set_faults(Fault(status=429))
    with pytest.raises(openai.RateLimitError):
        await ask(pod)
    await until(lambda: len(pod.collector.spans) == 3)

    (server,) = (span for span in pod.collector.spans if span.kind == "SERVER")
    assert server.status == "ERROR"
    assert server.attributes["http.response.status_code"] == 429
    assert server.attributes["error.type"] == "RATE_LIMITED"


async def test_a_stream_that_runs_ends_well_while_the_door_is_closed(pod: Pod, stub: StubProvider) -> None:
    stub.set_faults(Fault(chunk_delay=0.01))
    stream = await ask(pod, stream=True)
    first = await anext(aiter(stream))

    pod.process.terminate()
    await pod.process.until_logged("stopping")
    rest = [chunk async for chunk in stream]

    assert first.choices[0].delta.role == "assistant"
    assert rest[-1].choices[0].finish_reason == "stop"
    assert await pod.process.exit_code() == 0
    async with aiohttp.ClientSession() as session:
        with pytest.raises(aiohttp.ClientConnectorError):
            await session.get(f"{pod.process.http_url}/models")


async def test_an_answer_that_does_not_end_in_time_is_cut(stub: StubProvider) -> None:
    stub.set_faults(Fault(hang=3))
    async with (
        running_operator() as operator,
        running_process(operator=operator.address, arguments=("--grace", "0.2")) as process,
        AsyncOpenAI(base_url=process.http_url, api_key=APP_KEY, max_retries=0) as client,
    ):
        connection = await operator.connection()
        connection.send(
            access=control_pb2.AccessUpdate(providers=[control_pb2.ProviderAccess(provider="openai", api_key=KEY)])
        )
        connection.send(snapshot=update(snapshot(base_url=stub.base_url)))
        await connection.answer()
        stream: Any = await client.chat.completions.create(model="auto", messages=QUESTION, stream=True)
        await anext(aiter(stream))

        process.terminate()

        assert await process.exit_code() == 0
        with pytest.raises(openai.APIConnectionError):
            [chunk async for chunk in stream]
    await stub.until(lambda: stub.open_requests == 0)
