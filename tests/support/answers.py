"""What an app gets from a sidecar: events of a stream, or a refusal read as google.rpc says."""

from collections.abc import AsyncIterable, Awaitable
from dataclasses import dataclass
from typing import Any

import grpc
from google.rpc import error_details_pb2, status_pb2

from pointsman_api.v1 import completions_pb2, decision_pb2

_DETAILS = "grpc-status-details-bin"


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """An error, as a caller's code reads it."""

    code: grpc.StatusCode
    message: str
    reason: str
    violations: tuple[tuple[str, str], ...]
    retry_after: float | None
    decision: decision_pb2.Decision | None

    @property
    def outcomes(self) -> list[tuple[str, str]]:
        """Each attempt's model and outcome."""
        return outcomes(self.decision) if self.decision else []


def outcomes(decision: decision_pb2.Decision) -> list[tuple[str, str]]:
    """Each attempt's model and outcome."""
    return [
        (each.model, decision_pb2.Outcome.Name(each.outcome).removeprefix("OUTCOME_")) for each in decision.attempts
    ]


async def refusal(call: Awaitable[object]) -> Refusal:
    """The error of a unary call, which must have one."""
    try:
        answer = await call
    except grpc.aio.AioRpcError as error:
        return _read(error)
    raise AssertionError(f"the call was answered: {answer}")


async def streamed(
    call: AsyncIterable[completions_pb2.CompleteStreamResponse],
) -> tuple[list[completions_pb2.CompleteStreamResponse], Refusal | None]:
    """All events of a stream, and its error, where it ended with one."""
    events: list[completions_pb2.CompleteStreamResponse] = []
    try:
        async for event in call:
            events.append(event)  # noqa: PERF401 - what came before an error counts too
    except grpc.aio.AioRpcError as error:
        return events, _read(error)
    return events, None


async def next_event(call: Any) -> completions_pb2.CompleteStreamResponse:
    """The next event of a stream that a test reads bit by bit; there must be one."""
    event = await call.read()
    assert isinstance(event, completions_pb2.CompleteStreamResponse), event
    return event


async def rest(call: Any) -> list[completions_pb2.CompleteStreamResponse]:
    """All that such a stream still holds."""
    events: list[completions_pb2.CompleteStreamResponse] = []
    while (event := await call.read()) is not grpc.aio.EOF:
        events.append(event)
    return events


def text_of(events: list[completions_pb2.CompleteStreamResponse], *, index: int = 0) -> str:
    """The text of one answer, put together."""
    return "".join(delta.content for event in events for delta in event.chunk.choices if delta.index == index)


def _read(error: grpc.aio.AioRpcError) -> Refusal:
    info, bad, retry = error_details_pb2.ErrorInfo(), error_details_pb2.BadRequest(), error_details_pb2.RetryInfo()
    decision = decision_pb2.Decision()
    found: set[str] = set()
    for key, value in error.trailing_metadata() or ():
        if key == _DETAILS and isinstance(value, bytes):
            for packed in status_pb2.Status.FromString(value).details:
                found |= {kind.DESCRIPTOR.name for kind in (info, bad, retry, decision) if packed.Unpack(kind)}
    return Refusal(
        code=error.code(),
        message=error.details() or "",
        reason=info.reason,
        violations=tuple((each.field, each.description) for each in bad.field_violations),
        retry_after=retry.retry_delay.ToTimedelta().total_seconds() if "RetryInfo" in found else None,
        decision=decision if "Decision" in found else None,
    )
