"""What Linux says of processes, and how they are started and ended."""

import asyncio
import os
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

_TICKS = os.sysconf("SC_CLK_TCK")
_GRACE = 10.0
_LONGEST_LINE = 64 * 1024 * 1024


@dataclass(frozen=True, kw_only=True)
class Usage:
    """Of a process and all below it: processor time so far in seconds, and resident memory in MiB."""

    cpu: float
    rss: float


def usage(pid: int) -> Usage:
    """What a process and all below it use."""
    cpu = rss = 0.0
    for each in _family(pid):
        folder = Path("/proc") / str(each)
        try:
            # After the command's name, which may hold anything but ends with the last parenthesis.
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
            status = (folder / "status").read_text()
        except (FileNotFoundError, ProcessLookupError):
            continue
        # User and system, its own and those of children that have ended.
        cpu += sum(map(int, fields[11:15])) / _TICKS
        rss += next((int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")), 0) / 1024
    return Usage(cpu=cpu, rss=rss)


def _family(pid: int) -> list[int]:
    found = [pid]
    for each in found:
        for task in (Path("/proc") / str(each) / "task").glob("*/children"):
            try:
                found += [int(child) for child in task.read_text().split()]
            except (FileNotFoundError, ProcessLookupError):
                continue
    return found


@asynccontextmanager
async def program(
    command: Sequence[str],
    *,
    environment: Mapping[str, str],
    output: IO[bytes] | int = DEVNULL,
    log: IO[bytes] | int | None = None,
) -> AsyncIterator[Process]:
    """A process and all below it, ended with the block. Where `output` is `PIPE`, standard input is one too."""
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=PIPE if output == PIPE else DEVNULL,
        stdout=output,
        stderr=log,
        env=environment,
        limit=_LONGEST_LINE,
    )
    try:
        yield process
    finally:
        family = [Path("/proc") / str(each) for each in _family(process.pid)]
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(_GRACE):
                await process.wait()
        except TimeoutError:
            process.kill()
            await process.wait()
        for left in family[1:]:
            if left.exists():
                os.kill(int(left.name), 9)
