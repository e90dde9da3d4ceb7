"""The `pointsman-operator` command: the parts put together, and brought down again in order."""

import asyncio
import os
import signal
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import CancelledError
from datetime import UTC, datetime
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from pointsman_operator.logs import configure_logs
from pointsman_operator.push import ClaimedIdentity, Hub, HubMetrics, Identifier, NoIdentity, RelistError
from pointsman_operator.resources import Kind
from pointsman_operator.server import Server
from pointsman_operator.settings import Settings, SettingsError, read_settings
from pointsman_operator.status import StatusMetrics, StatusWriter
from pointsman_operator.telemetry import TelemetryServer
from pointsman_operator.watch import (
    Cluster,
    Connector,
    Keeper,
    KopfThread,
    NoConnectionError,
    WatchMetrics,
)
from pointsman_operator.watch.connection import SERVICE_ACCOUNT
from pointsman_operator.world import Change

log = structlog.get_logger(__name__)

_KOPF_ENDS_SECONDS = 2.0


class StartError(Exception):
    """The operator cannot start; the message is a sentence that says why."""


def main() -> None:
    """Run the operator until it is told to stop."""
    sys.exit(run(sys.argv[1:], environ=os.environ))


def run(arguments: Sequence[str], *, environ: Mapping[str, str]) -> int:
    """Run the operator until it is told to stop; return the exit code."""
    try:
        settings = read_settings(arguments, environ=environ, own_namespace_file=SERVICE_ACCOUNT / "namespace")
    except SettingsError as error:
        print(f"pointsman-operator: {error}", file=sys.stderr)  # noqa: T201 - before there are logs
        return 2
    configure_logs(settings.log_level)
    try:
        asyncio.run(_operate(settings))
    except (StartError, NoConnectionError) as error:
        print(f"pointsman-operator: {error}", file=sys.stderr)  # noqa: T201 - a sentence for people, no log line
        return 1
    except Exception:
        log.exception("the operator ends by a mistake of its own; please report it")
        return 1
    return 0


async def _operate(settings: Settings) -> None:
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    hub = Hub(secrets_namespace=settings.namespace, metrics=HubMetrics(registry))
    connector = Connector(kubeconfig=settings.kubeconfig, context=settings.context)
    async with Cluster(connector, secrets_namespace=settings.namespace) as cluster:
        keeper = Keeper(hub, cluster=cluster, metrics=WatchMetrics(registry))
        writer = StatusWriter(
            hub,
            client=cluster,
            observe=lambda kind, value: keeper.observe(kind, Change.WRITTEN, value),
            secrets_namespace=settings.namespace,
            now=lambda: datetime.now(UTC),
            metrics=StatusMetrics(registry),
        )
        kopf_thread = _kopf_thread(connector, keeper=keeper, loop=loop)
        telemetry = TelemetryServer(
            registry=registry,
            alive=lambda: None if kopf_thread.alive else "the thread that watches the cluster has ended",
            ready=lambda: None if hub.ready.is_set() else "the cluster has not been read yet",
        )
        server = Server(hub, identifier=_identifier(settings), relist=keeper.relist)
        try:
            addresses = await _listen(server, telemetry, settings=settings)
            kopf_thread.start()
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(keeper.run(interval=settings.relist_interval)),
                    tasks.create_task(keeper.follow_secrets()),
                    tasks.create_task(writer.run()),
                    tasks.create_task(_announce(hub, server, addresses)),
                ]
                await stopping.wait()
                log.info("stopping")
                for task in running:
                    task.cancel()
        finally:
            kopf_thread.stop()
            await server.stop()
            await telemetry.stop()
            await asyncio.to_thread(kopf_thread.join, _KOPF_ENDS_SECONDS)


def _identifier(settings: Settings) -> Identifier:
    if not settings.insecure_claimed_identity:
        return NoIdentity()
    log.warning("sidecars are believed without proof which pod they are in; this is for development only")
    return ClaimedIdentity()


async def _listen(server: Server, telemetry: TelemetryServer, *, settings: Settings) -> dict[str, str]:
    addresses = {}
    for name, start, wanted in (
        ("listen", server.start, settings.listen),
        ("metrics_listen", telemetry.start, settings.metrics_listen),
    ):
        try:
            addresses[name] = str(await start(wanted))
        except OSError as error:
            option = "--" + name.replace("_", "-")
            raise StartError(f"cannot listen on {wanted}: {error}; set another address with {option}") from error
    log.info("listening", **addresses)
    return addresses


async def _announce(hub: Hub, server: Server, addresses: Mapping[str, str]) -> None:
    await hub.ready.wait()
    await server.set_health(serving=True)
    log.info("ready", **addresses)


def _kopf_thread(connector: Connector, *, keeper: Keeper, loop: asyncio.AbstractEventLoop) -> KopfThread:
    def deliver(kind: Kind, change: Change | None, value: Mapping[str, Any]) -> None:
        loop.call_soon_threadsafe(keeper.observe, kind, change or Change.WRITTEN, value)
        if change is None:
            loop.call_soon_threadsafe(keeper.relist_soon)

    def prepare() -> bool:
        try:
            asyncio.run_coroutine_threadsafe(keeper.relist(), loop).result()
        except (RelistError, CancelledError):
            return False
        return True

    return KopfThread(connector, deliver=deliver, prepare=prepare)
