"""One run: the cases against one sidecar, the watchers on it and on another that is left in peace."""

import asyncio
import json
import os
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from hostile.cases import CANARY
from hostile.subjects import Held, Subject, said_by, subjects
from hostile.watching import Watched, watching
from support.waiting import until

# What the attacked sidecar is asked first, as many ordinary requests as these of all cases: what follows is compared to
# this, for whoever asks a lot makes others wait, whatever is asked.
_ORDINARY = 0.1
_SETTLED = 30.0
_MOST_GROWTH = 1.5
_STALL = 0.05


@dataclass(kw_only=True)
class Run:
    """What came of it."""

    seed: int
    cases: int
    findings: list[dict[str, Any]] = field(default_factory=list)
    outcomes: dict[str, int] = field(default_factory=dict)
    latencies: dict[str, dict[str, float]] = field(default_factory=dict)
    slowest: list[dict[str, Any]] = field(default_factory=list)
    before: Held | None = None
    after: Held | None = None
    peak: float = 0.0
    # How much longer normal completions took beside hostile requests than beside ordinary ones: 99.9 of 100, in ms.
    stall: float = 0.0

    def document(self) -> dict[str, Any]:
        """All of it, for JSON."""
        return asdict(self)


async def attack(*, seed: int, first: int, cases: int, progress: Callable[[int, int], None]) -> Run:
    """Send so many cases from the `first` on, and say what came of them."""
    run = Run(seed=seed, cases=cases)
    async with subjects(2) as (attacked, left):
        before = await attacked.held()
        times: list[dict[str, Any]] = []
        async with (
            watching(http_url=attacked.http_url, address=attacked.address) as watched,
            watching(http_url=left.http_url, address=left.address) as control,
        ):
            begun = time.monotonic()
            ordinary = Run(seed=seed, cases=0)
            await _send(ordinary, attacked, range(int(cases * _ORDINARY)), [], lambda *_: None, "--ordinary")
            run.findings += ordinary.findings
            run.before = await attacked.held() if attacked.alive else None
            turned = time.monotonic()
            await _send(run, attacked, range(first, first + cases), times, progress)
            ended = time.monotonic()
        if not attacked.alive:
            run.findings.append({"finding": f"the process ended with {attacked.process.process.returncode}"})
            return run
        await _settle(run, attacked, sockets=before.sockets)
        run.after = await attacked.held()
        if run.before is not None and run.peak > run.before.rss * _MOST_GROWTH + 100:
            run.findings.append({"finding": f"memory grew from {run.before.rss:.0f} to {run.peak:.0f} MiB"})
        run.findings += [{"finding": f"a normal completion failed: {error}"} for error in watched.errors]
        run.findings += _in_log(attacked)
        for name, which in (("beside them", watched), ("beside no request", control)):
            for load, since, until_ in (("ordinary", begun, turned), ("hostile", turned, ended)):
                run.latencies |= _latencies(f"{load}, {name}", which, since=since, until=until_)
        run.stall = _stall(run.latencies)
        run.slowest = _slowest(watched, times)
    return run


async def _send(
    run: Run,
    attacked: Subject,
    numbers: range,
    times: list[dict[str, Any]],
    progress: Callable[[int, int], None],
    *options: str,
) -> None:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "hostile.sending", "--seed", str(run.seed)),
        *("--first", str(numbers.start), "--end", str(numbers.stop)),
        *("--http", attacked.http, "--grpc", attacked.address, *options),
        stdout=asyncio.subprocess.PIPE,
        limit=2**20,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        async for raw in said_by(process):
            line = json.loads(raw)
            if "finding" in line:
                run.findings.append(line)
            elif "outcomes" in line:
                for name, count in line["outcomes"].items():
                    run.outcomes[name] = run.outcomes.get(name, 0) + count
            else:
                times.append(line)
                if attacked.alive:
                    run.peak = max(run.peak, attacked.rss)
                progress(len(times), len(run.findings))
        if await process.wait():
            run.findings.append({"finding": "the sender ended with an error: see above"})
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def _settle(run: Run, attacked: Subject, *, sockets: int) -> None:
    """Wait until it holds no more than at its start; what it still holds after a while is found."""
    try:
        await until(lambda: attacked.sockets <= sockets, within=_SETTLED)
    except TimeoutError:
        run.findings.append({"finding": f"{attacked.sockets - sockets} sockets are left"})
    if (held := await attacked.held()).in_flight:
        run.findings.append({"finding": f"{held.in_flight:g} completions are left"})


def _in_log(attacked: Subject) -> list[dict[str, Any]]:
    found = []
    for text in attacked.process.stderr:
        try:
            line = json.loads(text)
        except ValueError:
            found.append({"finding": f"no line of JSON in the log: {text[:300]}"})
            continue
        if line.get("level") in {"error", "critical"} or "Traceback" in text:
            found.append({"finding": f"in the log: {text[:1500]}"})
        if CANARY in text:
            found.append({"finding": f"a prompt in the log: {text[:300]}"})
    return found


def _stall(latencies: dict[str, dict[str, float]]) -> float:
    found = 0.0
    for door in ("HTTP", "gRPC"):
        rows = {name: each["p99.9"] for name, each in latencies.items() if name.endswith(door)}
        beside = rows.pop(f"hostile, beside them, {door}", 0.0)
        found = max(found, beside - max(rows.values(), default=0.0))
    return found


def _latencies(name: str, watched: Watched, *, since: float, until: float) -> dict[str, dict[str, float]]:
    found = {}
    for door in watched.took:
        took = watched.seconds(door, since=since, until=until)
        if took:
            found[f"{name}, {door}"] = {
                "completions": len(took),
                **{
                    f"p{share:g}": 1000 * took[min(len(took) - 1, int(len(took) * share / 100))]
                    for share in (50, 99, 99.9)
                },
                "max": 1000 * took[-1],
                "above 50 ms": sum(1 for each in took if each > _STALL),
            }
    return found


def _slowest(watched: Watched, times: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The slowest normal completions, and what was in flight then."""
    all_ = [(took, begun, door) for door, each in watched.took.items() for begun, took in each]
    return [
        {
            "door": door,
            "ms": 1000 * took,
            "beside": [
                f"{line['case']}: {line['what']}"
                for line in times
                if line["begun"] < begun + took and line["ended"] > begun
            ],
        }
        for took, begun, door in sorted(all_, reverse=True)[:10]
    ]
