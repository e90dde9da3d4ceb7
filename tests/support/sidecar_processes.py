"""A sidecar as a process of its own, as it runs in a pod."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from support.waiting import until

_START = 15.0
_STOP = 10.0


@dataclass(kw_only=True)
class SidecarProcess:
    """The process, what it said, and where it listens."""

    process: asyncio.subprocess.Process
    stderr: list[str] = field(default_factory=list)

    @property
    def logged(self) -> list[dict[str, Any]]:
        """Each line of its log; all that it says must be one."""
        return [json.loads(line) for line in self.stderr]

    def _ready(self) -> dict[str, Any] | None:
        return next((line for line in self.logged if line["event"] == "ready"), None)

    @property
    def address(self) -> str:
        """Where its door is."""
        ready = self._ready()
        assert ready is not None
        return str(ready["listen"])

    @property
    def http_url(self) -> str:
        """The base URL of its HTTP door."""
        ready = self._ready()
        assert ready is not None
        return f"http://{ready['http_listen']}/v1"

    @property
    def status_url(self) -> str:
        """Where its health and metrics are."""
        ready = self._ready()
        assert ready is not None
        return f"http://{ready['status_listen']}"

    async def until_logged(self, event: str) -> None:
        """Wait until it logs this event."""
        await until(lambda: any(line["event"] == event for line in self.logged), within=_START)

    def terminate(self) -> None:
        """Ask it to end, as the kubelet does."""
        self.process.send_signal(signal.SIGTERM)

    async def exit_code(self) -> int:
        """Its exit code, once it has ended and said all that it says."""
        async with asyncio.timeout(_STOP):
            return await self.process.wait()


async def start(
    arguments: list[str], *, environment: Mapping[str, str] | None = None
) -> tuple[SidecarProcess, "asyncio.Task[None]"]:
    """Start `python -m pointsman_sidecar`; the task ends with its standard error."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "pointsman_sidecar",
        *arguments,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        # Nothing of the caller's own settings; only where Python finds the code.
        env={"PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path), **(environment or {})},
    )
    running = SidecarProcess(process=process)

    async def read() -> None:
        assert process.stderr is not None
        async for line in process.stderr:
            running.stderr.append(line.decode().rstrip("\n"))

    return running, asyncio.create_task(read(), name="standard error")


@asynccontextmanager
async def running_process(
    *, operator: str, arguments: tuple[str, ...] = (), environment: Mapping[str, str] | None = None
) -> AsyncIterator[SidecarProcess]:
    """A sidecar that follows the operator at an address, on free ports; killed when the block ends, if still there."""
    process, reading = await start(
        [
            *("--operator", operator, "--namespace", "shop", "--pod", "web-1"),
            *("--listen", "127.0.0.1:0", "--http-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0"),
            *arguments,
        ],
        environment=environment,
    )
    try:
        await until(lambda: process._ready() is not None or reading.done(), within=_START)
        assert not reading.done(), process.stderr
        yield process
    finally:
        if process.process.returncode is None:
            process.process.kill()
        await process.process.wait()
        await reading


async def run_to_end(arguments: list[str], *, environment: Mapping[str, str] | None = None) -> tuple[int, list[str]]:
    """Start a sidecar that should end by itself: its exit code and the lines of its standard error."""
    process, reading = await start(arguments, environment=environment)
    try:
        code = await process.exit_code()
    finally:
        if process.process.returncode is None:
            process.process.kill()
        await reading
    return code, process.stderr
