"""A streamed answer: early decision first, whole decision last, the answer between them."""

from decimal import Decimal

import pytest

from pointsman_api.v1 import completions_pb2, decision_pb2
from pointsman_stub import Fault, StubProvider
from support.answers import outcomes, streamed, text_of
from support.completions import ask, tool
from support.odd_providers import events as chunks_of
from support.odd_providers import odd_provider
from support.sidecars import Sidecar, running_sidecar, sample
from support.snapshots import snapshot


async def test_the_model_is_told_first_and_the_bill_last(sidecar: Sidecar) -> None:
    events, error = await streamed(sidecar.app.CompleteStream(ask("What is 2 + 2?")))

    assert error is None
    assert [event.WhichOneof("event") for event in events] == ["started", *["chunk"] * (len(events) - 2), "finished"]
    started, finished = events[0].started, events[-1].finished
    assert (started.model, started.reason) == ("mini", decision_pb2.REASON_DEFAULT)
    assert not started.HasField("usage")
    assert not started.HasField("cost")
    assert finished.id == started.id
    assert outcomes(finished) == [("mini", "SUCCEEDED")]
    attempt = finished.attempts[0]
    assert attempt.latency.ToNanoseconds() >= attempt.time_to_first_token.ToNanoseconds() > 0


async def test_a_stream_says_and_costs_what_the_whole_answer_does(sidecar: Sidecar) -> None:
    whole = await sidecar.app.Complete(ask("What is 2 + 2?"))

    events, _ = await streamed(sidecar.app.CompleteStream(ask("What is 2 + 2?")))

    assert text_of(events) == whole.choices[0].message.content[0].text
    finished = events[-1].finished
    assert finished.usage == whole.decision.usage
    assert finished.cost == whole.decision.cost
    assert Decimal(finished.cost.amount) > 0
    ends = [delta.finish_reason for event in events for delta in event.chunk.choices if delta.finish_reason]
    assert ends == [completions_pb2.FINISH_REASON_STOP]


async def test_tokens_come_as_they_are_made(stub: StubProvider, sidecar: Sidecar) -> None:
    """The first token is here while the provider still has most of the answer before it."""
    stub.set_faults(Fault(hang=4))
    call = sidecar.app.CompleteStream(ask())

    first = [await anext(aiter(call)) for _ in range(3)]

    assert [event.WhichOneof("event") for event in first] == ["started", "chunk", "chunk"]
    assert stub.open_requests == 1
    call.cancel()


async def test_several_answers_are_told_apart(sidecar: Sidecar) -> None:
    request = ask(sampling=completions_pb2.SamplingParameters(n=3, logprobs=True))
    whole = await sidecar.app.Complete(request)

    events, _ = await streamed(sidecar.app.CompleteStream(request))

    for choice in whole.choices:
        assert text_of(events, index=choice.index) == choice.message.content[0].text
        streamed_logprobs = [
            token
            for event in events
            for delta in event.chunk.choices
            if delta.index == choice.index
            for token in delta.logprobs
        ]
        assert streamed_logprobs == list(choice.logprobs)


async def test_tool_calls_are_streamed(sidecar: Sidecar) -> None:
    request = ask("What is the weather?", tools=[tool("get_weather", schema=b'{"required": ["city"]}')])
    whole = await sidecar.app.Complete(request)

    events, _ = await streamed(sidecar.app.CompleteStream(request))

    deltas = [call for event in events for delta in event.chunk.choices for call in delta.tool_calls]
    (called,) = whole.choices[0].message.tool_calls
    assert "".join(delta.name for delta in deltas) == called.name
    assert "".join(delta.arguments for delta in deltas) == called.arguments


async def test_an_answer_without_a_token_is_an_answer(stub: StubProvider, sidecar: Sidecar) -> None:
    """A stop sequence can cut everything; the stream then holds the reason for its end alone."""
    request = ask(sampling=completions_pb2.SamplingParameters(stop=["["]))

    events, error = await streamed(sidecar.app.CompleteStream(request))

    assert error is None
    assert [event.WhichOneof("event") for event in events] == ["started", "chunk", "finished"]
    assert events[-1].finished.usage.output_tokens == 0
    assert len(stub.requests) == 1


@pytest.mark.parametrize(
    "payloads",
    [
        pytest.param(
            (
                b'{"id": "c", "choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": "stop"}]}',
                b"[DONE]",
            ),
            id="no usage at all",
        ),
        pytest.param(
            (b'{"id": "c", "choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": "stop"}]}',),
            id="nor an end that is said",
        ),
    ],
)
async def test_a_provider_that_says_nothing_of_usage_gives_an_answer_without_a_bill(
    payloads: tuple[bytes, ...],
) -> None:
    async with (
        odd_provider(chunks_of(*payloads)) as odd,
        running_sidecar(content=snapshot(base_url=odd.base_url), access={"openai": ""}) as sidecar,
    ):
        events, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert text_of(events) == "4"
    assert not events[-1].finished.HasField("usage")
    assert not events[-1].finished.HasField("cost")


async def test_a_bill_that_comes_before_the_end_is_kept() -> None:
    payloads = (
        b'{"choices":[{"index":0,"delta":{"content":"4"}}], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}',
        b'{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": null}',
        b"[DONE]",
    )
    async with (
        odd_provider(chunks_of(*payloads)) as odd,
        running_sidecar(content=snapshot(base_url=odd.base_url), access={"openai": ""}) as sidecar,
    ):
        events, _ = await streamed(sidecar.app.CompleteStream(ask()))

    assert events[-1].finished.usage.output_tokens == 1


async def test_a_provider_that_stays_on_the_line_after_its_last_word_does_not_hold_up_the_end() -> None:
    payloads = (
        b'{"id": "c", "choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": "stop"}]}',
        b'{"id": "c", "choices": [], "usage": {"prompt_tokens": 1, "completion_tokens": 1}}',
        b"[DONE]",
    )
    async with (
        odd_provider(chunks_of(*payloads, then_hang=True)) as odd,
        running_sidecar(content=snapshot(base_url=odd.base_url, total=3), access={"openai": ""}) as sidecar,
    ):
        events, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert events[-1].finished.usage.output_tokens == 1


async def test_the_time_to_the_first_token_is_measured(sidecar: Sidecar) -> None:
    await streamed(sidecar.app.CompleteStream(ask()))

    counted = sample(
        sidecar.metrics.registry,
        "pointsman_time_to_first_token_seconds_count",
        policy="shop/support",
        model="mini",
    )
    assert counted == 1
