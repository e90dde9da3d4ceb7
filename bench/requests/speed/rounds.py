"""The measuring: all systems in turns, so that the machine's noise hits all alike."""

import asyncio
import json
import os
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import asdict, dataclass, replace

from rich.console import Console

from speed.load import Load, Taken
from speed.processes import program, usage
from speed.results import FLOOR, Results, Start, Way
from speed.systems import Door, NotStartedError, Running, Surroundings, System

_PATIENCE = 120.0
_SAID = 100
_WARMING = 0.3
_BETWEEN_TRIES = 0.02
_CHUNKS = {"short_streams": 1, "long_streams": 129}
_CHUNKS_ALONE = {"short_streams_alone": 1, "long_streams_alone": 129}


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How much of everything. Times are in seconds."""

    starts: int
    peer_starts: int
    rounds: int
    seconds: float
    fewer_rounds: int
    prompt_seconds: float
    rest: float


FULL = Sizes(starts=5, peer_starts=2, rounds=5, seconds=1.0, fewer_rounds=2, prompt_seconds=0.6, rest=1.0)
QUICK = Sizes(starts=1, peer_starts=1, rounds=1, seconds=0.1, fewer_rounds=1, prompt_seconds=0.1, rest=0.0)
PROMPTS = (1, 10, 100, 400)


class FailedError(Exception):
    """A request was not answered as it must be. The text says which and how."""


@dataclass(frozen=True, kw_only=True)
class _Measure:
    key: str
    seconds: float
    in_flight: int = 1
    chunks: int = 0
    prompt_bytes: int = 40


class Bench:
    """One run."""

    def __init__(
        self, *, sizes: Sizes, around: Surroundings, systems: Sequence[System], results: Results, console: Console
    ) -> None:
        self._sizes = sizes
        self._around = around
        self._systems = systems
        self._results = results
        self._console = console
        self._load: Process

    async def run(self) -> None:
        """Measure.

        Raises:
            FailedError, NotStartedError: something did not work as it must.
        """
        environment = {"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
        async with (
            program([sys.executable, "-m", "speed.load"], environment=environment, output=PIPE) as self._load,
            AsyncExitStack() as stack,
        ):
            running = await self._started(stack)
            await self._measured(running)

    async def _started(self, stack: AsyncExitStack) -> dict[str, Running]:
        most = max(self._sizes.starts, self._sizes.peer_starts)
        running: dict[str, Running] = {}
        for number in range(most):
            for system in self._systems:
                left = (self._sizes.peer_starts if system.peer else self._sizes.starts) - number
                if left < 1:
                    continue
                self._say(f"starting {system.name} ({number + 1})")
                async with AsyncExitStack() as once:
                    started = await (stack if left == 1 else once).enter_async_context(system.start())
                    await self._ready(system, started)
                    if left == 1:
                        running[system.name] = started
        return running

    async def _ready(self, system: System, running: Running) -> None:
        kept = self._results.starts.setdefault(system.name, Start())
        loop = asyncio.get_running_loop()
        door = running.doors["HTTP"]
        while (taken := await self._send(door, _Measure(key="", seconds=0.0))).error:
            if running.process.returncode is not None or loop.time() - running.started > _PATIENCE:
                raise NotStartedError(f"{system.name} did not start ({taken.error}): see {self._around.folder}")
            await asyncio.sleep(_BETWEEN_TRIES)
        kept.ready.append(loop.time() - running.started)
        await asyncio.sleep(self._sizes.rest)
        kept.rest.append(usage(running.process.pid).rss)

    async def _measured(self, running: Mapping[str, Running]) -> None:
        straight = Door(url=f"{self._around.provider}/chat/completions", model="mini")
        peers = {system.name for system in self._systems if system.peer}
        ways: list[tuple[Way, Door, Running | None]] = [(Way(system=FLOOR, door=""), straight, None)]
        ways += [
            (Way(system=name, door=door), each.doors[door], each)
            for name, each in running.items()
            for door in each.doors
        ]
        self._results.ways = [way for way, _, _ in ways]
        sizes = self._sizes
        common = [
            _Measure(key="in_flight_1", seconds=sizes.seconds),
            _Measure(key="in_flight_16", seconds=sizes.seconds, in_flight=16),
            *(_Measure(key=key, seconds=sizes.seconds, in_flight=16, chunks=chunks) for key, chunks in _CHUNKS.items()),
            _Measure(key="first_token", seconds=sizes.seconds / 2, chunks=1),
        ]
        alone = [_Measure(key=key, seconds=sizes.seconds, chunks=chunks) for key, chunks in _CHUNKS_ALONE.items()]
        prompts = [
            _Measure(key=f"prompt_{size}_kb", seconds=sizes.prompt_seconds, prompt_bytes=size * 1000)
            for size in PROMPTS
        ]
        for way, door, _ in ways:
            self._say(f"warming up {way.name}")
            for measure in (*common, *alone):
                try:
                    await self._checked(way, door, replace(measure, seconds=min(measure.seconds, _WARMING)))
                except FailedError as error:
                    # What a peer cannot do is said, and not measured. Ours can do all of it.
                    if way.system not in peers:
                        raise
                    way.failed[measure.key] = str(error)
                    self._say(f"[red]{error}[/red]")
        plan = [(number, measure) for number in range(sizes.rounds) for measure in common]
        plan += [(number, measure) for number in range(sizes.fewer_rounds) for measure in (*alone, *prompts)]
        for step, (number, measure) in enumerate(plan):
            self._say(f"{step + 1} of {len(plan)}: {measure.key}, round {number + 1}")
            turn = (number + step) % len(ways)
            for way, door, process in (*ways[turn:], *ways[:turn]):
                await self._one(way, door, process, measure)

    async def _one(self, way: Way, door: Door, process: Running | None, measure: _Measure) -> None:
        if measure.key in way.failed:
            return
        before = usage(process.process.pid).cpu if process else 0.0
        taken = await self._checked(way, door, measure)
        key = measure.key
        if process:
            after = usage(process.process.pid)
            way.cpu[key] = way.cpu.get(key, 0.0) + after.cpu - before
            start = self._results.starts[way.system]
            start.loaded = max(start.loaded, after.rss)
        way.latencies.setdefault(key, []).extend(taken.total)
        way.firsts.setdefault(key, []).extend(taken.first)
        way.requests[key] = way.requests.get(key, 0) + len(taken.total)
        way.seconds[key] = way.seconds.get(key, 0.0) + taken.seconds
        way.chunks[key] = way.chunks.get(key, 0) + taken.chunks

    async def _checked(self, way: Way, door: Door, measure: _Measure) -> Taken:
        taken = await self._send(door, measure)
        if taken.error:
            raise FailedError(f"{way.name}, {measure.key}: {taken.error[:_SAID]} …")
        return taken

    async def _send(self, door: Door, measure: _Measure) -> Taken:
        load = Load(
            url=door.url,
            model=door.model,
            headers=door.headers,
            # A load of no seconds is one request.
            in_flight=measure.in_flight,
            seconds=measure.seconds,
            prompt_bytes=measure.prompt_bytes,
            chunks=measure.chunks,
        )
        if self._load.stdin is None or self._load.stdout is None:
            raise RuntimeError("the load is started with pipes")
        self._load.stdin.write(json.dumps(asdict(load)).encode() + b"\n")
        line = await self._load.stdout.readline()
        if not line:
            raise FailedError("the load ended by itself")
        return Taken(**json.loads(line))

    def _say(self, text: str) -> None:
        self._console.print(f"[dim]{text}[/dim]")
