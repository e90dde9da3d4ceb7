"""A program that plays the spending parts of many sidecars; told what to do on its standard input.

Of each this is what speaks to the ledger, as it is: its `Purse`, and its `Exchange` over gRPC, at its own times. Their
calls go to no provider. One JSON object a line, each answered with one: `spend` has so many namespaces begin, `heard`
tells how it went since it was last asked.
"""

import asyncio
import json
import random
import sys
import time
from collections.abc import AsyncIterator, Mapping, MutableMapping
from typing import Any

import structlog

from pointsman_api.v1 import control_pb2
from pointsman_sidecar.control.stream import Backoff
from pointsman_sidecar.quota.messages import Call, Reply
from pointsman_sidecar.quota.outcomes import Charge, Shortage
from pointsman_sidecar.spending.exchange import Exchange
from pointsman_sidecar.spending.purse import Purse
from pointsman_sidecar.telemetry.metrics import Metrics

_SECONDS_BETWEEN_CALLS = 3.0
_A_CALL_TAKES = 1.0
_LEAST, _MOST = 200, 600
# What comes at once at first: a sidecar's rate is a mean of about a minute, and is right after as much.
_AT_FIRST = 20


class Heard:
    """What all of them heard of the ledger."""

    def __init__(self) -> None:
        self.waited: list[float] = []
        self.refused = 0
        self.said: list[str] = []

    def __call__(self, _: object, __: str, event: MutableMapping[str, Any]) -> Mapping[str, Any]:
        """Take in a line of log, which goes nowhere else."""
        if event["event"] == "the ledger says":
            self.said.append(event["message"])
        raise structlog.DropEvent


class _Purse(Purse):
    """One that measures how long the ledger takes to grant something."""

    def __init__(self, heard: Heard, *, name: str) -> None:
        began = time.time() - time.monotonic()
        super().__init__(
            clock=lambda: began + time.monotonic(),
            incarnation=lambda: name,
            boot="",
            journal=None,
            log=structlog.stdlib.get_logger(),
        )
        self._heard_of = heard
        self._granted: dict[int, int] = {}
        self._since = 0.0

    def next_call(self) -> Call | None:
        """The next call; from now on its answer is waited for."""
        call = super().next_call()
        if call is not None:
            self._since = time.monotonic()
            self._granted = {item.serial: item.granted for item in call.items}
        return call

    def hear(self, reply: Reply) -> None:
        """The answer."""
        if any(each.granted > self._granted.get(each.serial, 0) for each in reply.verdicts):
            self._heard_of.waited.append(time.monotonic() - self._since)
        super().hear(reply)


class Spenders:
    """The sidecars of this process."""

    def __init__(self) -> None:
        self._heard = Heard()
        self._tasks: set[asyncio.Task[None]] = set()
        self._metrics = Metrics()
        structlog.configure(processors=[self._heard])

    async def spend(self, *, address: str, namespaces: list[str], seconds: float) -> dict[str, Any]:
        """Have a sidecar of each begin, spread over so many seconds."""
        for namespace in namespaces:
            self._tasks.add(asyncio.create_task(self._one(address, namespace)))
            # The pace of the load, and no wait for anything.
            await asyncio.sleep(seconds / len(namespaces))
        return {}

    async def heard(self) -> dict[str, Any]:
        """How long grants took, how many calls were refused, and what the ledger said, since this was last asked."""
        heard = self._heard
        told = {"waited": heard.waited, "refused": heard.refused, "said": heard.said}
        heard.waited, heard.refused, heard.said = [], 0, []
        return told

    def fail_with_any(self) -> None:
        """Raise what ended a sidecar's task, if anything did."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def _one(self, address: str, namespace: str) -> None:
        purse = _Purse(self._heard, name=f"{random.getrandbits(64):x}")
        exchange = Exchange(
            operator=address,
            identity=control_pb2.ClaimedIdentity(namespace=namespace, pod="app-0"),
            tls=None,
            purse=purse,
            metrics=self._metrics,
            log=structlog.stdlib.get_logger(),
            backoff=Backoff(random=random.random),
            clock=time.monotonic,
        )
        async with exchange.closing():
            exchange.start()
            await purse.told.wait()
            async with asyncio.TaskGroup() as calls:
                for _ in range(_AT_FIRST):
                    calls.create_task(self._call(purse, takes=0.0))
                while True:
                    calls.create_task(self._call(purse, takes=_A_CALL_TAKES))
                    await asyncio.sleep(random.expovariate(1 / _SECONDS_BETWEEN_CALLS))

    async def _call(self, purse: Purse, *, takes: float) -> None:
        bound = random.randint(_LEAST, _MOST)  # noqa: S311 - load
        charges = [Charge(budget, "", bound) for budget in purse.budgets]
        outcome = await purse.reserve(charges, may_wait=True)
        if isinstance(outcome, Shortage):
            self._heard.refused += 1
            return
        await asyncio.sleep(takes)
        purse.settle(outcome, [bound * 6 // 10] * len(charges))


async def _lines() -> AsyncIterator[str]:
    reader = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode()


async def main() -> None:
    """Do what is asked until there is no more."""
    spenders = Spenders()
    async for line in _lines():
        order = json.loads(line)
        work = asyncio.create_task(getattr(spenders, order.pop("do"))(**order))
        while not (await asyncio.wait([work], timeout=1))[0]:
            spenders.fail_with_any()
        sys.stdout.write(json.dumps(work.result()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
