"""A sidecar in the test's own event loop, without a control stream: what is in force is set by the test."""

from collections.abc import AsyncIterator, Mapping, MutableMapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Any

import grpc
import structlog
from prometheus_client import CollectorRegistry

from pointsman_api.v1 import completions_pb2_grpc, snapshot_pb2
from pointsman_sidecar.contract.snapshots import read_snapshot
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.serving import new_counting, serving
from pointsman_sidecar.settings import Address
from pointsman_sidecar.telemetry.metrics import Metrics
from pointsman_sidecar.tuning.counting import Counting
from support.snapshots import update

_ANYWHERE = Address(host="127.0.0.1", port=0)


@dataclass(kw_only=True)
class Sidecar:
    """A running sidecar, and an app's channel to it."""

    in_force: InForce
    metrics: Metrics
    counting: Counting
    channel: grpc.aio.Channel
    app: "completions_pb2_grpc.CompletionsAsyncStub"
    address: str
    http_url: str
    status_url: str
    logged: list[MutableMapping[str, Any]]

    def apply(self, content: snapshot_pb2.Snapshot) -> None:
        """Put a snapshot in force."""
        self.in_force.apply(read_snapshot(update(content)))

    @property
    def in_flight(self) -> float | None:
        """How many completions are being served, by its own gauge."""
        return sample(self.metrics.registry, "pointsman_completions_in_flight")


def sample(registry: CollectorRegistry, name: str, **labels: str) -> float | None:
    """The value of a series; None where there is none."""
    return registry.get_sample_value(name, labels)


@asynccontextmanager
async def running_sidecar(
    *,
    content: snapshot_pb2.Snapshot | None = None,
    access: Mapping[str, str] | None = None,
    environment: Mapping[str, str] | None = None,
    grace: float = 0.0,
    channel_options: tuple[tuple[str, int], ...] = (),
) -> AsyncIterator[Sidecar]:
    """Serve until the block ends; without a snapshot, none has come yet.

    Fails where the sidecar met an error of its own: nothing that a test does may cause one.
    """
    logged = structlog.testing.LogCapture()
    in_force, metrics, counting = InForce(), Metrics(), new_counting()
    if content is not None:
        in_force.apply(read_snapshot(update(content)))
    in_force.access = dict(access or {})
    async with (
        serving(
            in_force=in_force,
            metrics=metrics,
            listen=_ANYWHERE,
            http_listen=_ANYWHERE,
            status_listen=_ANYWHERE,
            environment=environment or {},
            grace=grace,
            counting=counting,
            log=structlog.wrap_logger(
                None,
                processors=[structlog.processors.format_exc_info, logged],
                wrapper_class=structlog.stdlib.BoundLogger,
            ),
        ) as served,
        grpc.aio.insecure_channel(str(served.listen), options=channel_options) as channel,
    ):
        yield Sidecar(
            in_force=in_force,
            metrics=metrics,
            counting=counting,
            channel=channel,
            app=completions_pb2_grpc.CompletionsStub(channel),
            address=str(served.listen),
            http_url=f"http://{served.http_listen}/v1",
            status_url=f"http://{served.status_listen}",
            logged=logged.entries,
        )
    internal = [line for line in logged.entries if line["event"] == "internal error"]
    assert not internal, internal[0].get("stack")
