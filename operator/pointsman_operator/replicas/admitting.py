"""Who may open a stream to the replica that holds the Lease."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Coroutine
from typing import Any

import grpc

from pointsman_api.v1 import replicas_pb2 as pb
from pointsman_operator.election import Elector
from pointsman_operator.push import IdentityUnavailableError, UnidentifiedError
from pointsman_operator.replicas.identity import ReplicaIdentity

HELLO_SECONDS = 10.0


async def admitted(
    requests: AsyncIterator[Any],
    context: grpc.aio.ServicerContext[Any, Any],
    *,
    elector: Elector,
    identity: ReplicaIdentity,
) -> tuple[pb.ReplicaHello, float]:
    """The hello that a stream's first request is, and when its proof ends; the stream is aborted if it has neither."""
    if not elector.leading:
        await context.abort(grpc.StatusCode.FAILED_PRECONDITION, "this replica does not hold the Lease")
    message = None
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(HELLO_SECONDS):
            message = await anext(requests, None)
    if message is None or not message.hello.replica:
        await context.abort(grpc.StatusCode.INVALID_ARGUMENT, "the first message must be a hello with a name")
    hello: pb.ReplicaHello = message.hello
    try:
        return hello, await identity.expiry(hello.token)
    except UnidentifiedError as error:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, str(error))
    except IdentityUnavailableError as error:
        await context.abort(grpc.StatusCode.UNAVAILABLE, str(error))
    raise AssertionError("an aborted stream goes on")


async def served(*works: Coroutine[Any, Any, None], ending: asyncio.Event, seconds: float) -> None:
    """Have these go on until one of them ends, the stream is to end, or its proof does."""
    tasks = [asyncio.create_task(work) for work in (*works, _wait(ending))]
    try:
        await asyncio.wait(tasks, timeout=max(0.0, seconds), return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def dismissed(
    context: grpc.aio.ServicerContext[Any, Any], *, ending: asyncio.Event, is_expired: bool, again: str
) -> None:
    """Tell a replica whose stream ends why, where that is not its own doing."""
    if ending.is_set():
        await context.abort(grpc.StatusCode.UNAVAILABLE, "this replica no longer holds the Lease, or is stopping")
    if is_expired:
        await context.abort(grpc.StatusCode.UNAUTHENTICATED, f"the token has expired; {again} again with a fresh one")


async def _wait(ending: asyncio.Event) -> None:
    await ending.wait()
