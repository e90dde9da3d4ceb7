"""The sidecar's streams end when they are told to, also where gRPC loses the word."""

import asyncio
import contextlib
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any, NoReturn

import grpc
import pytest
import structlog
from grpc.aio import AioRpcError, Metadata

from pointsman_api.v1 import control_pb2, control_pb2_grpc, quota_pb2_grpc
from pointsman_sidecar.control.in_force import InForce
from pointsman_sidecar.control.stream import Backoff, ControlStream
from pointsman_sidecar.serving import new_counting
from pointsman_sidecar.spending.exchange import Exchange
from pointsman_sidecar.spending.opening import open_purse
from pointsman_sidecar.telemetry.metrics import Metrics

NOWHERE = "127.0.0.1:9"
LOG = structlog.wrap_logger(None, processors=[structlog.testing.LogCapture()])
IDENTITY = control_pb2.ClaimedIdentity(namespace="shop", pod="app-1")


class FailingAsItIsCancelled:
    """A call that fails in the moment in which the task that reads it is cancelled: it reports the failure alone.

    So does gRPC's, where it has its status and not yet all else; which cannot be brought about from outside.
    """

    def __init__(self) -> None:
        self.begun = asyncio.Event()

    def __call__(self, _: AsyncIterator[Any]) -> AsyncIterator[Any]:
        """Begin the call."""
        return self

    def __aiter__(self) -> AsyncIterator[Any]:
        """What it hears."""
        return self

    async def __anext__(self) -> NoReturn:
        """Hear nothing until cancelled."""
        if self.begun.is_set():
            await asyncio.Event().wait()
        self.begun.set()
        with contextlib.suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        raise AioRpcError(grpc.StatusCode.UNAVAILABLE, Metadata(), Metadata(), "connection refused")

    def cancel(self) -> None:
        """It has ended already."""


def following() -> Coroutine[Any, Any, None]:
    """A control stream's life."""
    return ControlStream(
        operator=NOWHERE,
        identity=IDENTITY,
        in_force=InForce(),
        store=None,
        counting=new_counting(),
        metrics=Metrics(),
        log=LOG,
        backoff=Backoff(random=random.random),
        clock=time.monotonic,
    ).run()


async def exchanging() -> None:
    """A quota stream's life, to its closing."""
    exchange = Exchange(
        operator=NOWHERE,
        identity=IDENTITY,
        tls=None,
        purse=open_purse(None, log=LOG),
        metrics=Metrics(),
        log=LOG,
        backoff=Backoff(random=random.random),
        clock=time.monotonic,
    )
    async with exchange.closing():
        exchange.start()
        await asyncio.Event().wait()


@pytest.mark.parametrize("life", [following, exchanging])
async def test_a_stream_that_fails_as_it_is_cancelled_ends(
    life: Callable[[], Coroutine[Any, Any, None]], monkeypatch: pytest.MonkeyPatch
) -> None:
    call = FailingAsItIsCancelled()

    class Stub:
        """Stands for both services' stubs."""

        Connect = Exchange = staticmethod(call)

        def __init__(self, _: grpc.aio.Channel) -> None:
            pass

    monkeypatch.setattr(control_pb2_grpc, "ControlStub", Stub)
    monkeypatch.setattr(quota_pb2_grpc, "QuotasStub", Stub)
    task = asyncio.create_task(life())
    await call.begun.wait()

    task.cancel()

    # Not awaited with a deadline, which would cancel it a second time.
    done, _ = await asyncio.wait({task}, timeout=10)
    task.cancel()
    assert done == {task}
    assert task.cancelled()
