"""`pointsman-sidecar`: the process in an app's pod."""

import asyncio
import gc
import os
import random
import signal
import sys
import time

import structlog

from pointsman_api.v1 import control_pb2
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.control.store import SnapshotStore
from pointsman_sidecar.control.stream import Backoff, ControlStream
from pointsman_sidecar.control.trust import OperatorTls, Trust
from pointsman_sidecar.doors.known_errors import AddressInUseError
from pointsman_sidecar.doors.reading import take_short_turns
from pointsman_sidecar.doors.status_page import StatusPageError
from pointsman_sidecar.serving import new_counting, serving
from pointsman_sidecar.settings import Settings, SettingsError, parse
from pointsman_sidecar.spending.exchange import Exchange
from pointsman_sidecar.spending.opening import open_purse
from pointsman_sidecar.telemetry import logs
from pointsman_sidecar.telemetry.metrics import Metrics

_USAGE = 2
# Each request makes objects that refer to each other: what is looked through for them is kept small, and seldom.
_OBJECTS_BEFORE_A_LOOK = 10_000


def main() -> None:
    """Run until SIGTERM or SIGINT. Exits with 2 and a sentence where the settings are wrong."""
    try:
        settings = parse(sys.argv[1:], os.environ)
        logs.configure(settings.log_level)
        take_short_turns()
        gc.set_threshold(_OBJECTS_BEFORE_A_LOOK)
        asyncio.run(_run(settings))
    except (SettingsError, AddressInUseError, StatusPageError) as error:
        print(f"pointsman-sidecar: {error}", file=sys.stderr)  # noqa: T201 - for the person who started it
        sys.exit(_USAGE)


async def _run(settings: Settings) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    log: structlog.stdlib.BoundLogger = structlog.get_logger("pointsman.sidecar")
    metrics = Metrics()
    in_force = InForce()
    counting = new_counting()
    tls = _tls(settings)
    control = ControlStream(
        operator=settings.operator,
        identity=_identity(settings),
        tls=tls,
        in_force=in_force,
        store=SnapshotStore(settings.state_dir) if settings.state_dir else None,
        counting=counting,
        metrics=metrics,
        log=log,
        backoff=Backoff(random=random.random),
        clock=time.monotonic,
    )
    control.restore()
    purse = open_purse(settings.state_dir, log=log)
    metrics.watch_quotas(purse.standing)
    exchange = Exchange(
        operator=settings.operator,
        identity=_identity(settings),
        tls=tls,
        purse=purse,
        metrics=metrics,
        log=log,
        backoff=Backoff(random=random.random),
        clock=time.monotonic,
    )
    # Left last: calls that end while the doors drain are settled before what is left goes back.
    async with (
        exchange.closing(),
        serving(
            in_force=in_force,
            metrics=metrics,
            listen=settings.listen,
            http_listen=settings.http_listen,
            status_listen=settings.status_listen,
            environment=os.environ,
            grace=settings.grace,
            log=log,
            counting=counting,
            ready=lambda: not stop.is_set(),
            purse=purse,
        ) as served,
    ):
        following = asyncio.create_task(control.run(), name="control stream")
        exchanging = exchange.start()
        # What there is now stays: it need not be looked through for what can go.
        gc.freeze()
        log.info(
            "ready",
            listen=str(served.listen),
            http_listen=str(served.http_listen),
            status_listen=str(served.status_listen),
        )
        stopping = asyncio.create_task(stop.wait(), name="stop signal")
        try:
            # Should a stream's task ever end by itself, the process ends with it rather than serve a frozen policy.
            await asyncio.wait({following, *exchanging, stopping}, return_when=asyncio.FIRST_COMPLETED)
            for task in (following, *exchanging):
                if task.done():
                    await task
        finally:
            following.cancel()
            stopping.cancel()
            await asyncio.gather(following, stopping, return_exceptions=True)
        log.info("stopping", grace_seconds=settings.grace)


def _identity(settings: Settings) -> control_pb2.ClaimedIdentity | None:
    if not settings.namespace:
        return None
    return control_pb2.ClaimedIdentity(namespace=settings.namespace, pod=settings.pod, labels=dict(settings.labels))


def _tls(settings: Settings) -> OperatorTls | None:
    if settings.tls is None:
        return None
    trust = Trust(settings.tls.ca, folder=settings.state_dir)
    return OperatorTls(name=settings.tls.name, token_file=settings.tls.token_file, trust=trust)
