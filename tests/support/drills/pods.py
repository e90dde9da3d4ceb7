"""Whole sidecars with an app at each door; killed while they are loaded, and begun again on what they had written."""

import asyncio
import json
import os
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from itertools import cycle, islice
from typing import Any

import aiohttp
import grpc

from pointsman_api.v1 import completions_pb2_grpc
from support.completions import ask
from support.drills.driving import Drill, Killable

SIDECARS = int(os.environ.get("POINTSMAN_DRILL_SIDECARS", "8"))
"""How many there are: few where all tests run, 50 in `make drill-ledger`."""
LIMIT = 8_000 * SIDECARS
SECONDS = 90 + 6 * SIDECARS
MAX_TOKENS = 24
# So that a call is under way when its sidecar is killed.
_APPS_OF_A_POD = 2
_AT_ONCE = 4
_SOON, _LATER = 0.05, 0.25
_TOO_MANY_REQUESTS = 429
_OF_ALL = 0.8


class Door:
    """What an app asks through; raises RefusedError or FailedError where there is no answer."""

    async def ask(self) -> None:
        """Ask for a completion."""
        raise NotImplementedError

    async def close(self) -> None:
        """Ask no more."""


class RefusedError(Exception):
    """There is nothing left of the budget, the app is told."""


class FailedError(Exception):
    """Anything else that an app is told, or nobody is there."""


class GrpcDoor(Door):
    """The project's own API."""

    def __init__(self, ready: dict[str, Any], _: aiohttp.ClientSession) -> None:
        # Its own connection: what others of the same address were told by gRPC is not its business.
        self._channel = grpc.aio.insecure_channel(ready["listen"], options=[("grpc.use_local_subchannel_pool", 1)])
        self._app: completions_pb2_grpc.CompletionsAsyncStub = completions_pb2_grpc.CompletionsStub(self._channel)

    async def ask(self) -> None:
        """Ask for a completion."""
        try:
            await self._app.Complete(ask(max_tokens=MAX_TOKENS))
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.RESOURCE_EXHAUSTED:
                raise RefusedError from error
            raise FailedError from error

    async def close(self) -> None:
        """Ask no more."""
        await self._channel.close()


class HttpDoor(Door):
    """OpenAI's API."""

    def __init__(self, ready: dict[str, Any], http: aiohttp.ClientSession) -> None:
        self._url = f"http://{ready['http_listen']}/v1/chat/completions"
        self._http = http

    async def ask(self) -> None:
        """Ask for a completion."""
        message = {"role": "user", "content": "What is 2 + 2?"}
        body = {"model": "auto", "messages": [message], "max_tokens": MAX_TOKENS}
        try:
            async with self._http.post(self._url, json=body) as response:
                answer = await response.json()
        except (aiohttp.ClientError, ValueError) as error:
            raise FailedError from error
        if response.status == _TOO_MANY_REQUESTS and answer["error"]["type"] == "insufficient_quota":
            raise RefusedError
        if "choices" not in answer:
            raise FailedError


@dataclass(kw_only=True, eq=False)
class Pod:
    """A sidecar, and an app at one of its doors which asks for as long as there is somebody to ask."""

    process: Killable
    door: Callable[[dict[str, Any], aiohttp.ClientSession], Door]
    http: aiohttp.ClientSession
    refused: bool = False
    """Whether the app was told last that there is no more."""
    _apps: tuple[asyncio.Task[None], ...] = ()

    async def start(self) -> None:
        """Start it, and have the app begin."""
        await self.process.start()
        lines = map(json.loads, self.process.said.splitlines())
        door = self.door(next(line for line in lines if line["event"] == "ready"), self.http)
        self.refused = False
        self._apps = tuple(asyncio.create_task(self._spend(door)) for _ in range(_APPS_OF_A_POD))

    async def kill(self) -> None:
        """End both, the sidecar while it is asked."""
        await self.process.kill()
        await self.leave()

    async def leave(self) -> None:
        """Have the app ask no more."""
        for app in self._apps:
            app.cancel()
        await asyncio.gather(*self._apps, return_exceptions=True)

    async def _spend(self, door: Door) -> None:
        try:
            while True:
                try:
                    await door.ask()
                    self.refused = False
                except RefusedError:
                    self.refused = True
                    await asyncio.sleep(_LATER)
                except FailedError:
                    await asyncio.sleep(_SOON)
        finally:
            await door.close()


@dataclass(kw_only=True)
class Pods:
    """All of them. As nodes do, no more than a few are started at once."""

    drill: Drill
    pods: Sequence[Pod]
    began: float = field(default_factory=time.monotonic)
    _starting: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(_AT_ONCE))

    async def start(self, pods: Sequence[Pod] | None = None) -> None:
        """Start these, or all."""
        await asyncio.gather(*(self._start(each) for each in (self.pods if pods is None else pods)))

    async def crash(self, *, first: int) -> None:
        """Kill a third of them at once, counted from this one, and begin them anew with their journals."""
        victims = list(islice(cycle(self.pods), first, first + len(self.pods) // 3))
        await asyncio.gather(*(each.kill() for each in victims))
        await self.start(victims)

    async def until_spent(self) -> None:
        """Wait until every app was told that there is no more, and that is so."""
        while not all(each.refused for each in self.pods) or await self.drill.used() < _OF_ALL * LIMIT:  # noqa: ASYNC110 - other processes' state
            await asyncio.sleep(_LATER)

    @property
    def kills(self) -> int:
        """How many were killed."""
        return sum(each.process.kills for each in self.pods)

    @property
    def seconds(self) -> float:
        """How long this has taken so far."""
        return time.monotonic() - self.began

    async def _start(self, pod: Pod) -> None:
        async with self._starting:
            await pod.start()


def pods(drill: Drill, names: Sequence[str], options: Callable[[str], Sequence[str]]) -> Pods:
    """Pods of these names, not started yet; every other one's app comes by HTTP. `options` are the sidecar's own."""
    made = []
    for name, door in zip(names, cycle((GrpcDoor, HttpDoor)), strict=False):
        state = drill.folder / "state" / name
        state.mkdir(parents=True)
        arguments = [
            *("-m", "pointsman_sidecar", "--pod", name, "--state-dir", str(state)),
            *("--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0"),
            *options(name),
        ]
        process = Killable(arguments=arguments, log=drill.folder / f"{name}.log", ready='"event": "ready"')
        drill.others.append(process)
        made.append(Pod(process=process, door=door, http=drill.http))
    return Pods(drill=drill, pods=made)


async def under_fire(pods: Pods, events: Sequence[tuple[float, Callable[[], Awaitable[None]]]]) -> None:
    """Have all spend, with each event once its share of the limit is used; until there is no more."""
    await pods.start()
    try:
        for share, event in events:
            await pods.drill.until_used(int(LIMIT * share))
            await event()
        await pods.until_spent()
    finally:
        await asyncio.gather(*(each.leave() for each in pods.pods))
