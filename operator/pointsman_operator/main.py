"""The `pointsman-operator` command: the parts put together, and brought down again in order."""

import asyncio
import os
import signal
import socket
import sys
import time
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from concurrent.futures import CancelledError
from typing import Any

import structlog
from prometheus_client import CollectorRegistry, PlatformCollector, ProcessCollector

from pointsman_operator import garbage, ledger_command, security
from pointsman_operator.budgeting import OWN_KEYS, budgeting
from pointsman_operator.compile import quota_of
from pointsman_operator.identity import IdentityMetrics
from pointsman_operator.logs import configure_logs
from pointsman_operator.push import Hub, HubMetrics, RelistError
from pointsman_operator.replicas import Fleet, drain
from pointsman_operator.replication import ReplicationError, replicated
from pointsman_operator.resources import Kind
from pointsman_operator.server import Server
from pointsman_operator.settings import Address, Settings, SettingsError, own_namespace, read_settings
from pointsman_operator.telemetry import TelemetryServer
from pointsman_operator.tls import CertificateError, ServingCertificates
from pointsman_operator.tuning import TuningKeeper, TuningMetrics
from pointsman_operator.watch import (
    Cluster,
    Connector,
    Keeper,
    KopfThread,
    NoConnectionError,
    OwnTunings,
    WatchMetrics,
)
from pointsman_operator.watch.connection import SERVICE_ACCOUNT
from pointsman_operator.webhooks import Webhooks, census, scan_for, webhooks
from pointsman_operator.world import Change
from pointsman_operator.writers import writers

log = structlog.get_logger(__name__)

_KOPF_ENDS_SECONDS = 2.0


class StartError(Exception):
    """The operator cannot start; the message is a sentence that says why."""


def main() -> None:
    """Run the operator until it is told to stop."""
    sys.exit(run(sys.argv[1:], environ=os.environ))


def run(arguments: Sequence[str], *, environ: Mapping[str, str]) -> int:
    """Run the operator until it is told to stop, or another command of its; return the exit code."""
    if arguments[:1] == ["ledger"]:
        configure_logs("warning")
        namespace = own_namespace(SERVICE_ACCOUNT / "namespace")
        return ledger_command.run(arguments[1:], environ=environ, namespace=namespace, given=sys.stdin, told=sys.stdout)
    try:
        settings = read_settings(arguments, environ=environ, own_namespace_file=SERVICE_ACCOUNT / "namespace")
    except SettingsError as error:
        print(f"pointsman-operator: {error}", file=sys.stderr)  # noqa: T201 - before there are logs
        return 2
    configure_logs(settings.log_level)
    garbage.look_seldom()
    try:
        asyncio.run(_operate(settings))
    except (StartError, NoConnectionError, CertificateError, ReplicationError) as error:
        print(f"pointsman-operator: {error}", file=sys.stderr)  # noqa: T201 - a sentence for people, no log line
        return 1
    except Exception:
        log.exception("the operator ends by a mistake of its own; please report it")
        return 1
    return 0


async def _operate(settings: Settings) -> None:
    stopping, loop = asyncio.Event(), asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stopping.set)
    registry = _registry()
    hub = Hub(secrets_namespace=settings.namespace, metrics=HubMetrics(registry))
    connector = Connector(kubeconfig=settings.kubeconfig, context=settings.context)
    async with Cluster(connector, secrets_namespace=settings.namespace) as cluster:
        proven = not settings.insecure_claimed_identity
        certified = proven or settings.webhooks is not None
        addresses: dict[str, str] = {}
        fleet = Fleet(hub, clock=time.monotonic)
        keeper = Keeper(hub, cluster=cluster, metrics=WatchMetrics(registry), pods=proven, own=OWN_KEYS)
        asked = census(settings, hub=hub, registry=registry)
        budgets = budgeting(
            settings,
            hub=hub,
            cluster=cluster,
            moved=lambda names: written.quotas.look_at(key for name in names if (key := quota_of(name)) is not None),
            opened=lambda: written.quotas.begin(),  # noqa: PLW0108 - made below, of the ledger
            registry=registry,
        )
        tuner = TuningKeeper(
            hub,
            store=OwnTunings(cluster, namespace=settings.namespace, pace=budgets.pace),
            now=time.time,
            clock=time.monotonic,
            metrics=TuningMetrics(registry),
            shows=lambda policy: written.statuses.sidecars_changed([policy.namespace]),
        )
        written = writers(
            settings,
            hub=hub,
            fleet=fleet,
            cluster=cluster,
            keeper=keeper,
            census=asked,
            tuned=tuner.shown,
            ledger=budgets.keeper,
            instance=settings.replicas.name if settings.replicas else socket.gethostname(),
            kept=tuner.state,
            registry=registry,
        )
        serving = ServingCertificates()
        certificates = security.certificates(settings, serving=serving, hub=hub, cluster=cluster)
        identity_metrics = IdentityMetrics(registry)
        identifier, presence = security.identity(settings, hub=hub, cluster=cluster, metrics=identity_metrics)
        replication = replicated(
            settings,
            hub=hub,
            fleet=fleet,
            writers=written,
            cluster=cluster,
            serving=serving,
            identity_metrics=identity_metrics,
            binding=budgets.binding,
            keeper=budgets.keeper,
            router=budgets.router,
            tuner=tuner,
            registry=registry,
        )
        scan = scan_for(asked, hub=hub, cluster=cluster, writer=written.statuses, replication=replication)
        admission = (
            webhooks(settings.webhooks, certificates=serving, hub=hub, cluster=cluster, registry=registry)
            if settings.webhooks
            else None
        )
        kopf_thread = _kopf_thread(connector, keeper=keeper, loop=loop, pods=proven)
        telemetry = TelemetryServer(
            registry=registry,
            alive=lambda: None if kopf_thread.alive else "the thread that watches the cluster has ended",
            ready=lambda: "stopping" if stopping.is_set() else _unready(hub, addresses, admission),
        )
        server = Server(
            hub,
            identifier=identifier,
            relist=keeper.relist,
            quotas=budgets.service(hub, identifier=identifier),
            replicas=replication.service if replication else None,
            ledger=replication.ledger if replication else None,
        )
        try:
            addresses["metrics_listen"] = await _listen("metrics-listen", settings.metrics_listen, telemetry.start)
            kopf_thread.start()
            if certified and not await _unless(stopping, certificates.start()):
                return
            credentials = serving.grpc_credentials() if proven else None
            addresses["listen"] = await _listen(
                "listen", settings.listen, lambda address: server.start(address, credentials=credentials)
            )
            if settings.webhooks and admission:
                addresses["webhook_listen"] = await _listen(
                    "webhook-listen", settings.webhooks.listen, admission.server.start
                )
            log.info("listening", **addresses)
            async with asyncio.TaskGroup() as tasks:
                running = [
                    tasks.create_task(keeper.run(interval=settings.relist_interval)),
                    tasks.create_task(keeper.follow_secrets()),
                    tasks.create_task(written.statuses.run()),
                    tasks.create_task(written.quotas.run()),
                    tasks.create_task(budgets.keeper.run()),
                    tasks.create_task(budgets.user_key.run()),
                    tasks.create_task(tuner.run()),
                    tasks.create_task(_announce(hub, server, addresses)),
                    *([tasks.create_task(certificates.run())] if certified else []),
                    *([tasks.create_task(scan.run(interval=settings.relist_interval))] if scan else []),
                    *([tasks.create_task(presence.run())] if presence else []),
                    *([tasks.create_task(replication.run())] if replication else []),
                    *([tasks.create_task(admission.ca_bundles.run())] if admission else []),
                ]
                await stopping.wait()
                log.info("stopping")
                if replication:
                    await replication.release()
                await drain(hub, seconds=settings.drain.total_seconds())
                for task in running:
                    task.cancel()
        finally:
            kopf_thread.stop()
            if admission:
                await admission.server.stop()
            await server.stop()
            await telemetry.stop()
            await asyncio.to_thread(kopf_thread.join, _KOPF_ENDS_SECONDS)


def _registry() -> CollectorRegistry:
    registry = CollectorRegistry()
    ProcessCollector(registry=registry)
    PlatformCollector(registry=registry)
    return registry


def _unready(hub: Hub, addresses: Mapping[str, str], admission: Webhooks | None) -> str | None:
    if not hub.ready.is_set():
        return "the cluster has not been read yet"
    if "listen" not in addresses:
        return "sidecars are not served yet: there is no certificate"
    return admission.server.problem() if admission else None


async def _unless(stopping: asyncio.Event, work: Coroutine[Any, Any, None]) -> bool:
    """Do this first, unless we are to stop; whether it is done."""
    done, stopped = asyncio.create_task(work), asyncio.create_task(stopping.wait())
    try:
        await asyncio.wait((done, stopped), return_when=asyncio.FIRST_COMPLETED)
    finally:
        done.cancel()
        stopped.cancel()
    if done.done():
        done.result()
    return done.done()


async def _listen(option: str, wanted: Address, start: Callable[[Address], Awaitable[Address]]) -> str:
    try:
        return str(await start(wanted))
    except OSError as error:
        raise StartError(f"cannot listen on {wanted}: {error}; set another address with --{option}") from error


async def _announce(hub: Hub, server: Server, addresses: Mapping[str, str]) -> None:
    await hub.ready.wait()
    garbage.spare_what_is_there()
    await server.set_health(serving=True)
    log.info("ready", **addresses)


def _kopf_thread(connector: Connector, *, keeper: Keeper, loop: asyncio.AbstractEventLoop, pods: bool) -> KopfThread:
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

    return KopfThread(connector, deliver=deliver, prepare=prepare, pods=pods)
