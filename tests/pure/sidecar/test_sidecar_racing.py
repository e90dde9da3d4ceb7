"""Two calls at once: one is heard, the other cancelled, and nothing runs on."""

import asyncio
from collections.abc import Callable

import pytest

from pointsman_sidecar.completing.racing import Gate, race
from support.tasks import no_task_left


class Calls:
    """The calls of a race. A test says how each ends, and sees what became of it."""

    def __init__(self) -> None:
        self.started: list[asyncio.Event] = [asyncio.Event(), asyncio.Event()]
        self.results: list[asyncio.Future[str]] = [asyncio.Future(), asyncio.Future()]
        self.gates: list[Gate] = []
        self.cancelled: list[int] = []

    async def call(self, gate: Gate, second: bool) -> str:  # noqa: FBT001 - the race's own signature
        """One of them."""
        number = int(second)
        self.gates.append(gate)
        self.started[number].set()
        try:
            return await self.results[number]
        except asyncio.CancelledError:
            self.cancelled.append(number)
            raise


@pytest.fixture
async def calls() -> Calls:
    """In a loop that runs."""
    return Calls()


def allowed() -> bool:
    return True


def start(calls: Calls, *, after: float = 0.0, may_follow: Callable[[], bool] = allowed) -> "asyncio.Task[str]":
    return asyncio.create_task(race(calls.call, after=after, may_follow=may_follow))


@pytest.mark.parametrize("winner", [0, 1])
async def test_whichever_answers_first_is_heard_and_the_other_cancelled(calls: Calls, winner: int) -> None:
    async with no_task_left():
        racing = start(calls)
        await calls.started[1].wait()
        calls.results[winner].set_result("heard")

        assert await racing == "heard"

    assert calls.cancelled == [1 - winner]
    assert [gate.overtaken for gate in calls.gates] == [winner == 1, winner == 0]


async def test_a_quick_answer_has_no_second_call(calls: Calls) -> None:
    calls.results[0].set_result("quick")

    assert await race(calls.call, after=5.0, may_follow=allowed) == "quick"

    assert len(calls.gates) == 1


async def test_a_quick_failure_has_no_second_call(calls: Calls) -> None:
    calls.results[0].set_exception(ValueError("no"))

    with pytest.raises(ValueError, match="no"):
        await race(calls.call, after=5.0, may_follow=allowed)

    assert len(calls.gates) == 1


async def test_without_leave_the_first_goes_on_alone(calls: Calls) -> None:
    asked = asyncio.Event()

    def refused() -> bool:
        asked.set()
        return False

    racing = start(calls, may_follow=refused)
    await asked.wait()
    calls.results[0].set_result("late")

    assert await racing == "late"
    assert len(calls.gates) == 1


@pytest.mark.parametrize("failing", [0, 1])
async def test_a_failure_waits_for_the_other(calls: Calls, failing: int) -> None:
    racing = start(calls)
    await calls.started[1].wait()
    calls.results[failing].set_exception(ValueError("no"))
    await asyncio.wait({racing}, timeout=0)
    calls.results[1 - failing].set_result("heard")

    assert await racing == "heard"
    assert calls.cancelled == []


async def test_where_both_fail_it_fails(calls: Calls) -> None:
    racing = start(calls)
    await calls.started[1].wait()
    calls.results[0].set_exception(ValueError("one"))
    calls.results[1].set_exception(ValueError("two"))

    with pytest.raises(ValueError, match=r"one|two"):
        await racing


async def test_who_claims_is_heard_though_it_is_not_done(calls: Calls) -> None:
    """A stream that has begun: the other may not begin any more."""
    async with no_task_left():
        racing = start(calls)
        await calls.started[1].wait()
        calls.gates[1].claim()
        calls.results[1].set_result("heard")

        assert await racing == "heard"

    assert calls.gates[0].overtaken
    assert not calls.gates[1].overtaken


async def test_a_claim_that_then_fails_is_the_failure(calls: Calls) -> None:
    racing = start(calls)
    await calls.started[1].wait()
    calls.gates[0].claim()
    calls.results[0].set_exception(ValueError("cut"))

    with pytest.raises(ValueError, match="cut"):
        await racing

    assert calls.cancelled == [1]


async def test_a_stream_that_has_begun_gets_no_second_call(calls: Calls) -> None:
    racing = start(calls, after=0.02)
    await calls.started[0].wait()
    calls.gates[0].claim()
    await asyncio.wait({racing}, timeout=0.05)
    calls.results[0].set_result("heard")

    assert await racing == "heard"
    assert len(calls.gates) == 1


async def test_a_caller_who_goes_away_cancels_both_and_neither_was_overtaken(calls: Calls) -> None:
    async with no_task_left():
        racing = start(calls)
        await calls.started[1].wait()
        racing.cancel()
        with pytest.raises(asyncio.CancelledError):
            await racing

    assert sorted(calls.cancelled) == [0, 1]
    assert not any(gate.overtaken for gate in calls.gates)


async def test_a_call_that_finds_its_caller_gone_ends_the_race(calls: Calls) -> None:
    async with no_task_left():
        racing = start(calls)
        await calls.started[1].wait()
        calls.gates[0].claim()
        calls.results[0].set_exception(asyncio.CancelledError())

        with pytest.raises(asyncio.CancelledError):
            await racing
