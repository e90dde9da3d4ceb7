"""No call outlives the policy's patience or the caller's."""

import time
from collections.abc import Awaitable, Callable

import grpc
import pytest
import structlog

from pointsman_sidecar.completing.completions import Caller, Completions
from pointsman_sidecar.contract.errors import CompletionError, Kind
from pointsman_sidecar.contract.protobuf_form import ProtobufForm
from pointsman_sidecar.contract.snapshots import read_snapshot
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.providers.clients import ProviderClients
from pointsman_sidecar.serving import new_counting
from pointsman_sidecar.telemetry.arrivals import over_grpc
from pointsman_sidecar.telemetry.metrics import Metrics
from pointsman_sidecar.telemetry.observer import Observer
from pointsman_sidecar.telemetry.spans import NoSpans
from pointsman_stub import Fault, StubProvider
from support.answers import Refusal, next_event, refusal, streamed, text_of
from support.completions import ask
from support.sidecars import Sidecar, sample
from support.snapshots import snapshot, update
from support.tasks import no_task_left

Call = Callable[[Sidecar, float | None], Awaitable[Refusal | None]]


async def _whole(sidecar: Sidecar, timeout: float | None) -> Refusal | None:  # noqa: ASYNC109 - gRPC's own deadline
    return await refusal(sidecar.app.Complete(ask(), timeout=timeout))


async def _stream(sidecar: Sidecar, timeout: float | None) -> Refusal | None:  # noqa: ASYNC109 - gRPC's own deadline
    return (await streamed(sidecar.app.CompleteStream(ask(), timeout=timeout)))[1]


either_way = pytest.mark.parametrize("call", [_whole, _stream], ids=["whole", "streamed"])


@either_way
async def test_a_completion_ends_when_the_policys_time_is_used_up(
    stub: StubProvider, sidecar: Sidecar, call: Call
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, total=0.2))
    stub.set_faults(Fault(hang="start"))
    started = time.monotonic()

    async with no_task_left():
        told = await call(sidecar, None)

    assert time.monotonic() - started < 2
    assert told is not None
    assert (told.code, told.reason) == (grpc.StatusCode.DEADLINE_EXCEEDED, "DEADLINE_EXCEEDED")
    assert told.message == "no complete answer within 0.2 s"
    assert told.outcomes == [("mini", "TIMED_OUT")]
    assert told.decision is not None
    assert told.decision.attempts[0].message == "the completion's time was used up"
    await stub.until(lambda: stub.open_requests == 0)
    assert [each.disconnected for each in stub.requests] == [True]


async def test_the_policys_time_holds_for_all_attempts_together(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, attempt=0.2, total=0.3))
    stub.set_faults(Fault(hang="start"))

    told = await _whole(sidecar, None)

    assert told is not None
    assert told.outcomes == [("mini", "TIMED_OUT"), ("flagship", "TIMED_OUT")]
    assert told.decision is not None
    assert [each.message for each in told.decision.attempts] == [
        "no answer within 0.2 s",
        "the completion's time was used up",
    ]


async def test_a_stream_that_falls_silent_ends_when_the_time_is_used_up(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, first_token=0.1, total=0.3))
    stub.set_faults(Fault(hang=4))

    events, told = await streamed(sidecar.app.CompleteStream(ask()))

    assert [event.WhichOneof("event") for event in events] == ["started", "chunk", "chunk", "chunk"]
    assert told is not None
    assert told.code is grpc.StatusCode.DEADLINE_EXCEEDED
    assert told.outcomes == [("mini", "TIMED_OUT")]
    assert len(stub.requests) == 1


async def test_the_first_tokens_time_does_not_run_on_after_it(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, first_token=0.15, attempt=0.15))
    stub.set_faults(Fault(chunk_delay=0.01))
    started = time.monotonic()

    events, told = await streamed(sidecar.app.CompleteStream(ask()))

    assert told is None
    assert time.monotonic() - started > 0.15
    assert text_of(events).startswith("[gpt-4o-mini] ")


@either_way
async def test_a_callers_shorter_deadline_ends_the_call_to_the_provider(
    stub: StubProvider, sidecar: Sidecar, call: Call
) -> None:
    stub.set_faults(Fault(hang="start"))

    async with no_task_left():
        told = await call(sidecar, 0.3)

    assert told is not None
    assert told.code is grpc.StatusCode.DEADLINE_EXCEEDED
    await stub.until(lambda: stub.open_requests == 0)
    assert [each.model for each in stub.requests] == ["gpt-4o-mini"]


async def test_a_callers_patience_is_the_completions(stub: StubProvider) -> None:
    """A door that does not cut calls itself relies on it; gRPC's own deadline would hide that it is kept."""
    in_force = InForce(access={"openai": "sk-of-these-tests"})
    in_force.apply(read_snapshot(update(snapshot(base_url=stub.base_url))))
    stub.set_faults(Fault(hang="start"))
    log = structlog.wrap_logger(
        None, processors=[structlog.testing.LogCapture()], wrapper_class=structlog.stdlib.BoundLogger
    )
    observer = Observer(spans=NoSpans(), metrics=Metrics(), log=log, clock=time.monotonic)
    async with ProviderClients() as clients:
        completions = Completions(
            in_force=in_force,
            clients=clients,
            observer=observer,
            new_id=lambda: "d-1",
            clock=time.monotonic,
            random=lambda: 0.0,
            now=time.time,
            counting=new_counting(),
        )
        with pytest.raises(CompletionError, match=r"no complete answer within 0\.1 s") as caught:
            await completions.complete(
                ProtobufForm(ask()), caller=Caller(arrival=over_grpc("m", {}), headers=dict, patience=0.1)
            )

    assert caught.value.kind is Kind.DEADLINE_EXCEEDED


def _whole_call(sidecar: Sidecar) -> grpc.aio.Call:
    return sidecar.app.Complete(ask())


def _stream_call(sidecar: Sidecar) -> grpc.aio.Call:
    return sidecar.app.CompleteStream(ask())


@pytest.mark.parametrize("fault", [{"hang": "start"}, {"hang": "headers"}, {"hang": 4}], ids=str)
@pytest.mark.parametrize("start", [_whole_call, _stream_call], ids=["whole", "streamed"])
async def test_a_caller_who_goes_away_leaves_nothing_behind(
    stub: StubProvider, sidecar: Sidecar, start: Callable[[Sidecar], grpc.aio.Call], fault: dict[str, int | str]
) -> None:
    stub.set_faults(Fault(**fault))  # type: ignore[arg-type]

    async with no_task_left():
        call = start(sidecar)
        await stub.until(lambda: stub.open_requests == 1)
        if start is _stream_call and fault == {"hang": 4}:
            for _ in range(4):
                await next_event(call)
        assert sidecar.in_flight == 1
        call.cancel()
        await stub.until(lambda: stub.open_requests == 0)

    assert [each.disconnected for each in stub.requests] == [True]
    assert sidecar.in_flight == 0
    cancelled = sample(
        sidecar.metrics.registry,
        "pointsman_attempts_total",
        policy="shop/support",
        model="mini",
        provider="openai",
        outcome="CANCELLED",
    )
    assert cancelled == 1
    assert [(line["code"], line["attempts"]) for line in sidecar.logged if line["event"] == "completion"] == [
        ("CANCELLED", ["mini:CANCELLED"])
    ]


async def test_a_caller_whose_connection_breaks_leaves_nothing_behind(stub: StubProvider, sidecar: Sidecar) -> None:
    stub.set_faults(Fault(hang=4))

    async with no_task_left():
        call = sidecar.app.CompleteStream(ask())
        assert (await next_event(call)).HasField("started")
        await sidecar.channel.close()
        await stub.until(lambda: stub.open_requests == 0)

    assert sidecar.in_flight == 0


async def test_a_caller_who_has_the_whole_answer_leaves_no_task(stub: StubProvider, sidecar: Sidecar) -> None:
    await sidecar.app.Complete(ask())

    async with no_task_left():
        await sidecar.app.Complete(ask())
        await streamed(sidecar.app.CompleteStream(ask()))
        stub.set_faults(Fault(model="gpt-4o-mini", cut=4))
        await streamed(sidecar.app.CompleteStream(ask()))

    assert stub.open_requests == 0
    assert sidecar.in_flight == 0
