"""What is attacked, and what is not: real sidecars under one policy, and what is seen of their processes."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import aiohttp

from pointsman_api.v1 import control_pb2, snapshot_pb2
from pointsman_stub import StubProvider
from support.operators import running_operator
from support.sidecar_processes import SidecarProcess, running_process
from support.snapshots import embed, flagship, mini, provider, severity_route, snapshot, update

_KEY = "sk-of-the-bench"


@dataclass(frozen=True, kw_only=True)
class Held:
    """What a process holds: memory in MiB, sockets, threads, completions in flight."""

    rss: float
    sockets: int
    threads: int
    in_flight: float


@dataclass(frozen=True, kw_only=True)
class Subject:
    """A sidecar's process, and where its doors and its metrics are."""

    process: SidecarProcess
    http_url: str
    address: str
    status_url: str

    @property
    def http(self) -> str:
        """Where its HTTP door is."""
        return self.http_url.removeprefix("http://").removesuffix("/v1")

    @property
    def alive(self) -> bool:
        """Whether it runs."""
        return self.process.process.returncode is None

    @property
    def rss(self) -> float:
        """Its memory, in MiB."""
        return _status(self.process.process.pid, "VmRSS") / 1024

    @property
    def sockets(self) -> int:
        """How many sockets it has open."""
        folder = Path(f"/proc/{self.process.process.pid}/fd")
        return sum(1 for each in folder.iterdir() if _target(each).startswith("socket:"))

    async def held(self) -> Held:
        """All that it holds."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.status_url}/metrics") as response:
            lines = (await response.text()).splitlines()
        in_flight = next(line for line in lines if line.startswith("pointsman_completions_in_flight "))
        return Held(
            rss=self.rss,
            sockets=self.sockets,
            threads=_status(self.process.process.pid, "Threads"),
            in_flight=float(in_flight.split()[1]),
        )


def _target(link: Path) -> str:
    try:
        return str(link.readlink())
    except OSError:
        return ""


def _status(pid: int, name: str) -> int:
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return int(next(line for line in lines if line.startswith(f"{name}:")).split()[1])


def said_by(process: asyncio.subprocess.Process) -> asyncio.StreamReader:
    """The standard output of a process that was started with a pipe for it."""
    if process.stdout is None:
        raise RuntimeError("the process was started without a pipe for its output")
    return process.stdout


@asynccontextmanager
async def stub_process() -> AsyncIterator[str]:
    """The stub provider as a process of its own: its base URL."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-c",
        "from pointsman_stub.main import main; main()",
        *("--model", "text-embedding-3-small"),
        stdout=asyncio.subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        line = await said_by(process).readline()
        yield line.decode().split()[-1]
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


@asynccontextmanager
async def subject(content: snapshot_pb2.Snapshot) -> AsyncIterator[Subject]:
    """A sidecar under a policy, which may call its providers."""
    async with running_operator() as operator, running_process(operator=operator.address) as process:
        connection = await operator.connection()
        access = [control_pb2.ProviderAccess(provider=each.name, api_key=_KEY) for each in content.providers]
        connection.send(access=control_pb2.AccessUpdate(providers=access))
        connection.send(snapshot=update(content))
        await connection.answer()
        yield Subject(
            process=process, http_url=process.http_url, address=process.address, status_url=process.status_url
        )


@asynccontextmanager
async def subjects(count: int) -> AsyncIterator[list[Subject]]:
    """So many sidecars alike. What asks for nothing goes to a provider of its own; severity High to a quiet one."""
    async with AsyncExitStack() as stack:
        quiet = await stack.enter_async_context(StubProvider.running())
        busy = await stack.enter_async_context(stub_process())
        content = snapshot(
            providers=[provider(base_url=busy), provider(name="quiet", base_url=quiet.base_url)],
            models=[mini(), flagship(provider="quiet"), embed()],
            routes=[severity_route()],
            fallbacks=(),
            allow_pinning=True,
        )
        yield [await stack.enter_async_context(subject(content)) for _ in range(count)]
