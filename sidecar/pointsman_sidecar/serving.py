"""A sidecar without its control stream: doors, completions and what is seen of them, put together.

What feeds `in_force` is the caller's choice: the operator's stream in a pod, files in the standalone command.
"""

import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

import structlog

from pointsman_sidecar.completing.completions import Completions
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.doors.grpc_door import grpc_door
from pointsman_sidecar.doors.status_page import status_page
from pointsman_sidecar.ids import new_decision_id
from pointsman_sidecar.providers.clients import ProviderClients
from pointsman_sidecar.settings import Address
from pointsman_sidecar.telemetry.metrics import Metrics
from pointsman_sidecar.telemetry.observer import Observer
from pointsman_sidecar.telemetry.tracing import tracer

_SERVICE = "pointsman-sidecar"


@dataclass(frozen=True, kw_only=True, slots=True)
class Served:
    """Where a sidecar listens."""

    listen: Address
    status_listen: Address


@asynccontextmanager
async def serving(
    *,
    in_force: InForce,
    metrics: Metrics,
    listen: Address,
    status_listen: Address,
    environment: Mapping[str, str],
    grace: float,
    log: structlog.stdlib.BoundLogger,
    ready: Callable[[], bool] = lambda: True,
) -> AsyncIterator[Served]:
    """Serve until the context is left; then running answers have `grace` seconds to end.

    Readiness is a local fact: it never waits for the operator.

    Raises:
        AddressInUseError, StatusPageError: an address cannot be bound.
    """
    async with AsyncExitStack() as stack:
        spans = stack.enter_context(tracer(environment, service=_SERVICE))
        observer = Observer(tracer=spans, metrics=metrics, log=log, clock=time.monotonic)
        clients = await stack.enter_async_context(ProviderClients())
        completions = Completions(
            in_force=in_force, clients=clients, observer=observer, new_id=new_decision_id, clock=time.monotonic
        )
        status_port = await stack.enter_async_context(
            status_page(metrics.registry, host=status_listen.host, port=status_listen.port, ready=ready)
        )
        port = await stack.enter_async_context(grpc_door(completions, listen=str(listen), log=log, grace=grace))
        yield Served(
            listen=Address(host=listen.host, port=port),
            status_listen=Address(host=status_listen.host, port=status_port),
        )
