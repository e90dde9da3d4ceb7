"""Both planes in one process: the operator's hub fed from files, and a sidecar that follows it."""

import asyncio
import random
import signal
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import grpc
import structlog
from watchfiles import awatch

from pointsman.ledgers import Ledger, ledger_for
from pointsman.tunings import FileTunings
from pointsman.worlds import OPERATOR_NAMESPACE, Pod
from pointsman_api.v1 import control_pb2, control_pb2_grpc, quota_pb2_grpc
from pointsman_operator.push import ClaimedIdentity, ControlService, Hub, HubMetrics
from pointsman_operator.quotas import RedisEndpoint
from pointsman_operator.tuning import TuningKeeper, TuningMetrics
from pointsman_operator.world import World
from pointsman_sidecar.confidence.calibration import Calibration
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.control.stream import Backoff, ControlStream
from pointsman_sidecar.doors.reading import take_short_turns
from pointsman_sidecar.serving import Served, new_counting, serving
from pointsman_sidecar.settings import Address
from pointsman_sidecar.spending.exchange import Exchange
from pointsman_sidecar.spending.opening import open_purse
from pointsman_sidecar.spending.purse import Purse
from pointsman_sidecar.telemetry.metrics import Metrics

_GRACE = 5.0
# A save is often several writes: wait for them to end, and still be quicker than the eye.
_SETTLE_MS = 200
_STEP_MS = 50
# What the watch does not see is found this late: the target of a link, a folder that the library passes over, a file
# system that tells of no change.
_LOOK_MS = 2_000


class SocketError(Exception):
    """The two planes cannot meet on a socket. The text says what to do."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Standalone:
    """What a standalone process is told."""

    files: tuple[Path, ...]
    pod: Pod
    listen: Address
    http_listen: Address
    status_listen: Address
    state_folder: Path | None
    redis: RedisEndpoint | None
    calibration: Calibration | None
    environment: Mapping[str, str]


async def serve(
    settings: Standalone,
    *,
    world: World,
    reload: Callable[[], World | None],
    announce: Callable[[Served], None],
    log: structlog.stdlib.BoundLogger,
) -> None:
    """Serve until SIGTERM or SIGINT. `reload` reads the files again and gives None where they hold mistakes.

    Raises:
        AddressInUseError, StatusPageError: an address cannot be bound.
        SocketError: there can be no socket in the folder for temporary files.
        StateFolderError: nothing can be kept in the folder for state.
    """
    take_short_turns()
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(metrics.registry))
    hub.update(world)
    ledger = ledger_for(
        hub,
        folder=settings.state_folder,
        redis=settings.redis,
        namespace=settings.pod.namespace,
        registry=metrics.registry,
    )
    tuner = TuningKeeper(
        hub,
        store=FileTunings(settings.state_folder),
        now=time.time,
        clock=time.monotonic,
        metrics=TuningMetrics(metrics.registry),
    )
    # The ledger outlives the sidecar, which gives back at its end what it holds.
    async with (
        ledger.kept() as keeping,
        _control_plane(hub, ledger) as operator,
        _sidecar(settings, operator=operator, journal=ledger.journal, metrics=metrics, log=log) as sidecar,
    ):
        # Not before all addresses are bound: until then a refusal is all that is to be said.
        ledger.keeper.begin()
        tuner.begin()
        tuning = asyncio.create_task(tuner.run(), name="tuning")
        tasks = [
            keeping,
            *sidecar.tasks,
            tuning,
            asyncio.create_task(_follow(settings.files, stop=stop, reload=reload, hub=hub), name="files"),
        ]
        stopping = asyncio.create_task(stop.wait(), name="stop signal")
        informed = asyncio.create_task(sidecar.informed(), name="first policy")
        try:
            await asyncio.wait({*tasks, stopping, informed}, return_when=asyncio.FIRST_COMPLETED)
            if informed.done():
                announce(sidecar.served)
            await asyncio.wait({*tasks, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                if task.done():
                    await task
        finally:
            own = (tuning, tasks[-1], stopping, informed)
            for each in own:
                each.cancel()
            await asyncio.gather(*own, return_exceptions=True)


@asynccontextmanager
async def standing(settings: Standalone, *, world: World, log: structlog.stdlib.BoundLogger) -> AsyncIterator[Served]:
    """Serve a world that stays as it is, until the context is left. It is entered when the first policy is in force.

    Raises:
        AddressInUseError, StatusPageError, SocketError: as of `serve`.
    """
    take_short_turns()
    metrics = Metrics()
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(metrics.registry))
    hub.update(world)
    ledger = ledger_for(hub, folder=None, redis=None, namespace=settings.pod.namespace, registry=metrics.registry)
    async with (
        ledger.kept() as keeping,
        _control_plane(hub, ledger) as operator,
        _sidecar(settings, operator=operator, journal=None, metrics=metrics, log=log) as sidecar,
    ):
        ledger.keeper.begin()
        informed = asyncio.create_task(sidecar.informed(), name="first policy")
        try:
            await asyncio.wait({informed, keeping, *sidecar.tasks}, return_when=asyncio.FIRST_COMPLETED)
            for task in (keeping, *sidecar.tasks):
                if task.done():
                    await task
            yield sidecar.served
        finally:
            informed.cancel()
            await asyncio.gather(informed, return_exceptions=True)


@dataclass(frozen=True, kw_only=True, slots=True)
class _Sidecar:
    """A sidecar that serves, and what it does beside that."""

    served: Served
    tasks: tuple[asyncio.Task[None], ...]
    control: ControlStream
    purse: Purse

    async def informed(self) -> None:
        """Wait until it knows its policy and its budgets."""
        await self.control.informed.wait()
        await self.purse.told.wait()


@asynccontextmanager
async def _sidecar(
    settings: Standalone,
    *,
    operator: str,
    journal: Path | None,
    metrics: Metrics,
    log: structlog.stdlib.BoundLogger,
) -> AsyncIterator[_Sidecar]:
    in_force = InForce(calibration=settings.calibration)
    counting = new_counting()
    pod = settings.pod
    identity = control_pb2.ClaimedIdentity(namespace=pod.namespace, pod=pod.name, labels=dict(pod.labels))
    control = ControlStream(
        operator=operator,
        identity=identity,
        in_force=in_force,
        store=None,
        counting=counting,
        metrics=metrics,
        log=log,
        backoff=Backoff(random=random.random),
        clock=time.monotonic,
    )
    purse = open_purse(journal, log=log)
    metrics.watch_quotas(purse.standing)
    exchange = Exchange(
        operator=operator,
        identity=identity,
        tls=None,
        purse=purse,
        metrics=metrics,
        log=log,
        backoff=Backoff(random=random.random),
        clock=time.monotonic,
    )
    async with (
        exchange.closing(),
        serving(
            in_force=in_force,
            metrics=metrics,
            listen=settings.listen,
            http_listen=settings.http_listen,
            status_listen=settings.status_listen,
            environment=settings.environment,
            grace=_GRACE,
            log=log,
            counting=counting,
            purse=purse,
        ) as served,
    ):
        following = asyncio.create_task(control.run(), name="control stream")
        try:
            yield _Sidecar(served=served, tasks=(following, *exchange.start()), control=control, purse=purse)
        finally:
            following.cancel()
            await asyncio.gather(following, return_exceptions=True)


@asynccontextmanager
async def _control_plane(hub: Hub, ledger: Ledger) -> AsyncIterator[str]:
    """Serve the hub on a socket that only this user can reach: credentials go over it, and no identity is proven."""

    async def nothing_to_list() -> None:
        """Files are read when they change, and hold all that there is."""

    with tempfile.TemporaryDirectory(prefix="pointsman-") as folder:
        address = f"unix:{folder}/control.sock"
        server = grpc.aio.server()
        identifier = ClaimedIdentity()
        service = ControlService(hub, identifier=identifier, relist=nothing_to_list)
        quotas = ledger.service(hub, identifier=identifier)
        control_pb2_grpc.add_ControlServicer_to_server(service, server)
        quota_pb2_grpc.add_QuotasServicer_to_server(quotas, server)
        try:
            server.add_insecure_port(address)
        except RuntimeError as error:
            raise SocketError(
                f"cannot make a socket in {folder}: set TMPDIR to a folder with a short path of plain characters"
            ) from error
        await server.start()
        try:
            yield address
        finally:
            service.close()
            quotas.close()
            await server.stop(grace=1)


async def _follow(
    files: tuple[Path, ...], *, stop: asyncio.Event, reload: Callable[[], World | None], hub: Hub
) -> None:
    # The folders are watched, since editors and ConfigMap mounts replace files rather than write into them.
    folders = {(path if path.is_dir() else path.parent).resolve() for path in files}
    with suppress(asyncio.CancelledError):
        async for _ in awatch(
            *folders,
            debounce=_SETTLE_MS,
            step=_STEP_MS,
            rust_timeout=_LOOK_MS,
            yield_on_timeout=True,
            stop_event=stop,
            recursive=False,
        ):
            world = await asyncio.to_thread(reload)
            if world is not None:
                hub.update(world)
