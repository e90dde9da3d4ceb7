"""What is measured, and how each of it is started."""

import asyncio
import json
import os
import socket
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pointsman_api.v1 import control_pb2, snapshot_pb2
from speed.grpc_load import METADATA
from speed.policies import HEAVY_METADATA, default_policy, heavy_policy
from speed.processes import program
from speed.results import BARE
from support.operators import Connection, FakeOperator, running_operator
from support.snapshots import update

_KEY = "sk-of-this-bench"
_PATIENCE = 120.0


class NotStartedError(Exception):
    """A system did not start. The text says which, and where its log is."""


@dataclass(frozen=True, kw_only=True)
class Door:
    """Where a system is asked, and how."""

    url: str
    model: str
    headers: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class Running:
    """A system that was started: its doors by name, its process, and when it was started by the event loop's clock."""

    process: Process
    started: float
    doors: Mapping[str, Door]


@dataclass(frozen=True, kw_only=True)
class System:
    """Something to measure. `start` gives it running, though perhaps not ready yet. `peer` says whose it is."""

    name: str
    start: Callable[[], AbstractAsyncContextManager[Running]]
    peer: bool


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """Where things are: the canned provider's base URL, the collector's endpoint, and a folder for files."""

    provider: str
    collector: str
    folder: Path


def sidecars(around: Surroundings) -> list[System]:
    """Ours: under a default policy, and under a heavy one."""
    return [
        System(name="Pointsman", start=lambda: _sidecar(around, default_policy(around.provider), "", {}), peer=False),
        System(
            name="Pointsman, heavy policy",
            start=lambda: _sidecar(
                around, heavy_policy(around.provider), "heavy", {METADATA: json.dumps(HEAVY_METADATA)}
            ),
            peer=False,
        ),
    ]


def bare_relay(around: Surroundings) -> System:
    """The same libraries as ours, with nothing of ours between them."""
    return System(name=BARE, start=lambda: _relay(around), peer=False)


def gateways(around: Surroundings, where: Mapping[str, Path]) -> list[System]:
    """The peers, each with as little on as it can be: no key store, no database, no log of requests."""
    return [
        System(name="LiteLLM proxy", start=lambda: _litellm(around, where["litellm"]), peer=True),
        System(name="Portkey gateway", start=lambda: _portkey(around, where["portkey"]), peer=True),
        System(name="TensorZero gateway", start=lambda: _tensorzero(around, where["tensorzero"]), peer=True),
    ]


@asynccontextmanager
async def _sidecar(
    around: Surroundings, policy: snapshot_pb2.Snapshot, name: str, headers: dict[str, str]
) -> AsyncIterator[Running]:
    grpc_port, http_port, status_port = _free_port(), _free_port(), _free_port()
    environment = {
        "PATH": os.environ["PATH"],
        "OTEL_EXPORTER_OTLP_ENDPOINT": around.collector,
        "HOSTNAME": "web-1",
    }
    log = (around.folder / f"sidecar{name}.log").open("wb")
    async with running_operator() as operator:
        command = [
            *(sys.executable, "-m", "pointsman_sidecar", "--operator", operator.address, "--namespace", "shop"),
            *("--listen", f"127.0.0.1:{grpc_port}", "--http-listen", f"127.0.0.1:{http_port}"),
            *("--status-listen", f"127.0.0.1:{status_port}"),
        ]
        started = asyncio.get_running_loop().time()
        with log:
            async with program(command, environment=environment, log=log) as process:
                connection = await _connected(operator, process, Path(log.name))
                connection.send(
                    access=control_pb2.AccessUpdate(
                        providers=[control_pb2.ProviderAccess(provider="openai", api_key=_KEY)]
                    )
                )
                connection.send(snapshot=update(policy))
                yield Running(
                    process=process,
                    started=started,
                    doors={
                        "HTTP": Door(
                            url=f"http://127.0.0.1:{http_port}/v1/chat/completions", model="auto", headers=headers
                        ),
                        "gRPC": Door(url=f"grpc://127.0.0.1:{grpc_port}", model="", headers=headers),
                    },
                )


async def _connected(operator: FakeOperator, process: Process, log: Path) -> Connection:
    ended = asyncio.create_task(process.wait())
    coming = asyncio.create_task(operator.opened.get())
    try:
        await asyncio.wait({ended, coming}, timeout=_PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not coming.done():
            raise NotStartedError(f"the sidecar did not start: see {log}")
        return coming.result()
    finally:
        ended.cancel()
        coming.cancel()


@asynccontextmanager
async def _relay(around: Surroundings) -> AsyncIterator[Running]:
    environment = {**_plain(), "PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "speed.relay", around.provider]
    started = asyncio.get_running_loop().time()
    with (around.folder / "relay.log").open("wb") as log:
        async with program(command, environment=environment, output=PIPE, log=log) as process:
            http_port, grpc_port = (await _said(process, "the bare relay", Path(log.name))).split()
            yield Running(
                process=process,
                started=started,
                doors={
                    "HTTP": Door(url=f"http://127.0.0.1:{http_port}/v1/chat/completions", model="auto"),
                    "gRPC": Door(url=f"grpc://127.0.0.1:{grpc_port}", model=""),
                },
            )


@asynccontextmanager
async def _litellm(around: Surroundings, where: Path) -> AsyncIterator[Running]:
    config = around.folder / "litellm.yaml"
    config.write_text(
        "model_list:\n- model_name: mini\n  litellm_params:\n    model: openai/gpt-4o-mini\n"
        f"    api_base: {around.provider}\n    api_key: {_KEY}\nlitellm_settings:\n  telemetry: false\n"
    )
    port = _free_port()
    command = [str(where / "bin" / "litellm"), "--config", str(config), "--host", "127.0.0.1", "--port", str(port)]
    environment = {
        "LITELLM_LOCAL_MODEL_COST_MAP": "True",
        "LITELLM_LOG": "ERROR",
        # Without a key to check, it does less.
        "LITELLM_DANGEROUSLY_PERMIT_WEAK_OR_UNSET_MASTER_KEY": "true",
    }
    async with _gateway(around, "litellm", command, environment) as (process, started):
        door = Door(url=f"http://127.0.0.1:{port}/v1/chat/completions", model="mini")
        yield Running(process=process, started=started, doors={"HTTP": door})


@asynccontextmanager
async def _portkey(around: Surroundings, where: Path) -> AsyncIterator[Running]:
    port = _free_port()
    script = where / "node_modules" / "@portkey-ai" / "gateway" / "build" / "start-server.js"
    command = ["node", str(script), f"--port={port}", "--headless"]
    environment = {"NODE_ENV": "production", "TRUSTED_CUSTOM_HOSTS": "127.0.0.1,localhost"}
    async with _gateway(around, "portkey", command, environment) as (process, started):
        door = Door(
            url=f"http://127.0.0.1:{port}/v1/chat/completions",
            model="gpt-4o-mini",
            headers={"x-portkey-provider": "openai", "x-portkey-custom-host": around.provider},
        )
        yield Running(process=process, started=started, doors={"HTTP": door})


# The gateway in the Python package is started by a function of its module, and lives as long as what it gives.
_TENSORZERO = """
import os, sys, threading
told = os.fdopen(os.dup(1), "w")
os.dup2(2, 1)  # it logs there
import tensorzero
gateway = tensorzero._start_http_gateway(
    config_file=sys.argv[1], clickhouse_url=None, postgres_url=None, valkey_url=None, async_setup=False
)
print(gateway.base_url, file=told, flush=True)
threading.Event().wait()
"""


@asynccontextmanager
async def _tensorzero(around: Surroundings, where: Path) -> AsyncIterator[Running]:
    config = around.folder / "tensorzero.toml"
    config.write_text(
        '[gateway]\nobservability.enabled = false\n[models.mini]\nrouting = ["canned"]\n'
        "[models.mini.providers.canned]\n"
        f'type = "openai"\nmodel_name = "gpt-4o-mini"\napi_base = "{around.provider}/"\n'
    )
    command = [str(where / "bin" / "python"), "-c", _TENSORZERO, str(config)]
    environment = {**_plain(), "OPENAI_API_KEY": _KEY}
    started = asyncio.get_running_loop().time()
    with (around.folder / "tensorzero.log").open("wb") as log:
        async with program(command, environment=environment, output=PIPE, log=log) as process:
            base_url = await _said(process, "TensorZero's gateway", Path(log.name))
            door = Door(url=f"{base_url}/chat/completions", model="tensorzero::model_name::mini")
            yield Running(process=process, started=started, doors={"HTTP": door})


@asynccontextmanager
async def _gateway(
    around: Surroundings, name: str, command: list[str], environment: dict[str, str]
) -> AsyncIterator[tuple[Process, float]]:
    started = asyncio.get_running_loop().time()
    with (around.folder / f"{name}.log").open("wb") as log:
        async with program(command, environment={**_plain(), **environment}, output=log.fileno(), log=log) as process:
            yield process, started


@asynccontextmanager
async def surroundings(folder: Path) -> AsyncIterator[Surroundings]:
    """The provider and the collector, each a process of its own."""
    environment = {**_plain(), "PYTHONPATH": os.pathsep.join(sys.path)}
    async with (
        program([sys.executable, "-m", "speed.canned"], environment=environment, output=PIPE) as canned,
        program([sys.executable, "-m", "speed.collector"], environment=environment, output=PIPE) as collector,
    ):
        yield Surroundings(
            provider=f"http://127.0.0.1:{await _said(canned, 'the canned provider', folder)}/v1",
            collector=f"http://127.0.0.1:{await _said(collector, 'the collector', folder)}",
            folder=folder,
        )


async def _said(process: Process, who: str, log: Path) -> str:
    assert process.stdout is not None  # noqa: S101 - it was asked for
    async with asyncio.timeout(_PATIENCE):
        line = (await process.stdout.readline()).decode().strip()
    if not line:
        raise NotStartedError(f"{who} did not start: see {log}")
    return line


def _plain() -> dict[str, str]:
    # Nothing of the caller's own settings, proxies and keys among them.
    return {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}


def _free_port() -> int:
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        port: int = found.getsockname()[1]
        return port
