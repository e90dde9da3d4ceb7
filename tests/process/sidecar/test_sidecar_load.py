"""Many callers at once, and slow ones."""

import asyncio
from collections import Counter

from pointsman_api.v1 import completions_pb2, types_pb2
from pointsman_stub import StubProvider
from support.answers import next_event, rest, streamed, text_of
from support.completions import ask
from support.odd_providers import odd_provider
from support.sidecars import Sidecar, running_sidecar
from support.snapshots import snapshot
from support.waiting import until

HIGH = completions_pb2.RoutingHints(severity=types_pb2.SEVERITY_HIGH)


async def test_fifty_callers_at_once_get_each_their_own_answer(stub: StubProvider, sidecar: Sidecar) -> None:
    async def whole(number: int) -> tuple[str, str]:
        response = await sidecar.app.Complete(ask(f"Question {number}?", hints=HIGH if number % 2 else None))
        return response.decision.model, response.choices[0].message.content[0].text

    async def stream(number: int) -> tuple[str, str]:
        events, error = await streamed(sidecar.app.CompleteStream(ask(f"Question {number}?")))
        assert error is None
        return events[-1].finished.model, text_of(events)

    answers = await asyncio.gather(*(whole(number) for number in range(25)), *(stream(n) for n in range(25, 50)))

    for number, (_, answer) in enumerate(answers):
        assert f'"Question {number}?"' in answer
    assert Counter(model for model, _ in answers) == {"mini": 38, "flagship": 12}
    assert len(stub.requests) == 50
    assert stub.open_requests == 0
    assert sidecar.in_flight == 0


# Larger than all buffers between the provider and a caller together.
EVENTS = 4_000
TEXT = "x" * 8_000
EVENT = b'data: {"choices": [{"index": 0, "delta": {"content": "' + TEXT.encode() + b'"}}]}\n\n'
END = b'data: {"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}\n\ndata: [DONE]\n\n'


class Flood:
    """A provider that sends 32 MB as fast as they are taken, and counts what it got rid of."""

    def __init__(self) -> None:
        self.sent = 0

    async def __call__(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request."""
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n")
        for _number in range(EVENTS):
            writer.write(EVENT)
            await writer.drain()
            self.sent += 1
        writer.write(END)


async def _steady(flood: Flood) -> None:
    """Wait until the provider is held back: nothing more goes out for a while."""
    last = -1
    while flood.sent != last:
        last = flood.sent
        await asyncio.sleep(0.2)


async def test_a_slow_reader_holds_the_provider_back_and_still_gets_everything() -> None:
    flood = Flood()
    async with (
        odd_provider(flood) as odd,
        running_sidecar(content=snapshot(base_url=odd.base_url, total=60), access={"openai": ""}) as sidecar,
    ):
        call = sidecar.app.CompleteStream(ask())
        assert (await next_event(call)).HasField("started")
        await until(lambda: flood.sent > 0)

        await _steady(flood)

        assert flood.sent < EVENTS / 2
        assert len(text_of(await rest(call))) == EVENTS * len(TEXT)
        assert flood.sent == EVENTS
