"""Retries, circuits, hedges and turns, as an app meets them."""

import asyncio
import contextlib
from typing import Any

import grpc
import pytest

from pointsman_api.v1 import completions_pb2, decision_pb2, snapshot_pb2, types_pb2
from pointsman_stub import Fault, StubProvider
from support.answers import outcomes, refusal, streamed, text_of
from support.completions import ask
from support.sidecars import Sidecar, sample
from support.snapshots import breaking, flagship, mini, model, retrying, snapshot
from support.tasks import no_task_left
from support.waiting import until

MINI, FLAGSHIP = "gpt-4o-mini", "gpt-4o"


def series(sidecar: Sidecar, name: str, **labels: str) -> float | None:
    return sample(sidecar.metrics.registry, name, **labels)


@pytest.mark.parametrize("fault", [{"status": 503}, {"status": 429}, {"cut": "start"}], ids=str)
async def test_a_passing_failure_is_absorbed_by_the_same_model(
    stub: StubProvider, sidecar: Sidecar, fault: dict[str, int | str]
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, retries=retrying(2)))
    stub.set_faults(Fault(model=MINI, times=2, **fault))  # type: ignore[arg-type]

    whole = await sidecar.app.Complete(ask())
    stub.set_faults(Fault(model=MINI, times=1, **fault))  # type: ignore[arg-type]
    events, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert [each.model for each in whole.decision.attempts] == ["mini"] * 3
    assert [each.retry for each in whole.decision.attempts] == [0, 1, 2]
    assert whole.decision.reason == decision_pb2.REASON_DEFAULT
    assert [each.model for each in events[-1].finished.attempts] == ["mini"] * 2
    assert text_of(events).startswith(f"[{MINI}] ")
    assert series(sidecar, "pointsman_retries_total", policy="shop/support", model="mini", granted="true") == 3


async def test_after_its_retries_the_fallback_answers(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, retries=retrying(1)))
    stub.set_faults(Fault(model=MINI, status=500))

    decision = (await sidecar.app.Complete(ask())).decision

    assert outcomes(decision) == [("mini", "PROVIDER_FAILED")] * 2 + [("flagship", "SUCCEEDED")]
    assert decision.message.count("status 500") == 1


@pytest.mark.parametrize(
    "fault",
    [{"status": 401}, {"status": 404}, {"garbage": "json"}, {"status": 429, "code": "insufficient_quota"}],
    ids=str,
)
async def test_what_a_moment_does_not_mend_is_not_tried_again(
    stub: StubProvider, sidecar: Sidecar, fault: dict[str, int | str]
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, retries=retrying(2)))
    stub.set_faults(Fault(model=MINI, **fault))  # type: ignore[arg-type]

    decision = (await sidecar.app.Complete(ask())).decision

    assert [each.model for each in decision.attempts] == ["mini", "flagship"]


async def test_a_time_that_the_provider_names_is_waited_or_another_model_is_asked(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, retries=retrying(1)))
    stub.set_faults(Fault(model=MINI, status=429, retry_after=0.2, times=1))
    waited = (await sidecar.app.Complete(ask())).decision
    stub.set_faults(Fault(model=MINI, status=429, retry_after=30, times=1))
    impatient = (await sidecar.app.Complete(ask())).decision

    assert outcomes(waited) == [("mini", "RATE_LIMITED"), ("mini", "SUCCEEDED")]
    assert outcomes(impatient) == [("mini", "RATE_LIMITED"), ("flagship", "SUCCEEDED")]


async def test_where_nobody_else_is_left_the_caller_is_told_when_to_come_back(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, retries=retrying(1), fallbacks=()))
    stub.set_faults(Fault(model=MINI, status=429, retry_after=30))

    told = await refusal(sidecar.app.Complete(ask()))

    assert (told.code, told.reason, told.retry_after) == (grpc.StatusCode.UNAVAILABLE, "RATE_LIMITED", 30.0)
    assert told.outcomes == [("mini", "RATE_LIMITED")]


async def test_silence_is_tried_again_only_where_no_fallback_is_left(stub: StubProvider, sidecar: Sidecar) -> None:
    stub.set_faults(Fault(model=MINI, hang="start"))
    sidecar.apply(snapshot(base_url=stub.base_url, retries=retrying(1), attempt=0.1))
    fallen_back = (await sidecar.app.Complete(ask())).decision
    sidecar.apply(snapshot(base_url=stub.base_url, retries=retrying(1), attempt=0.1, fallbacks=()))
    told = await refusal(sidecar.app.Complete(ask()))

    assert outcomes(fallen_back) == [("mini", "TIMED_OUT"), ("flagship", "SUCCEEDED")]
    assert told.outcomes == [("mini", "TIMED_OUT")] * 2


async def test_nothing_is_tried_again_after_the_first_token(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, retries=retrying(2)))
    stub.set_faults(Fault(model=MINI, cut=4))

    _, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is not None
    assert (error.reason, error.outcomes) == ("STREAM_CUT", [("mini", "CUT")])


async def test_the_budget_ends_the_retries(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, retries=retrying(1, budget_percent=1), fallbacks=()))
    stub.set_faults(Fault(model=MINI, cut="start"))

    told = await asyncio.gather(*(refusal(sidecar.app.Complete(ask())) for _ in range(12)))

    # Ten a minute are always granted, and a hundredth of twelve is none.
    assert sum(len(each.outcomes) for each in told) == 12 + 10
    assert series(sidecar, "pointsman_retries_total", policy="shop/support", model="mini", granted="false") == 2


async def test_a_model_that_fails_is_left_alone(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, circuit_breaker=breaking(min_requests=2)))
    stub.set_faults(Fault(model=MINI, status=500))
    for _ in range(2):
        await sidecar.app.Complete(ask())
    stub.clear_requests()

    whole = (await sidecar.app.Complete(ask())).decision
    events, _ = await streamed(sidecar.app.CompleteStream(ask()))
    explained = await sidecar.app.Explain(ask())

    assert [each.model for each in stub.requests] == [FLAGSHIP] * 2
    for decision in (whole, events[0].started, explained.decision):
        assert (decision.model, decision.reason) == ("flagship", decision_pb2.REASON_EJECTED)
        assert "mini was chosen" in decision.message
        assert [(each.model, each.message) for each in decision.passed_over] == [
            ("mini", "its circuit is open since 100 % of its calls failed")
        ]
    assert series(sidecar, "pointsman_circuit_state", provider="openai", model=MINI) == 2
    assert series(sidecar, "pointsman_circuit_openings_total", provider="openai", model=MINI) == 1


async def test_a_model_that_recovers_is_called_again(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, circuit_breaker=breaking(min_requests=1, open_for=0.05)))
    stub.set_faults(Fault(model=MINI, status=500, times=1))
    await sidecar.app.Complete(ask())

    async def answers() -> bool:
        return (await sidecar.app.Complete(ask())).decision.model == "mini"

    async with asyncio.timeout(5):
        while not await answers():
            pass
    assert series(sidecar, "pointsman_circuit_state", provider="openai", model=MINI) == 0


async def test_a_circuit_that_opens_ends_the_retries(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, retries=retrying(5), circuit_breaker=breaking(min_requests=2)))
    stub.set_faults(Fault(model=MINI, status=500))

    decision = (await sidecar.app.Complete(ask())).decision

    assert outcomes(decision) == [("mini", "PROVIDER_FAILED")] * 2 + [("flagship", "SUCCEEDED")]


async def test_where_all_are_left_alone_the_least_bad_is_called(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, circuit_breaker=breaking(min_requests=1)))
    stub.set_faults(Fault(status=500))
    assert (await refusal(sidecar.app.Complete(ask()))).outcomes == [
        ("mini", "PROVIDER_FAILED"),
        ("flagship", "PROVIDER_FAILED"),
    ]
    stub.set_faults()

    decision = (await sidecar.app.Complete(ask())).decision

    assert len(decision.attempts) == 1
    assert decision.message.endswith("and none is better")


async def _warm(sidecar: Sidecar) -> None:
    """Let the sidecar learn how long its calls take."""
    await asyncio.gather(*(sidecar.app.Complete(ask()) for _ in range(25)))
    for _ in range(25):
        await streamed(sidecar.app.CompleteStream(ask()))


def hedging(stub: StubProvider) -> snapshot_pb2.Snapshot:
    return snapshot(
        base_url=stub.base_url, hedging=snapshot_pb2.Hedging(after_percentile=90, max_percent=10), fallbacks=()
    )


async def test_a_slow_answer_is_overtaken_by_a_second_call(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(hedging(stub))
    await _warm(sidecar)
    # Calls may have been hedged meanwhile, too.
    before = len(stub.requests)
    stub.set_faults(Fault(model=MINI, hang="start", times=1))

    async with no_task_left():
        decision = (await sidecar.app.Complete(ask())).decision

    lost, won = decision.attempts
    assert outcomes(decision) == [("mini", "OVERTAKEN"), ("mini", "SUCCEEDED")]
    assert (lost.hedge, won.hedge) == (False, True)
    # Nobody said what the lost call costs: at most its input and its longest output.
    assert lost.charge == decision_pb2.CHARGE_UNKNOWN
    assert lost.most.output_tokens == 16_384
    assert (won.charge, won.usage) == (decision_pb2.CHARGE_COUNTED, decision.usage)
    await stub.until(lambda: stub.open_requests == 0)
    assert sum(each.disconnected for each in stub.requests[before:]) == 1
    assert series(sidecar, "pointsman_hedges_total", policy="shop/support", model="mini", granted="true")


@pytest.mark.parametrize("point", ["start", "headers", 1])
async def test_a_slow_stream_is_overtaken_up_to_its_first_token(
    stub: StubProvider, sidecar: Sidecar, point: str | int
) -> None:
    sidecar.apply(hedging(stub))
    await _warm(sidecar)
    stub.set_faults(Fault(model=MINI, hang=point, times=1))

    async with no_task_left():
        events, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert outcomes(events[-1].finished) == [("mini", "OVERTAKEN"), ("mini", "SUCCEEDED")]
    assert text_of(events).startswith(f"[{MINI}] ")
    assert events[-1].finished.usage.output_tokens > 0


async def test_hedges_are_a_share_of_the_requests(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(hedging(stub))
    await _warm(sidecar)
    stub.set_faults(Fault(model=MINI, latency=0.3))

    decisions = await asyncio.gather(*(sidecar.app.Complete(ask()) for _ in range(20)))

    sent = sum(len(each.decision.attempts) - 1 for each in decisions)
    # Of 70 requests a tenth, less those that were sent while warming up.
    assert 1 <= sent <= 7
    assert series(sidecar, "pointsman_hedges_total", policy="shop/support", model="mini", granted="false")


def limited(stub: StubProvider, *, limit: int, queue: int) -> snapshot_pb2.Snapshot:
    return snapshot(base_url=stub.base_url, concurrency=snapshot_pb2.Concurrency(limit=limit, queue=queue))


def prioritised(priority: types_pb2.Priority.ValueType) -> completions_pb2.CompleteRequest:
    return ask(hints=completions_pb2.RoutingHints(priority=priority))


async def test_who_finds_no_room_is_refused_at_once(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(limited(stub, limit=1, queue=0))
    stub.set_faults(Fault(hang="start", times=1))
    first = asyncio.create_task(_complete(sidecar, ask()))
    await stub.until(lambda: stub.open_requests == 1)

    whole = await refusal(sidecar.app.Complete(ask()))
    _, streams = await streamed(sidecar.app.CompleteStream(ask()))

    for told in (whole, streams):
        assert told is not None
        assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "OVERLOADED")
        assert told.message == "this sidecar serves 1 completions at once and 0 more wait: try again later"
        assert told.retry_after is not None
    assert len(stub.requests) == 1
    assert series(sidecar, "pointsman_completions_shed_total", policy="shop/support", priority="normal") == 2
    first.cancel()


async def test_turns_come_by_priority_and_the_least_urgent_makes_room(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(limited(stub, limit=1, queue=2))
    stub.set_faults(Fault(hang="start", times=1))
    running = sidecar.app.Complete(ask())
    await stub.until(lambda: stub.open_requests == 1)
    low, normal, high = (
        asyncio.create_task(_complete(sidecar, prioritised(priority)))
        for priority in (types_pb2.PRIORITY_LOW, types_pb2.PRIORITY_NORMAL, types_pb2.PRIORITY_HIGH)
    )

    with pytest.raises(grpc.aio.AioRpcError) as shed:
        await low
    await until(lambda: series(sidecar, "pointsman_completions_queued") == 2)
    running.cancel()

    finished: list[str] = []
    normal.add_done_callback(lambda _: finished.append("normal"))
    high.add_done_callback(lambda _: finished.append("high"))
    answers = await asyncio.gather(normal, high)
    assert finished == ["high", "normal"]
    assert shed.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert all(each.decision.HasField("queued") for each in answers)
    assert series(sidecar, "pointsman_completions_queued") == 0


async def _complete(sidecar: Sidecar, request: completions_pb2.CompleteRequest) -> completions_pb2.CompleteResponse:
    answer = await sidecar.app.Complete(request)
    assert isinstance(answer, completions_pb2.CompleteResponse)
    return answer


async def test_who_goes_away_while_waiting_leaves_no_gap(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(limited(stub, limit=1, queue=1))
    stub.set_faults(Fault(hang="start", times=1))
    running = sidecar.app.Complete(ask())
    await stub.until(lambda: stub.open_requests == 1)
    waiting = sidecar.app.Complete(ask())
    await until(lambda: series(sidecar, "pointsman_completions_queued") == 1)

    waiting.cancel()
    await until(lambda: series(sidecar, "pointsman_completions_queued") == 0)
    running.cancel()

    assert (await sidecar.app.Complete(ask())).decision.model == "mini"
    assert sidecar.in_flight == 0


async def test_nothing_is_lost_where_many_come_and_go_at_once(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(limited(stub, limit=2, queue=3))
    stub.set_faults(Fault(latency=0.02))
    priorities = [types_pb2.PRIORITY_LOW, types_pb2.PRIORITY_NORMAL, types_pb2.PRIORITY_HIGH]
    calls = [sidecar.app.Complete(prioritised(priorities[number % 3])) for number in range(30)]
    for call in calls[::4]:
        call.cancel()

    results = await asyncio.gather(*(_result(call) for call in calls))

    assert set(results) <= {"OK", "CANCELLED", "RESOURCE_EXHAUSTED"}
    assert results.count("OK") >= 2
    await until(lambda: sidecar.in_flight == 0)
    assert series(sidecar, "pointsman_completions_queued") == 0
    stub.set_faults()
    assert [await _result(sidecar.app.Complete(ask())) for _ in range(3)] == ["OK"] * 3


async def _result(call: "grpc.aio.UnaryUnaryCall[Any, Any]") -> str:
    with contextlib.suppress(grpc.aio.AioRpcError, asyncio.CancelledError):
        await call
    return (await call.code()).name


async def test_the_wait_for_a_turn_is_part_of_the_whole_time(stub: StubProvider, sidecar: Sidecar) -> None:
    content = limited(stub, limit=1, queue=1)
    content.timeouts.total.FromMilliseconds(200)
    sidecar.apply(content)
    stub.set_faults(Fault(hang="start"))

    one, other = await asyncio.gather(
        refusal(sidecar.app.Complete(ask(), timeout=5)), refusal(sidecar.app.Complete(ask(), timeout=5))
    )

    assert {one.code, other.code} == {grpc.StatusCode.DEADLINE_EXCEEDED}


async def test_a_stream_that_falls_silent_is_cut_before_the_whole_time_is_up(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, between_tokens=0.1))
    stub.set_faults(Fault(model=MINI, hang=4))

    events, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert text_of(events)
    assert error is not None
    assert (error.code, error.reason) == (grpc.StatusCode.UNAVAILABLE, "STREAM_CUT")
    assert error.message.endswith("nothing more within 0.1 s")


async def test_a_slow_stream_that_goes_on_is_not_silent(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, between_tokens=0.2))
    stub.set_faults(Fault(model=MINI, chunk_delay=0.03))

    events, error = await streamed(sidecar.app.CompleteStream(ask("Say as much as you like, and then some more.")))

    assert error is None
    assert events[-1].finished.attempts[0].latency.ToTimedelta().total_seconds() > 0.2


async def test_what_is_too_long_by_the_providers_word_goes_to_a_larger_window(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    wide = model("wide", provider_model="gpt-4o", prices=("5", "2", "9"), context_window=1_000_000)
    sidecar.apply(snapshot(base_url=stub.base_url, models=[mini(), flagship(), wide], fallbacks=()))
    stub.set_faults(Fault(model=MINI, status=400, code="context_length_exceeded"))

    decision = (await sidecar.app.Complete(ask())).decision

    assert outcomes(decision) == [("mini", "TOO_LARGE"), ("wide", "SUCCEEDED")]
    assert decision.reason == decision_pb2.REASON_CAPABILITY
