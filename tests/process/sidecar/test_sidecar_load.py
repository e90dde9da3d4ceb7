"""Many callers at once, and slow ones."""

import asyncio
from collections import Counter

from pointsman_api.v1 import completions_pb2, types_pb2
from pointsman_stub import StubProvider
from support.answers import next_event, rest, streamed, text_of
from support.completions import ask
from support.floods import Flood
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


async def test_a_slow_reader_holds_the_provider_back_and_still_gets_everything() -> None:
    flood = Flood()
    async with (
        odd_provider(flood) as odd,
        running_sidecar(content=snapshot(base_url=odd.base_url, total=60), access={"openai": ""}) as sidecar,
    ):
        call = sidecar.app.CompleteStream(ask())
        assert (await next_event(call)).HasField("started")
        await until(lambda: flood.sent > 0)

        await flood.held_back()

        assert flood.sent < flood.EVENTS / 2
        assert len(text_of(await rest(call))) == flood.EVENTS * len(flood.TEXT)
        assert flood.sent == flood.EVENTS
