"""A drill: starts processes, kills them while they are loaded, and asks the provider what was used."""

import asyncio
import json
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from support.drills.fleet import CALL

_STARTS_WITHIN = 30.0
_BETWEEN_LOOKS = 0.05


class DrillError(Exception):
    """Something could not be started, or ended by itself; the message has what it said."""


@dataclass(kw_only=True, eq=False)
class Killable:
    """A process that can be killed and started again, the same as before."""

    arguments: list[str]
    log: Path
    ready: str = ""
    process: asyncio.subprocess.Process | None = None
    kills: int = 0

    async def start(self) -> None:
        """Start it, and wait until it says that it is ready."""
        with self.log.open("wb") as log:
            self.process = await asyncio.create_subprocess_exec(
                sys.executable,
                *self.arguments,
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)},
            )
        async with asyncio.timeout(_STARTS_WITHIN):
            while self.ready not in self.said:
                if self.process.returncode is not None:
                    raise DrillError(f"{self.arguments[1]} ended by itself: {self.said[-2000:]}")
                await asyncio.sleep(_BETWEEN_LOOKS)

    @property
    def said(self) -> str:
        """All that it has said since it was last started."""
        return self.log.read_text(encoding="utf-8", errors="replace")

    async def kill(self) -> None:
        """End it as the kernel does when memory runs out."""
        if self.process is not None and self.process.returncode is None:
            self.process.kill()
            await self.process.wait()
            self.kills += 1

    async def again(self) -> None:
        """Kill it, and start it anew on what it had written."""
        await self.kill()
        await self.start()


@dataclass(kw_only=True)
class Drill:
    """What runs, and where the provider is."""

    folder: Path
    http: aiohttp.ClientSession
    provider: str
    fleets: list[Killable] = field(default_factory=list)
    others: list[Killable] = field(default_factory=list)

    async def used(self) -> int:
        """The tokens that the provider has counted."""
        async with self.http.get(f"{self.provider.removesuffix('/v1')}/stub/usage") as response:
            counted: dict[str, int] = await response.json()
        return counted["input_tokens"] + counted["output_tokens"]

    async def answers(self) -> int:
        """How many answers the provider gave."""
        async with self.http.get(f"{self.provider.removesuffix('/v1')}/stub/usage") as response:
            counted: dict[str, int] = await response.json()
        return counted["answers"]

    async def each_call_takes(self) -> int:
        """What a call of a fleet's uses; asked of the provider, and so counted there."""
        async with self.http.post(f"{self.provider}/chat/completions", json=CALL) as response:
            usage: dict[str, Any] = (await response.json())["usage"]
        return int(usage["prompt_tokens"] + usage["completion_tokens"])

    async def until_used(self, amount: int) -> None:
        """Wait until so much is used, or everybody has ended."""
        while await self.used() < amount and not self.have_ended:  # noqa: ASYNC110 - another process's state, which tells nobody of its changes
            await asyncio.sleep(_BETWEEN_LOOKS)

    @property
    def have_ended(self) -> bool:
        """Whether all fleets have spent what there was."""
        return bool(self.fleets) and all(
            each.process is not None and each.process.returncode is not None for each in self.fleets
        )

    async def fleet(self, pods: list[str], *options: str) -> Killable:
        """Several pods in one process, which begin to spend."""
        state = self.folder / "state"
        state.mkdir(exist_ok=True)
        arguments = ["-m", "support.drills.fleet", "--provider", self.provider, "--state", str(state), *options, *pods]
        made = Killable(arguments=arguments, log=self.folder / f"fleet-{pods[0]}.log")
        await made.start()
        self.fleets.append(made)
        return made

    async def until_spent(self) -> None:
        """Wait until every pod of the fleets was told that there is no more."""
        for each in self.fleets:
            assert each.process is not None
            if await each.process.wait():
                raise DrillError(f"a fleet failed: {each.said[-2000:]}")
            ended = json.loads(each.said.splitlines()[-1])
            if set(ended.values()) != {"EXHAUSTED"}:
                raise DrillError(f"a pod ended otherwise: {ended}")


@asynccontextmanager
async def drill(folder: Path) -> AsyncIterator[Drill]:
    """A provider, and nothing yet that spends. All that was started is ended with it."""
    provider = Killable(
        arguments=["-m", "pointsman_stub", "--port", "0", "--latency", "10ms"],
        log=folder / "provider.log",
        ready="listening on",
    )
    await provider.start()
    url = next(line for line in provider.said.splitlines() if "listening on" in line).split()[-1]
    async with aiohttp.ClientSession() as http:
        made = Drill(folder=folder, http=http, provider=url)
        try:
            yield made
        finally:
            for each in (*made.fleets, *made.others, provider):
                await each.kill()


def pods_named(prefix: str, number: int) -> list[str]:
    """Names of pods."""
    return [f"{prefix}-{at:02}" for at in range(number)]


def report(*, store: str, sidecars: int, limit: int, used: int, allowed: int, kills: int, seconds: float) -> str:
    """What came of a drill, in a line."""
    over = max(0, used - limit)
    return (
        f"{store}, {sidecars} sidecars: {used:,} of {limit:,} tokens were used ({used / limit:.2%}), {over:,} above "
        f"the limit, of which {allowed:,} may be by calls above their own bounds; {kills} processes were killed; "
        f"{seconds:.0f} s"
    )
