"""A program that plays many sidecars, each with a connection of its own; told what to do on its standard input.

One JSON object a line, each answered with one: `connect` opens the streams, `applied` waits until all have acknowledged
a revision and says when each did, on the machine's monotonic clock.
"""

import asyncio
import json
import random
import sys
import time
from collections import Counter, defaultdict
from collections.abc import AsyncIterator
from typing import Any

import grpc

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import control_pb2_grpc

_RETRY_SECONDS = 1.0


class Fleet:
    """The sidecars of one process."""

    def __init__(self) -> None:
        self._times: defaultdict[int, list[float]] = defaultdict(list)
        self._wanted: tuple[int, int] = (0, 0)  # a revision, and how many are to have it
        self._reached = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._broken: Counter[str] = Counter()

    async def connect(self, *, address: str, ca: str, pods: list[dict[str, Any]]) -> dict[str, Any]:
        """Open a stream for each pod; return once all have a snapshot in force."""
        credentials = grpc.ssl_channel_credentials(ca.encode())
        for pod in pods:
            self._tasks.add(asyncio.create_task(self._play(pod, address=address, credentials=credentials)))
        times = (await self.applied(revision=0, count=len(pods)))["times"]
        return {"at": max(times), "broken": self._broken}

    async def applied(self, *, revision: int, count: int) -> dict[str, Any]:
        """Wait until so many have acknowledged a revision."""
        self._wanted = (revision, count)
        self._reached.clear()
        if len(self._times[revision]) < count:
            await self._reached.wait()
        return {"times": self._times.pop(revision)}

    async def _play(self, pod: dict[str, Any], *, address: str, credentials: grpc.ChannelCredentials) -> None:
        options = (("grpc.use_local_subchannel_pool", 1), ("grpc.ssl_target_name_override", "localhost"))
        while True:
            async with grpc.aio.secure_channel(address, credentials, options=options) as channel:
                try:
                    await self._stream(channel, pod)
                except grpc.aio.AioRpcError as error:
                    # As a sidecar does: an operator that many come to at once sends some of them away for a while.
                    self._broken[f"{error.code().name}: {error.details()}"] += 1
            await asyncio.sleep(_RETRY_SECONDS * random.uniform(0.5, 1.5))  # noqa: S311 - spreads, guards nothing

    async def _stream(self, channel: grpc.aio.Channel, pod: dict[str, Any]) -> None:
        call = control_pb2_grpc.ControlStub(channel).Connect()
        claimed = control.ClaimedIdentity(namespace=pod["namespace"], pod=pod["name"], labels=pod["labels"])
        hello = control.Hello(contract_version=1, claimed_identity=claimed, token=pod.get("token", ""))
        await call.write(control.ConnectRequest(hello=hello))
        async for update in call:
            if update.HasField("snapshot"):
                await call.write(control.ConnectRequest(ack=control.Ack(nonce=update.snapshot.nonce)))
                revision = _revision(update.snapshot)
                self._times[revision].append(time.monotonic())
                if (revision, len(self._times[revision])) == self._wanted:
                    self._reached.set()

    def fail_with_any(self) -> None:
        """Raise what ended a sidecar's task, if anything did."""
        for task in self._tasks:
            if task.done():
                task.result()


def _revision(update: control.SnapshotUpdate) -> int:
    return int(update.snapshot.routes[-1].name.rpartition("-")[2])


async def _lines() -> AsyncIterator[str]:
    reader = asyncio.StreamReader(limit=64 * 1024 * 1024)
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := await reader.readline():
        yield line.decode()


async def main() -> None:
    """Do what is asked until there is no more."""
    fleet = Fleet()
    async for line in _lines():
        order = json.loads(line)
        work = asyncio.create_task(getattr(fleet, order.pop("do"))(**order))
        while not (await asyncio.wait([work], timeout=1))[0]:
            fleet.fail_with_any()
        sys.stdout.write(json.dumps(work.result()) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    asyncio.run(main())
