"""What both streams to the operator send beside their own messages, and how: in order, until the stream ends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

import structlog

from pointsman_api.v1 import control_pb2
from pointsman_sidecar.control.trust import OperatorTls, TokenError

_Message = TypeVar("_Message")


async def drain(queue: "asyncio.Queue[_Message | None]") -> AsyncIterator[_Message]:
    """The messages of a queue, up to None."""
    while (message := await queue.get()) is not None:
        yield message


async def renew(
    tls: OperatorTls, sent: str, *, send: Callable[[control_pb2.Token], object], log: structlog.stdlib.BoundLogger
) -> None:
    """Send each fresh token, which the kubelet writes long before the one before it ends; ends by cancellation only."""
    while True:
        await asyncio.sleep(tls.look_every)
        try:
            token = tls.token()
        except TokenError as error:
            log.warning("no fresh token", reason=str(error))
            continue
        if token != sent:
            send(control_pb2.Token(token=token))
            sent = token
