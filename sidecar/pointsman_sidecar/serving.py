"""A sidecar without its control stream: doors, completions and what is seen of them, put together.

What feeds `in_force` is the caller's choice: the operator's stream in a pod, files in the standalone command.
"""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import TypeVar

import structlog

from pointsman_sidecar.completing.completions import Completions
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.doors.grpc_door import grpc_door
from pointsman_sidecar.doors.http_door import http_door
from pointsman_sidecar.doors.reading import Reading
from pointsman_sidecar.doors.status_page import status_page
from pointsman_sidecar.ids import new_decision_id
from pointsman_sidecar.providers.clients import ProviderClients
from pointsman_sidecar.settings import Address
from pointsman_sidecar.spending.purse import Purse
from pointsman_sidecar.telemetry.metrics import Metrics
from pointsman_sidecar.telemetry.observer import Observer
from pointsman_sidecar.telemetry.tracing import spans
from pointsman_sidecar.tuning.counting import Counting

_First = TypeVar("_First")
_Second = TypeVar("_Second")
_SERVICE = "pointsman-sidecar"


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """Where a sidecar listens."""

    listen: Address
    http_listen: Address
    status_listen: Address


def new_counting() -> Counting:
    """What this process counts for the fleet: nothing yet."""
    return Counting(new_name=new_decision_id, now=time.time)


@asynccontextmanager
async def serving(
    *,
    in_force: InForce,
    metrics: Metrics,
    listen: Address,
    http_listen: Address,
    status_listen: Address,
    environment: Mapping[str, str],
    grace: float,
    log: structlog.stdlib.BoundLogger,
    counting: Counting,
    ready: Callable[[], bool] = lambda: True,
    purse: Purse | None = None,
) -> AsyncIterator[Served]:
    """Serve until the context is left; then running answers have `grace` seconds to end.

    Readiness is a local fact: it never waits for the operator. Without a `purse` there are no budgets.

    Raises:
        AddressInUseError, StatusPageError: an address cannot be bound.
    """
    async with AsyncExitStack() as stack:
        recorded = stack.enter_context(spans(environment, service=_SERVICE))
        observer = Observer(spans=recorded, metrics=metrics, log=log, clock=time.monotonic)
        clients = await stack.enter_async_context(ProviderClients())
        completions = Completions(
            in_force=in_force,
            clients=clients,
            observer=observer,
            new_id=new_decision_id,
            clock=time.monotonic,
            random=random.random,
            now=time.time,
            counting=counting,
            purse=purse,
        )
        status_port = await stack.enter_async_context(
            status_page(metrics.registry, host=status_listen.host, port=status_listen.port, ready=ready)
        )
        reading = Reading()
        stack.callback(reading.close)
        # Both drain at the same time: a pod has one grace period.
        port, http_port = await stack.enter_async_context(
            together(
                grpc_door(completions, listen=str(listen), reading=reading, log=log, grace=grace),
                http_door(
                    completions,
                    host=http_listen.host,
                    port=http_listen.port,
                    reading=reading,
                    log=log,
                    grace=grace,
                ),
            )
        )
        yield Served(
            listen=Address(host=listen.host, port=port),
            http_listen=Address(host=http_listen.host, port=http_port),
            status_listen=Address(host=status_listen.host, port=status_port),
        )


@asynccontextmanager
async def together(
    first: AbstractAsyncContextManager[_First], second: AbstractAsyncContextManager[_Second]
) -> AsyncIterator[tuple[_First, _Second]]:
    """Both contexts as one: entered in order, left at the same time."""
    entered = await first.__aenter__()
    try:
        both = entered, await second.__aenter__()
    except BaseException:
        await first.__aexit__(None, None, None)
        raise
    try:
        yield both
    finally:
        await asyncio.gather(first.__aexit__(None, None, None), second.__aexit__(None, None, None))
