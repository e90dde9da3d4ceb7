"""The operator and the programs of the bench, as processes; each is stopped when its block ends."""

import asyncio
import base64
import json
import os
import resource
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from cluster.charts.rights import rights
from cluster.harness.apiserver import free_ports
from cluster.harness.cluster import Cluster
from cluster.harness.processes import Process
from measuring.processes import Usage, usage

SYSTEM = "pointsman-system"
READY_WITHIN = 300.0
POLL = 0.05
_FILES = 16_384  # two for each connection on this machine


class ProgramError(Exception):
    """A process of the bench, or the operator, ended before its time; the message says which."""


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A running operator."""

    process: Process
    metrics_url: str
    address: str
    webhook_port: int
    started: float

    def usage(self) -> Usage:
        """What it has used so far."""
        return usage(self.process.pid)

    async def ready(self) -> float:
        """Wait until /readyz says so; the seconds since it was started."""
        async with aiohttp.ClientSession() as session:
            while time.monotonic() - self.started < READY_WITHIN:
                try:
                    async with session.get(f"{self.metrics_url}/readyz") as response:
                        if response.status == 200:  # noqa: PLR2004 - HTTP's own
                            return time.monotonic() - self.started
                except aiohttp.ClientError:
                    pass
                if (code := self.process.exit_code()) is not None:
                    raise ProgramError(f"the operator ended with {code}. {self.process.end_of_log()}")
                await asyncio.sleep(POLL)
        raise TimeoutError(f"the operator was not ready within {READY_WITHIN:g} s. {self.process.end_of_log()}")

    async def counted(self, name: str, **labels: str) -> float:
        """A number of its /metrics; 0 where there is none yet."""
        return total(await self.samples(), name, **labels)

    async def samples(self) -> list[Sample]:
        """All numbers of its /metrics."""
        async with aiohttp.ClientSession() as session, session.get(f"{self.metrics_url}/metrics") as response:
            text = await response.text()
        return [sample for family in text_string_to_metric_families(text) for sample in family.samples]

    async def quiet(self, name: str, *, seconds: float = 3.0, **labels: str) -> None:
        """Wait until a counter has stood still for so long."""
        value, since = -1.0, time.monotonic()
        while time.monotonic() - since < seconds:
            await asyncio.sleep(seconds / 3)
            if (fresh := await self.counted(name, **labels)) != value:
                value, since = fresh, time.monotonic()


def total(samples: Sequence[Sample], name: str, **labels: str) -> float:
    """The sum of the samples of this name that have these labels."""
    return sum(each.value for each in samples if each.name == name and labels.items() <= each.labels.items())


async def until(condition: Callable[[], Awaitable[bool]], *, every: float = POLL) -> None:
    """Look until the condition holds; other processes tell us nothing by themselves."""
    while not await condition():  # noqa: ASYNC110 - as said
        await asyncio.sleep(every)


@contextmanager
def operator(kubeconfig: Path, *, folder: Path, proven: bool) -> Iterator[Operator]:
    """An operator with the chart's rights and all that it serves; listed only once, so that nothing disturbs."""
    metrics, listen, webhook = free_ports(3)
    started = time.monotonic()
    log = folder / f"operator-{len(list(folder.glob('operator-*.log')))}.log"
    options = [
        *(f"--kubeconfig={kubeconfig}", f"--namespace={SYSTEM}", f"--listen=127.0.0.1:{listen}"),
        *(f"--metrics-listen=127.0.0.1:{metrics}", f"--webhook-listen=127.0.0.1:{webhook}"),
        *("--sidecar-image=registry.example/sidecar:1", f"--sidecar-operator=pointsman-operator.{SYSTEM}.svc:9443"),
        *("--relist-interval=3600", "--log-level=warning"),
        *(() if proven else ("--insecure-claimed-identity",)),
    ]
    process = python("pointsman-operator", "-m", "pointsman_operator", *options, log=log)
    try:
        yield Operator(
            process=process,
            metrics_url=f"http://127.0.0.1:{metrics}",
            address=f"127.0.0.1:{listen}",
            webhook_port=webhook,
            started=started,
        )
    finally:
        process.stop()


def prepared(cluster: Cluster) -> Path:
    """Give the operator its namespace, its account and its rights; its kubeconfig."""
    cluster.kubectl("create", "namespace", SYSTEM)
    kubeconfig = cluster.kubeconfig_for("operator", namespace=SYSTEM)
    cluster.apply(rights(namespace=SYSTEM))
    return kubeconfig


def authority(cluster: Cluster) -> str:
    """The CA that the operator made."""
    secret = json.loads(cluster.kubectl("get", "secret", "pointsman-ca", "-n", SYSTEM, "-o", "json").stdout)
    return base64.b64decode(secret["data"]["ca.crt"]).decode()


def python(name: str, *arguments: str, log: Path) -> Process:
    """A Python process with our import path."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    return Process(name, [sys.executable, *arguments], log=log, env=environment)


def allow_files() -> None:
    """Have this process and those that it starts open enough files."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _FILES if hard == resource.RLIM_INFINITY else min(_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


class Program:
    """One of the bench's own programs, spoken to line by line."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @property
    def pid(self) -> int:
        """Its process's id."""
        return self._process.pid

    async def ask(self, line: str) -> str:
        """Send a line, and return the one that it answers."""
        self.tell(line)
        return await self.said()

    def tell(self, line: str) -> None:
        """Send a line."""
        if self._process.stdin is None:
            raise ProgramError("a program without standard input")
        self._process.stdin.write(f"{line}\n".encode())

    async def said(self) -> str:
        """The next line that it says."""
        if self._process.stdout is None:
            raise ProgramError("a program without standard output")
        if not (line := await self._process.stdout.readline()):
            raise ProgramError(f"a program of the bench ended with {await self._process.wait()}; see its error above")
        return line.decode()

    async def order(self, do: str, **what: Any) -> dict[str, Any]:
        """Have it do something, and return what came of it."""
        answer: dict[str, Any] = json.loads(await self.ask(json.dumps({"do": do, **what})))
        return answer


@asynccontextmanager
async def programs(count: int, module: str, *arguments: str) -> AsyncIterator[Sequence[Program]]:
    """So many processes of one of a bench's programs; gone at the end of the block, or of this process."""
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path), "GRPC_VERBOSITY": "NONE"}
    pipe = asyncio.subprocess.PIPE
    started = []
    try:
        for _ in range(count):
            process = await asyncio.create_subprocess_exec(
                *(sys.executable, "-m", module, *arguments),
                stdin=pipe,
                stdout=pipe,
                env=environment,
                limit=64 * 1024 * 1024,
            )
            started.append(process)
        yield [Program(process) for process in started]
    finally:
        for process in started:
            if process.returncode is None:
                process.kill()
        for process in started:
            await process.wait()
