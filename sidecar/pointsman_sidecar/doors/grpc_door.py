"""The gRPC door: `Completions` with health and reflection, on loopback."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import grpc
import structlog
from google.protobuf.message import Message
from grpc_health.v1 import health, health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from pointsman_api.v1 import completions_pb2, completions_pb2_grpc, decision_pb2
from pointsman_sidecar.completing.completions import Caller, Completions
from pointsman_sidecar.contract.errors import CompletionError
from pointsman_sidecar.contract.protobuf_form import ProtobufForm
from pointsman_sidecar.doors.known_errors import AddressInUseError, known_errors
from pointsman_sidecar.doors.statuses import DETAILS_KEY, status
from pointsman_sidecar.telemetry.arrivals import over_grpc

SERVICE = completions_pb2.DESCRIPTOR.services_by_name["Completions"].full_name
# Above the largest that a policy can allow (64 MiB), so that a policy's own sentence refuses what is too large for it.
_MOST_BYTES = 72 * 1024 * 1024
_OPTIONS = (
    ("grpc.max_receive_message_length", _MOST_BYTES),
    ("grpc.max_send_message_length", -1),
    # Two sidecars must never share a port by accident: who comes second is told.
    ("grpc.so_reuseport", 0),
)
_Context = grpc.aio.ServicerContext[completions_pb2.CompleteRequest, Message]


class _Servicer(completions_pb2_grpc.CompletionsServicer):
    def __init__(self, completions: Completions, *, log: structlog.stdlib.BoundLogger) -> None:
        self._completions = completions
        self._log = log

    async def Complete(  # noqa: N802 - gRPC's name
        self, request: completions_pb2.CompleteRequest, context: _Context
    ) -> completions_pb2.CompleteResponse:
        try:
            with known_errors(self._log):
                answered = await self._completions.complete(ProtobufForm(request), caller=_caller("Complete", context))
                answered.content.decision.CopyFrom(answered.decision)
                return answered.content
        except CompletionError as error:
            await _abort(context, error)
            raise

    async def CompleteStream(  # type: ignore[override] # noqa: N802 - gRPC's name; the stubs know generators only
        self, request: completions_pb2.CompleteRequest, context: _Context
    ) -> None:
        # Written event by event rather than as a generator, so that cancellation unwinds this one coroutine, and what
        # it holds is released then and not when a generator happens to be collected.
        try:
            with known_errors(self._log):
                await self._completions.stream(
                    ProtobufForm(request), caller=_caller("CompleteStream", context), sink=_EventSink(context)
                )
        except CompletionError as error:
            await _abort(context, error)

    async def Explain(  # noqa: N802 - gRPC's name
        self, request: completions_pb2.CompleteRequest, context: _Context
    ) -> completions_pb2.ExplainResponse:
        try:
            with known_errors(self._log):
                return self._completions.explain(ProtobufForm(request))
        except CompletionError as error:
            await _abort(context, error)
            raise


class _EventSink:
    """Writes a stream's events to a call."""

    def __init__(self, context: _Context) -> None:
        self._write = context.write

    async def started(self, decision: decision_pb2.Decision) -> None:
        await self._write(completions_pb2.CompleteStreamResponse(started=decision))

    async def chunk(self, chunk: completions_pb2.Chunk) -> None:
        await self._write(completions_pb2.CompleteStreamResponse(chunk=chunk))

    async def finished(self, decision: decision_pb2.Decision) -> None:
        await self._write(completions_pb2.CompleteStreamResponse(finished=decision))


@asynccontextmanager
async def grpc_door(
    completions: Completions, *, listen: str, log: structlog.stdlib.BoundLogger, grace: float
) -> AsyncIterator[int]:
    """Serve on `listen` (host:port; port 0 takes a free one) and give the port; leaving drains for `grace` seconds.

    Raises:
        AddressInUseError: it cannot be bound.
    """
    server = grpc.aio.server(options=_OPTIONS)
    completions_pb2_grpc.add_CompletionsServicer_to_server(_Servicer(completions, log=log), server)
    healthy = health.aio.HealthServicer()
    health_pb2_grpc.add_HealthServicer_to_server(healthy, server)
    reflection.enable_server_reflection((SERVICE, health.SERVICE_NAME, reflection.SERVICE_NAME), server)
    try:
        port = server.add_insecure_port(listen)
    except RuntimeError as error:
        raise AddressInUseError(f"cannot listen on {listen}: is another process there?") from error
    await server.start()
    for service in ("", SERVICE):
        await healthy.set(service, health_pb2.HealthCheckResponse.SERVING)
    try:
        yield port
    finally:
        await healthy.enter_graceful_shutdown()
        # gRPC waits for good where somebody connects in the moment that it stops listening.
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(server.stop(grace), grace + 1)


def _caller(method: str, context: _Context) -> Caller:
    headers = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return Caller(arrival=over_grpc(f"{SERVICE}/{method}", headers), patience=context.time_remaining())


async def _abort(context: _Context, error: CompletionError) -> None:
    code, message, details = status(error)
    await context.abort(code, message, ((DETAILS_KEY, details),))
