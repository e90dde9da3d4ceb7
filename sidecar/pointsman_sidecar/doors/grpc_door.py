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

from pointsman_api.v1 import completions_pb2, decision_pb2
from pointsman_sidecar.completing.completions import Caller, Completions
from pointsman_sidecar.completing.served import Headers
from pointsman_sidecar.contract.errors import CompletionError
from pointsman_sidecar.contract.hints import Hints
from pointsman_sidecar.contract.protobuf_form import ProtobufForm
from pointsman_sidecar.doors.headers import for_rules
from pointsman_sidecar.doors.known_errors import AddressInUseError, known_errors
from pointsman_sidecar.doors.readable import Readable
from pointsman_sidecar.doors.reading import Reading
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
_Context = grpc.aio.ServicerContext[bytes, Message]


class _Servicer:
    """The methods. Completions come as bytes, so that what is wrong with them is told by the door and in its words."""

    def __init__(self, completions: Completions, *, reading: Reading, log: structlog.stdlib.BoundLogger) -> None:
        self._completions = completions
        self._reading = reading
        self._log = log

    def handler(self) -> grpc.GenericRpcHandler:
        """The service, for a server."""
        return grpc.method_handlers_generic_handler(
            SERVICE,
            {
                "Complete": grpc.unary_unary_rpc_method_handler(self.complete, response_serializer=_serialized),
                "CompleteStream": grpc.unary_stream_rpc_method_handler(
                    self.complete_stream,
                    response_serializer=completions_pb2.CompleteStreamResponse.SerializeToString,
                ),
                "Explain": grpc.unary_unary_rpc_method_handler(self.explain, response_serializer=_serialized),
                "GetUsage": grpc.unary_unary_rpc_method_handler(
                    self.get_usage,
                    request_deserializer=completions_pb2.GetUsageRequest.FromString,
                    response_serializer=_serialized,
                ),
                "GiveFeedback": grpc.unary_unary_rpc_method_handler(
                    self.give_feedback,
                    request_deserializer=completions_pb2.GiveFeedbackRequest.FromString,
                    response_serializer=_serialized,
                ),
            },
        )

    async def complete(self, raw: bytes, context: _Context) -> completions_pb2.CompleteResponse:
        """Complete."""
        try:
            with known_errors(self._log):
                form = await self._form(raw)
                answered = await self._completions.complete(form, caller=_caller("Complete", context))
                answered.content.decision.CopyFrom(answered.decision)
                return answered.content
        except CompletionError as error:
            await _abort(context, error)
            raise

    async def complete_stream(self, raw: bytes, context: _Context) -> None:
        """CompleteStream."""
        # Written event by event rather than as a generator, so that cancellation unwinds this one coroutine, and what
        # it holds is released then and not when a generator happens to be collected.
        try:
            with known_errors(self._log):
                form = await self._form(raw)
                await self._completions.stream(
                    form, caller=_caller("CompleteStream", context), sink=_EventSink(context)
                )
        except CompletionError as error:
            await _abort(context, error)

    async def explain(self, raw: bytes, context: _Context) -> completions_pb2.ExplainResponse:
        """Explain."""
        try:
            with known_errors(self._log):
                return self._completions.explain(await self._form(raw), headers=_headers(context))
        except CompletionError as error:
            await _abort(context, error)
            raise

    async def get_usage(
        self, request: completions_pb2.GetUsageRequest, context: _Context
    ) -> completions_pb2.GetUsageResponse:
        """GetUsage."""
        try:
            with known_errors(self._log):
                return await self._completions.usage(Hints(user=request.user))
        except CompletionError as error:
            await _abort(context, error)
            raise

    async def give_feedback(
        self, request: completions_pb2.GiveFeedbackRequest, context: _Context
    ) -> completions_pb2.GiveFeedbackResponse:
        """GiveFeedback."""
        try:
            with known_errors(self._log):
                return self._completions.feedback(request)
        except CompletionError as error:
            await _abort(context, error)
            raise

    async def _form(self, raw: bytes) -> ProtobufForm:
        most_bytes = self._completions.most_request_bytes
        return await self._reading.read(lambda: ProtobufForm.read(raw, most_bytes=most_bytes), size=len(raw))


class _EventSink:
    """Writes a stream's events to a call."""

    def __init__(self, context: _Context) -> None:
        self._context = context

    async def started(self, decision: decision_pb2.Decision) -> None:
        await self._write(completions_pb2.CompleteStreamResponse(started=decision))

    async def chunk(self, chunk: completions_pb2.Chunk) -> None:
        await self._write(completions_pb2.CompleteStreamResponse(chunk=chunk))

    async def finished(self, decision: decision_pb2.Decision) -> None:
        await self._write(completions_pb2.CompleteStreamResponse(finished=decision))

    async def _write(self, event: completions_pb2.CompleteStreamResponse) -> None:
        try:
            await self._context.write(event)
        except grpc.aio.InternalError as error:
            # The caller has gone. A write that waited says so before gRPC cancels the call.
            raise asyncio.CancelledError from error


@asynccontextmanager
async def grpc_door(
    completions: Completions, *, listen: str, reading: Reading, log: structlog.stdlib.BoundLogger, grace: float
) -> AsyncIterator[int]:
    """Serve on `listen` (host:port; port 0 takes a free one) and give the port; leaving drains for `grace` seconds.

    Raises:
        AddressInUseError: it cannot be bound.
    """
    server = grpc.aio.server(options=_OPTIONS, interceptors=[Readable()])
    server.add_generic_rpc_handlers((_Servicer(completions, reading=reading, log=log).handler(),))
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


def _serialized(message: Message) -> bytes:
    return message.SerializeToString()


def _caller(method: str, context: _Context) -> Caller:
    sent = {key: value for key, value in context.invocation_metadata() or () if isinstance(value, str)}
    return Caller(
        arrival=over_grpc(f"{SERVICE}/{method}", sent),
        headers=_headers(context),
        patience=context.time_remaining(),
    )


def _headers(context: _Context) -> Headers:
    return lambda: for_rules(
        (key, value) for key, value in context.invocation_metadata() or () if isinstance(value, str)
    )


async def _abort(context: _Context, error: CompletionError) -> None:
    code, message, details = status(error)
    await context.abort(code, message, ((DETAILS_KEY, details),))
