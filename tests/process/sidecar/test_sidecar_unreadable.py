"""What gRPC carries and no method can read; and what is large, and is read beside the event loop."""

import threading
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2

from pointsman_sidecar.doors.reading import Reading
from pointsman_stub import StubProvider
from support.completions import ask, said
from support.sidecars import Sidecar

COMPLETE = "/pointsman_api.v1.Completions/Complete"
STREAM = "/pointsman_api.v1.Completions/CompleteStream"
EXPLAIN = "/pointsman_api.v1.Completions/Explain"
CHECK = "/grpc.health.v1.Health/Check"
WATCH = "/grpc.health.v1.Health/Watch"
REFLECT = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
# A text that breaks off, and one that is no UTF-8.
BROKEN = [b"\x0a\x0aCANARY", b"\x0a\x07CANARY\xff"]


async def called(sidecar: Sidecar, path: str, message: bytes) -> bytes:
    """Call a method with these bytes for a message: those of its first."""
    channel: Any = sidecar.channel
    if path in {STREAM, WATCH}:
        return await anext(aiter(channel.unary_stream(path)(message)))
    if path == REFLECT:
        return await anext(aiter(channel.stream_stream(path)(iter([message]))))
    answer: bytes = await channel.unary_unary(path)(message)
    return answer


async def refused(sidecar: Sidecar, path: str, message: bytes) -> grpc.aio.AioRpcError:
    """The error of a call whose message is these bytes."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await called(sidecar, path, message)
    return caught.value


@pytest.mark.parametrize("message", BROKEN)
@pytest.mark.parametrize("path", [COMPLETE, STREAM, EXPLAIN, CHECK, WATCH, REFLECT])
async def test_a_message_that_cannot_be_read_is_refused_in_a_sentence_and_quoted_in_no_log(
    sidecar: Sidecar, caplog: pytest.LogCaptureFixture, path: str, message: bytes
) -> None:
    error = await refused(sidecar, path, message)

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert "its bytes break off, or a text in it is not UTF-8" in (error.details() or "")
    assert "CANARY" not in (error.details() or "") + caplog.text
    assert caplog.records == []


async def test_health_is_told_to_those_who_ask_well(sidecar: Sidecar) -> None:
    raw = await called(sidecar, CHECK, b"")

    assert health_pb2.HealthCheckResponse.FromString(raw).status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize("path", [COMPLETE, STREAM, EXPLAIN])
async def test_a_message_of_too_many_parts_is_not_read(sidecar: Sidecar, stub: StubProvider, path: str) -> None:
    error = await refused(sidecar, path, b"\x0a\x00" * 2_000_000)

    assert error.code() is grpc.StatusCode.INVALID_ARGUMENT
    assert error.details() == "request has more than 50,000 fields, which is more than is read: send less at once"
    assert stub.requests == ()


async def test_what_is_large_and_allowed_is_answered(sidecar: Sidecar, stub: StubProvider) -> None:
    request = ask(max_tokens=5)
    request.messages.extend(said("x" * 100) for _ in range(2_000))

    answer = await sidecar.app.Complete(request)

    assert answer.decision.model
    assert len(stub.requests[0].body["messages"]) == 2_001


async def test_what_is_large_is_read_beside_the_event_loop() -> None:
    reading = Reading()

    small = await reading.read(threading.current_thread, size=16 * 1024)
    large = await reading.read(threading.current_thread, size=16 * 1024 + 1)

    reading.close()
    assert small is threading.current_thread()
    assert large.name.startswith("reading")
