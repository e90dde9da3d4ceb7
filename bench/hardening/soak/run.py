"""One soak: what the sidecar can do, then half of that with faults, and what it holds meanwhile and at the end."""

import asyncio
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from statistics import median
from typing import Any

import aiohttp

from hostile.subjects import Held, Subject, stub_process, subject
from soak.load import Asked, Load, loading
from support.snapshots import breaking, retrying, snapshot
from support.waiting import until

_AT_ONCE = 16
_BETWEEN_LOOKS = 1.0
# The share of a run at whose beginning and end memory is compared: the first is left out, it grows into its work there.
_SHARE = 0.1
_SETTLED = 30.0
# Each is met before an answer begins, so that another call can take its place. Together 5 of 100.
FAULTS: tuple[dict[str, Any], ...] = (
    {"status": 500, "share": 0.01},
    {"status": 503, "share": 0.01},
    {"status": 429, "retry_after": 0.05, "share": 0.01},
    {"cut": "start", "share": 0.005},
    {"cut": "headers", "share": 0.005},
    {"garbage": "html", "share": 0.005},
    {"latency": 0.5, "share": 0.0025},
    {"hang": "start", "share": 0.0025},
)


@dataclass(kw_only=True)
class Soak:
    """What came of it."""

    seconds: float
    capacity: float = 0.0
    rate: float = 0.0
    asked: dict[str, Asked] = field(default_factory=dict)
    memory: list[float] = field(default_factory=list)
    attempts: dict[str, float] = field(default_factory=dict)
    before: Held | None = None
    after: Held | None = None
    left: list[str] = field(default_factory=list)
    late: int = 0

    @property
    def growth(self) -> float:
        """How much more memory it held in the last tenth than in the second, in percent."""
        tenth = max(1, int(len(self.memory) * _SHARE))
        begin, end = median(self.memory[tenth : 2 * tenth] or self.memory), median(self.memory[-tenth:])
        return 100 * (end - begin) / begin

    @property
    def errors(self) -> int:
        """Completions that failed."""
        return sum(sum(each.errors.values()) for each in self.asked.values())

    @property
    def faults(self) -> float:
        """Calls to a provider that failed."""
        return sum(count for outcome, count in self.attempts.items() if outcome != "SUCCEEDED")

    def document(self) -> dict[str, Any]:
        """All of it, for JSON, without each completion's time."""
        kinds = {
            kind: {"completions": len(each.took), "errors": each.errors, **quantiles(each.took)}
            for kind, each in self.asked.items()
        }
        return {**asdict(self), "asked": kinds, "growth": self.growth, "errors": self.errors, "faults": self.faults}


def quantiles(took: list[float]) -> dict[str, float]:
    """In milliseconds."""
    if not took:
        return {}
    ordered = sorted(took)
    shares = {"p50": 0.5, "p99": 0.99, "max": 1.0}
    return {name: 1000 * ordered[min(len(ordered) - 1, int(len(ordered) * share))] for name, share in shares.items()}


async def soak(*, seconds: float, measuring: float, progress: Callable[[float, str], None]) -> Soak:
    """Measure what a sidecar can do for a while, then hold it at half of that for so many seconds."""
    found = Soak(seconds=seconds)
    async with stub_process() as base_url:
        content = snapshot(
            base_url=base_url,
            retries=retrying(2, budget_percent=20),
            circuit_breaker=breaking(error_percent=50, min_requests=20, open_for=5.0),
            first_token=3.0,
            attempt=3.0,
            total=20.0,
        )
        async with subject(content) as soaked:
            start = await soaked.held()
            async with loading(http_url=soaked.http_url, address=soaked.address) as load:
                found.capacity = await _capacity(load, measuring)
            found.rate = found.capacity / 2
            async with loading(http_url=soaked.http_url, address=soaked.address) as load:
                await _faults(base_url, FAULTS)
                found.before = await soaked.held()
                await _steadily(found, soaked, load, progress)
                await _faults(base_url, ())
            found.asked = load.asked
            await _settle(found, soaked, start)
            found.attempts = await _attempts(soaked)
            found.after = await soaked.held()
    return found


async def _capacity(load: Load, seconds: float) -> float:
    """Completions a second, as many at once as there is work for."""
    ends = time.monotonic() + seconds
    asked = 0

    async def work() -> None:
        nonlocal asked
        while time.monotonic() < ends:
            asked += 1
            await load.ask(asked)

    begun = time.monotonic()
    await asyncio.gather(*(work() for _ in range(_AT_ONCE)))
    return asked / (time.monotonic() - begun)


async def _steadily(found: Soak, soaked: Subject, load: Load, progress: Callable[[float, str], None]) -> None:
    """Ask at the rate, whatever comes of those before."""
    begun = time.monotonic()
    looked = begun
    number = 0
    async with asyncio.TaskGroup() as group:
        while (now := time.monotonic()) < begun + found.seconds:
            due = int((now - begun) * found.rate)
            found.late = max(found.late, due - number)
            for each in range(number, due):
                group.create_task(load.ask(each))
            number = due
            if now >= looked + _BETWEEN_LOOKS:
                looked = now
                found.memory.append(soaked.rss)
                errors = sum(sum(each.errors.values()) for each in load.asked.values())
                progress(now - begun, f"{found.rate:.0f}/s, {errors} errors, {found.memory[-1]:.0f} MiB")
            await asyncio.sleep(1 / found.rate)
    found.memory.append(soaked.rss)


async def _settle(found: Soak, soaked: Subject, start: Held) -> None:
    """What is still held after a while is left."""
    try:
        await until(lambda: soaked.sockets <= start.sockets, within=_SETTLED)
    except TimeoutError:
        found.left.append(f"{soaked.sockets - start.sockets} sockets")
    if (held := await soaked.held()).in_flight:
        found.left.append(f"{held.in_flight:g} completions")
    found.left += [f"in the log: {line}" for line in soaked.process.stderr if '"level": "error"' in line]


async def _faults(base_url: str, faults: tuple[dict[str, Any], ...]) -> None:
    url = base_url.removesuffix("/v1") + "/stub/faults"
    async with aiohttp.ClientSession() as session, session.put(url, json=list(faults)) as response:
        response.raise_for_status()


async def _attempts(soaked: Subject) -> dict[str, float]:
    """Calls to providers by their outcome, as the sidecar's metrics count them."""
    counted: dict[str, float] = {}
    async with aiohttp.ClientSession() as session, session.get(f"{soaked.status_url}/metrics") as response:
        for line in (await response.text()).splitlines():
            if line.startswith("pointsman_attempts_total{"):
                outcome = line.partition('outcome="')[2].partition('"')[0]
                counted[outcome] = counted.get(outcome, 0.0) + float(line.rpartition(" ")[2])
    return counted
