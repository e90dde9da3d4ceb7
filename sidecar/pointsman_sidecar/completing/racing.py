"""A second call beside one that takes long: whichever answers first is heard, and the other is cancelled."""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any, Protocol, TypeVar

_Result = TypeVar("_Result")


class Gate(Protocol):
    """What a call passes when it begins to answer."""

    @property
    def overtaken(self) -> bool:
        """Whether another call was heard instead."""

    def claim(self) -> None:
        """Be the one that is heard. All others are cancelled, before they can do the same."""


class Alone:
    """The gate of a call that runs beside no other."""

    overtaken = False

    def claim(self) -> None:
        """Nobody else is there."""


ALONE = Alone()


class _Runner:
    """One call of a race."""

    def __init__(self, rivals: "list[_Runner]") -> None:
        self.overtaken = False
        self.claimed = False
        self.task: asyncio.Task[Any] | None = None
        self._rivals = rivals

    def claim(self) -> None:
        self.claimed = True
        for rival in self._rivals:
            if rival is not self:
                rival.stop(overtaken=True)

    def stop(self, *, overtaken: bool) -> None:
        if self.task is not None and not self.task.done():
            self.overtaken = overtaken
            self.task.cancel()


async def race(
    call: Callable[[Gate, bool], Coroutine[Any, Any, _Result]], *, after: float, may_follow: Callable[[], bool]
) -> _Result:
    """Make a call, and after so many seconds a second one beside it, if it `may_follow`.

    `call` is given its gate, and whether it is the second. The first result is the result; a failure is raised once no
    call is left that could do better. Nothing runs on when this returns or raises.
    """
    runners: list[_Runner] = []
    heard = False
    try:
        first = _start(call, runners, second=False)
        done, _ = await asyncio.wait(_tasks(runners), timeout=after)
        if not done and not first.claimed and may_follow():
            _start(call, runners, second=True)
        result: _Result = await _first_result(runners)
        heard = True
        return result
    finally:
        for runner in runners:
            runner.stop(overtaken=heard)
        await asyncio.gather(*_tasks(runners), return_exceptions=True)


def _start(
    call: Callable[[Gate, bool], Coroutine[Any, Any, _Result]], runners: list[_Runner], *, second: bool
) -> _Runner:
    runner = _Runner(runners)
    runners.append(runner)
    runner.task = asyncio.create_task(call(runner, second), name="hedge" if second else "hedged call")
    return runner


async def _first_result(runners: list[_Runner]) -> Any:
    running = _tasks(runners)
    while True:
        done, rest = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
        # One that was overtaken is cancelled, and has not failed.
        ended = [task for task in running if task in done and not task.cancelled()]
        for task in ended:
            if task.exception() is None:
                return task.result()
        if not rest and not ended:
            # A door noticed by itself that its caller went away.
            raise asyncio.CancelledError
        if not rest:
            return ended[-1].result()
        running = [task for task in running if task in rest]


def _tasks(runners: list[_Runner]) -> list[asyncio.Task[Any]]:
    return [runner.task for runner in runners if runner.task is not None]
