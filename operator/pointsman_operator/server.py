"""The gRPC server: control and quotas for sidecars, the replicas' own services, health and reflection."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from typing import Any

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_health.v1.health import aio as health
from grpc_reflection.v1alpha import reflection

from pointsman_api.v1 import (
    control_pb2,
    control_pb2_grpc,
    quota_pb2,
    quota_pb2_grpc,
    replicas_pb2,
    replicas_pb2_grpc,
)
from pointsman_operator.push import ControlService, Hub, Identifier
from pointsman_operator.quotas import LedgerService, QuotasService
from pointsman_operator.replicas import ReplicasService
from pointsman_operator.settings import Address

_CONTROL = control_pb2.DESCRIPTOR.services_by_name["Control"].full_name
_QUOTAS = quota_pb2.DESCRIPTOR.services_by_name["Quotas"].full_name
_REPLICAS = replicas_pb2.DESCRIPTOR.services_by_name["Replicas"].full_name
_LEDGER = replicas_pb2.DESCRIPTOR.services_by_name["Ledger"].full_name
_STREAMS_END_SECONDS = 2.0
_OPTIONS: list[tuple[str, Any]] = [
    # A port that another process has must be an error, and not a share of its connections.
    ("grpc.so_reuseport", 0),
    # A sidecar whose node is gone says no goodbye: ask, and take no answer for one.
    ("grpc.keepalive_time_ms", 20_000),
    ("grpc.keepalive_timeout_ms", 10_000),
    # Without this, a ping that stays without an answer is given a minute, whatever the line above says.
    ("grpc.http2.ping_timeout_ms", 10_000),
    # Sidecars ask likewise.
    ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
    ("grpc.keepalive_permit_without_calls", 1),
    # The largest that a sidecar says is a declaration of all blocks that it holds: of thousands of users.
    ("grpc.max_receive_message_length", 4 * 1024 * 1024),
]


class Server:
    """Serves the hub's sidecars, as `identifier` knows them, and other replicas where there are any."""

    def __init__(
        self,
        hub: Hub,
        *,
        identifier: Identifier,
        relist: Callable[[], Awaitable[None]],
        quotas: QuotasService,
        replicas: ReplicasService | None = None,
        ledger: LedgerService | None = None,
    ) -> None:
        self._service = ControlService(hub, identifier=identifier, relist=relist)
        self._health = health.HealthServicer()
        self._server = grpc.aio.server(options=_OPTIONS)
        control_pb2_grpc.add_ControlServicer_to_server(self._service, self._server)
        quota_pb2_grpc.add_QuotasServicer_to_server(quotas, self._server)
        self._closed_first: list[ControlService | QuotasService | ReplicasService | LedgerService]
        self._closed_first = [self._service, quotas]
        if replicas is not None:
            replicas_pb2_grpc.add_ReplicasServicer_to_server(replicas, self._server)
            self._closed_first.append(replicas)
        if ledger is not None:
            replicas_pb2_grpc.add_LedgerServicer_to_server(ledger, self._server)
            self._closed_first.append(ledger)
        health_pb2_grpc.add_HealthServicer_to_server(self._health, self._server)
        names = (
            _CONTROL,
            _QUOTAS,
            *((_LEDGER,) if ledger else ()),
            *((_REPLICAS,) if replicas else ()),
            health_pb2.DESCRIPTOR.services_by_name["Health"].full_name,
            reflection.SERVICE_NAME,
        )
        reflection.enable_server_reflection(names, self._server)

    async def start(self, address: Address, *, credentials: grpc.ServerCredentials | None) -> Address:
        """Listen, in plain text where there are no credentials, and return the address that it really is.

        Raise OSError if it cannot be had.
        """
        await self.set_health(serving=False)
        try:
            if credentials is None:
                port = self._server.add_insecure_port(str(address))
            else:
                port = self._server.add_secure_port(str(address), credentials)
        except RuntimeError as error:  # of gRPC's, which has no other
            raise OSError(str(error)) from error
        await self._server.start()
        return Address(host=address.host, port=port)

    async def set_health(self, *, serving: bool) -> None:
        """Say over the health service whether sidecars are served."""
        answer = health_pb2.HealthCheckResponse
        for name in ("", _CONTROL):
            await self._health.set(name, answer.SERVING if serving else answer.NOT_SERVING)

    async def stop(self) -> None:
        """Send the sidecars away, and close."""
        await self._health.enter_graceful_shutdown()
        for service in self._closed_first:
            service.close()
        # gRPC waits for good where somebody connects in the moment that it stops listening.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._server.stop(_STREAMS_END_SECONDS), _STREAMS_END_SECONDS + 1)
