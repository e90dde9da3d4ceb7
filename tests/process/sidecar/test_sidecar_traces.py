"""The spans of a completion, as a collector receives them over OTLP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

import grpc
import pytest

from pointsman_api.v1 import completions_pb2, completions_pb2_grpc, control_pb2, snapshot_pb2, types_pb2
from pointsman_stub import Fault, StubProvider
from support.answers import refusal, streamed
from support.collectors import Collector, Span, running_collector
from support.completions import ask
from support.operators import running_operator
from support.sidecar_processes import SidecarProcess, running_process
from support.snapshots import breaking, retrying, snapshot, update
from support.waiting import until

KEY = "sk-of-these-tests"
TRACE, PARENT = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
TRACEPARENT = (("traceparent", f"00-{TRACE}-{PARENT}-01"),)


@dataclass(kw_only=True)
class Traced:
    """A sidecar's process that exports its spans, and an app's channel to it."""

    process: SidecarProcess
    app: "completions_pb2_grpc.CompletionsAsyncStub"
    collector: Collector

    async def spans(self, number: int) -> list[Span]:
        """The spans, the completion's first, once so many have come."""
        await until(lambda: len(self.collector.spans) >= number)
        return sorted(self.collector.spans, key=lambda span: span.kind != "SERVER")


@asynccontextmanager
async def tracing(content: snapshot_pb2.Snapshot) -> AsyncIterator[Traced]:
    """A sidecar with a policy in force."""
    async with (
        running_collector() as collector,
        running_operator() as operator,
        running_process(
            operator=operator.address,
            environment={
                "OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint,
                "OTEL_BSP_SCHEDULE_DELAY": "20",
            },
        ) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        connection = await operator.connection()
        connection.send(
            access=control_pb2.AccessUpdate(providers=[control_pb2.ProviderAccess(provider="openai", api_key=KEY)])
        )
        connection.send(snapshot=update(content))
        await connection.answer()
        yield Traced(process=process, app=completions_pb2_grpc.CompletionsStub(channel), collector=collector)


@pytest.fixture
async def traced(stub: StubProvider) -> AsyncIterator[Traced]:
    """A sidecar whose policy is shop/support."""
    async with tracing(snapshot(base_url=stub.base_url)) as running:
        yield running


async def test_a_completion_is_a_span_of_the_apps_trace_with_a_child_per_attempt(
    traced: Traced, stub: StubProvider
) -> None:
    stub.set_faults(Fault(model="gpt-4o-mini", status=429))
    hints = completions_pb2.RoutingHints(user="CANARY-user", session="CANARY-session")

    decision = (await traced.app.Complete(ask("CANARY-prompt", hints=hints), metadata=TRACEPARENT)).decision
    server, *children = await traced.spans(3)

    assert (server.name, server.kind, server.service) == (
        "pointsman_api.v1.Completions/Complete",
        "SERVER",
        "pointsman-sidecar",
    )
    assert (server.trace_id, server.parent_id, server.status) == (TRACE, PARENT, "UNSET")
    assert server.attributes == {
        "rpc.system.name": "grpc",
        "rpc.method": "pointsman_api.v1.Completions/Complete",
        "rpc.response.status_code": "OK",
        "k8s.namespace.name": "shop",
        "pointsman.decision.id": decision.id,
        "pointsman.policy.name": "support",
        "pointsman.policy.generation": 3,
        "pointsman.route": "",
        "pointsman.model": "flagship",
        "pointsman.reason": "FALLBACK",
        "pointsman.cost.amount": decision.cost.amount,
        "pointsman.cost.currency": "USD",
        "gen_ai.usage.input_tokens": decision.usage.input_tokens,
        "gen_ai.usage.output_tokens": decision.usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
    }
    failed, answered = children
    assert {(span.kind, span.trace_id, span.parent_id) for span in children} == {("CLIENT", TRACE, server.span_id)}
    endpoint = urlsplit(stub.base_url)
    common = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "openai",
        "pointsman.provider": "openai",
        "server.address": endpoint.hostname,
        "server.port": endpoint.port,
    }
    assert (failed.name, failed.status) == ("chat gpt-4o-mini", "ERROR")
    assert failed.attributes == common | {
        "gen_ai.request.model": "gpt-4o-mini",
        "pointsman.model": "mini",
        "pointsman.outcome": "RATE_LIMITED",
        "error.type": "RATE_LIMITED",
        "http.response.status_code": 429,
    }
    assert (answered.name, answered.status) == ("chat gpt-4o", "UNSET")
    assert answered.attributes == common | {
        "gen_ai.request.model": "gpt-4o",
        "pointsman.model": "flagship",
        "pointsman.outcome": "SUCCEEDED",
        "gen_ai.usage.input_tokens": decision.usage.input_tokens,
        "gen_ai.usage.output_tokens": decision.usage.output_tokens,
        "gen_ai.usage.cache_read.input_tokens": 0,
        "gen_ai.usage.reasoning.output_tokens": 0,
    }
    await _streams_failures_and_refusals(traced, stub)
    assert b"CANARY" not in traced.collector.received
    assert b"Canned answer" not in traced.collector.received
    assert KEY.encode() not in traced.collector.received


async def _streams_failures_and_refusals(traced: Traced, stub: StubProvider) -> None:
    """The rest of what a span can tell, on the same process: starting one takes longer than all of this."""
    stub.set_faults()
    traced.collector.spans.clear()
    await streamed(traced.app.CompleteStream(ask("CANARY-prompt")))
    server, child = await traced.spans(2)
    assert server.name == "pointsman_api.v1.Completions/CompleteStream"
    assert server.parent_id == ""
    assert child.attributes["gen_ai.response.time_to_first_chunk"] > 0

    traced.collector.spans.clear()
    stub.set_faults(Fault(model="gpt-4o", error_after=3))
    severe = completions_pb2.RoutingHints(severity=types_pb2.SEVERITY_HIGH)
    await streamed(traced.app.CompleteStream(ask("CANARY-prompt", hints=severe)))
    server, child = await traced.spans(2)
    assert (server.status, server.attributes["error.type"]) == ("ERROR", "STREAM_CUT")
    assert server.attributes["rpc.response.status_code"] == "UNAVAILABLE"
    assert server.attributes["pointsman.route"] == "risky"
    assert (child.status, child.attributes["pointsman.outcome"]) == ("ERROR", "CUT")

    traced.collector.spans.clear()
    await refusal(traced.app.Complete(ask("CANARY-prompt", model="CANARY-model")))
    (server,) = await traced.spans(1)
    assert (server.status, server.attributes["error.type"]) == ("ERROR", "PINNING_NOT_ALLOWED")
    assert server.attributes["rpc.response.status_code"] == "INVALID_ARGUMENT"

    traced.collector.spans.clear()
    form = completions_pb2.ResponseFormat(
        json_schema=completions_pb2.JsonSchemaFormat(name="x", json_schema=b'{"type": "CANARY-type"}')
    )
    told = await refusal(traced.app.Complete(ask(response_format=form)))
    assert "CANARY-type" in told.message, "the provider quotes the request, and only the caller may see it"
    server, child = await traced.spans(2)
    assert (server.attributes["error.type"], child.attributes["error.type"]) == ("REFUSED_BY_PROVIDER", "REFUSED")


async def test_the_last_spans_are_sent_before_the_process_ends(stub: StubProvider) -> None:
    async with (
        running_collector() as collector,
        running_operator() as operator,
        running_process(
            operator=operator.address,
            environment={"OTEL_EXPORTER_OTLP_ENDPOINT": collector.endpoint, "OTEL_BSP_SCHEDULE_DELAY": "600000"},
        ) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        await refusal(completions_pb2_grpc.CompletionsStub(channel).Complete(ask()))
        assert collector.spans == []

        process.terminate()

        assert await process.exit_code() == 0
        assert [span.kind for span in collector.spans] == ["SERVER"]
    assert stub.requests == ()


async def test_a_retry_and_an_open_circuit_are_seen(stub: StubProvider) -> None:
    content = snapshot(base_url=stub.base_url, retries=retrying(1), circuit_breaker=breaking(min_requests=2))
    stub.set_faults(Fault(model="gpt-4o-mini", status=500, times=2))
    async with tracing(content) as traced:
        await traced.app.Complete(ask())
        spans = await traced.spans(4)
    calls = [span for span in spans if span.kind == "CLIENT"]

    assert [span.attributes.get("pointsman.retry") for span in calls] == [None, 1, None]
    assert [span.attributes.get("pointsman.circuit.state") for span in calls] == [None, "OPEN", None]
