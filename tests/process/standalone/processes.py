"""The command as users run it: another process, with its output, its log and its end."""

import asyncio
import json
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

import grpc

from pointsman_api.v1 import completions_pb2_grpc
from pure.cli.resources import text
from support import completions
from support.waiting import until

KEY = "sk-of-these-tests"
VARIABLE = "KEY_OF_THESE_TESTS"
WITH_KEY = (f"--secret=openai/api-key={VARIABLE}",)
KEYED = [{"secretKeyRef": {"name": "openai", "key": "api-key"}}]
REFUSED = "files refused; what was in force stays"
COMMAND = (sys.executable, "-m", "pointsman")
# Generous, since machines are shared; what takes longer hangs.
STARTS_WITHIN = 20.0
ENDS_WITHIN = 20.0
FOLLOWS_WITHIN = 4.0
_BETWEEN_LOOKS = 0.02
_READY = re.compile(r"completions on (\S+) \(gRPC\) and (\S+) \(.*\)\nmetrics on (\S+)")


@dataclass(frozen=True, kw_only=True)
class Ended:
    """What a command left behind."""

    code: int
    out: str
    err: str


class Invoke(Protocol):
    """The command, whether in a process of its own or not."""

    def __call__(self, *arguments: str | Path, stdin: str | bytes = b"") -> Ended:
        """Run it to its end."""


def command(*arguments: str | Path, stdin: str | bytes = b"", env: Mapping[str, str] | None = None) -> Ended:
    """Run the command to its end."""
    given = stdin.encode() if isinstance(stdin, str) else stdin
    done = subprocess.run(
        [*COMMAND, *map(str, arguments)],
        input=given,
        capture_output=True,
        timeout=ENDS_WITHIN,
        env={**os.environ, **(env or {})},
        check=False,
    )
    return Ended(code=done.returncode, out=done.stdout.decode(), err=done.stderr.decode())


@dataclass(kw_only=True)
class Running:
    """A `pointsman run` that serves, and an app's view of it."""

    process: asyncio.subprocess.Process
    log_file: Path
    output: str
    door: str
    http_url: str
    metrics_url: str
    app: "completions_pb2_grpc.CompletionsAsyncStub"

    @property
    def log(self) -> str:
        """All that it has written to standard error."""
        return _read(self.log_file)

    @property
    def command_line(self) -> str:
        """What everybody on the machine can see of it."""
        return Path(f"/proc/{self.process.pid}/cmdline").read_text(encoding="utf-8")

    def lines(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log about an event."""
        # The last one may still be being written.
        whole = self.log.rpartition("\n")[0].splitlines()
        return [line for line in map(json.loads, whole) if line["event"] == event]

    def reasons(self, event: str) -> list[str]:
        """What the log gives as the reasons of an event."""
        return [line["reason"] for line in self.lines(event)]

    async def chosen(self) -> str:
        """The model that a plain request would be sent to; where none would, the status."""
        try:
            return (await self.app.Explain(completions.ask())).decision.model
        except grpc.aio.AioRpcError as error:
            return error.code().name

    async def until_chosen(self, expected: str) -> None:
        """Wait until a plain request would be sent there."""
        async with asyncio.timeout(FOLLOWS_WITHIN):
            while True:
                if await self.chosen() == expected:
                    return
                await asyncio.sleep(_BETWEEN_LOOKS)

    async def until_logged(self, event: str, about: str = "", *, times: int = 1) -> None:
        """Wait until the log gave such a reason for the event so many times."""
        await until(
            lambda: sum(about in reason for reason in self.reasons(event)) >= times,
            within=FOLLOWS_WITHIN,
        )

    async def end(self, number: signal.Signals = signal.SIGTERM) -> int:
        """Send a signal and give the exit code."""
        self.process.send_signal(number)
        async with asyncio.timeout(ENDS_WITHIN):
            return await self.process.wait()


def lay(file: Path, *resources: Any) -> Path:
    """Write a file of resources."""
    file.write_text(text(*resources), encoding="utf-8")
    return file


def _read(file: Path) -> str:
    return file.read_text(encoding="utf-8")


@asynccontextmanager
async def running(
    *arguments: str | Path, log_file: Path, env: Mapping[str, str] | None = None
) -> AsyncIterator[Running]:
    """Start `pointsman run` on free ports, wait until it says that it serves, and end it with the block."""
    with log_file.open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *COMMAND,
            "run",
            *map(str, arguments),
            "--listen=127.0.0.1:0",
            "--http-listen=127.0.0.1:0",
            "--status-listen=127.0.0.1:0",
            stdout=asyncio.subprocess.PIPE,
            stderr=log,
            env={**os.environ, VARIABLE: KEY, **(env or {})},
        )
    assert process.stdout is not None
    output = ""
    try:
        async with asyncio.timeout(STARTS_WITHIN):
            while not (ready := _READY.search(output)):
                line = await process.stdout.readline()
                assert line, f"it ended: {output}{_read(log_file)}"
                output += line.decode()
        async with grpc.aio.insecure_channel(ready[1]) as channel:
            yield Running(
                process=process,
                log_file=log_file,
                output=output,
                door=ready[1],
                http_url=ready[2],
                metrics_url=ready[3],
                app=completions_pb2_grpc.CompletionsStub(channel),
            )
    finally:
        if process.returncode is None:
            process.terminate()
        try:
            async with asyncio.timeout(ENDS_WITHIN):
                # To the end of its output, so that no pipe outlives the test.
                await process.communicate()
        except TimeoutError:
            process.kill()
            raise
