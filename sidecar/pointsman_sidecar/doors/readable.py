"""Health and reflection, too, say what is wrong with a message that cannot be read."""

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

import grpc
from google.protobuf.message import DecodeError

_Continuation = Callable[[grpc.HandlerCallDetails], Awaitable["grpc.RpcMethodHandler[Any, Any] | None"]]


class _Unreadable:
    """In the place of a message that is none."""


class Readable(grpc.aio.ServerInterceptor):
    """Refuses what a method cannot deserialize; left alone, gRPC would log a traceback and say UNKNOWN."""

    async def intercept_service(
        self, continuation: _Continuation, handler_call_details: grpc.HandlerCallDetails
    ) -> "grpc.RpcMethodHandler[Any, Any] | None":
        """See gRPC."""
        handler: Any = await continuation(handler_call_details)
        if handler is None or handler.request_deserializer is None:
            return handler  # type: ignore[no-any-return]
        if handler.request_streaming:
            return grpc.stream_stream_rpc_method_handler(
                _each_readable(handler.stream_stream),
                request_deserializer=_deserializer(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        if handler.response_streaming:
            return grpc.unary_stream_rpc_method_handler(
                _first_readable(handler.unary_stream),
                request_deserializer=_deserializer(handler.request_deserializer),
                response_serializer=handler.response_serializer,
            )
        return grpc.unary_unary_rpc_method_handler(
            _readable(handler.unary_unary),
            request_deserializer=_deserializer(handler.request_deserializer),
            response_serializer=handler.response_serializer,
        )


def _deserializer(read: Callable[[bytes], Any]) -> Callable[[bytes], Any]:
    def deserialized(raw: bytes) -> Any:
        try:
            return read(raw)
        except DecodeError:
            return _Unreadable()

    return deserialized


def _readable(answer: Callable[[Any, Any], Awaitable[Any]]) -> Any:
    async def answered(request: Any, context: Any) -> Any:
        await _refuse(request, context)
        return await answer(request, context)

    return answered


def _first_readable(answer: Callable[[Any, Any], Any]) -> Any:
    async def answered(request: Any, context: Any) -> None:
        await _refuse(request, context)
        await answer(request, context)

    return answered


def _each_readable(answer: Callable[[Any, Any], AsyncIterator[Any]]) -> Any:
    async def answered(requests: AsyncIterator[Any], context: Any) -> AsyncIterator[Any]:
        async def read() -> AsyncIterator[Any]:
            async for request in requests:
                await _refuse(request, context)
                yield request

        async for response in answer(read(), context):
            yield response

    return answered


async def _refuse(request: Any, context: Any) -> None:
    if isinstance(request, _Unreadable):
        await context.abort(
            grpc.StatusCode.INVALID_ARGUMENT,
            "the message cannot be read: its bytes break off, or a text in it is not UTF-8",
        )
