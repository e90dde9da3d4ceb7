"""Calls of other replicas' sidecars: how they come to the replica that keeps the ledger, and how it hears them."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import grpc
import structlog

from pointsman_api.v1 import quota_pb2, replicas_pb2_grpc
from pointsman_api.v1 import replicas_pb2 as pb
from pointsman_operator.election import Elector
from pointsman_operator.identity import Proofs, ProofUnavailableError
from pointsman_operator.push import Hub, Peer
from pointsman_operator.quotas.binding import Binding
from pointsman_operator.quotas.keeper import Keeper
from pointsman_operator.quotas.router import Caller, asked_of
from pointsman_operator.quotas.wire import MalformedCallError
from pointsman_operator.replicas import HolderLink, ReplicaIdentity
from pointsman_operator.replicas.admitting import admitted, dismissed, served
from pointsman_operator.replicas.link import until_it_ends
from pointsman_operator.resources import Key

log = structlog.get_logger(__name__)

_Call = grpc.aio.StreamStreamCall[pb.ForwardRequest, pb.ForwardResponse]
_Context = grpc.aio.ServicerContext[pb.ForwardRequest, pb.ForwardResponse]


class Forwarder:
    """Sends calls to the holder of the Lease; `run` is the whole life of it.

    What was not answered when a stream ends is sent again by the next: asking twice changes nothing.
    """

    def __init__(self, *, link: HolderLink, callers: Callable[[], dict[int, Caller]]) -> None:
        self._link = link
        self._callers = callers
        self._waiting: dict[int, Caller] = {}
        self._wake = asyncio.Event()

    def send(self, caller: Caller) -> None:
        """Send the caller's pending call as soon as the holder can be reached."""
        self._waiting[caller.stream] = caller
        self._wake.set()

    async def run(self) -> None:
        """Forward until cancelled."""
        await self._link.run(self._forward)

    async def _forward(self, channel: grpc.aio.Channel, hello: pb.ReplicaHello) -> None:
        call = replicas_pb2_grpc.LedgerStub(channel).Forward()
        await until_it_ends(call, asyncio.create_task(self._say(call, hello)), asyncio.create_task(self._hear(call)))

    async def _say(self, call: _Call, hello: pb.ReplicaHello) -> None:
        await call.write(pb.ForwardRequest(hello=hello))
        self._waiting = {number: each for number, each in self._callers().items() if each.pending is not None}
        while True:
            self._wake.clear()
            waiting, self._waiting = self._waiting, {}
            for caller in waiting.values():
                if caller.pending is not None:
                    await call.write(pb.ForwardRequest(call=_forwarded(caller, caller.pending)))
            if not self._waiting:
                await self._wake.wait()

    async def _hear(self, call: _Call) -> None:
        async for response in call:
            caller = self._callers().get(response.stream)
            if caller is None:
                continue
            match response.WhichOneof("message"):
                case "reply":
                    caller.answer(response.reply)
                case "nudge":
                    caller.nudge()
                case _:  # a kind of message that is newer than this operator
                    continue


def _forwarded(caller: Caller, call: quota_pb2.QuotaCall) -> pb.ForwardedCall:
    return pb.ForwardedCall(
        stream=caller.stream,
        pod=pb.PodName(namespace=caller.peer.namespace, name=caller.peer.pod),
        pod_uid=caller.peer.uid,
        incarnation=caller.incarnation,
        call=call,
    )


@dataclass(eq=False)
class _Stream:
    """Another replica's: what is to be sent to it, by stream, and what its pods are known to be."""

    wake: asyncio.Event = field(default_factory=asyncio.Event)
    replies: dict[int, quota_pb2.QuotaReply] = field(default_factory=dict)
    nudges: dict[int, None] = field(default_factory=dict)
    looked_up: dict[str, Peer] = field(default_factory=dict)

    def reply(self, stream: int, reply: quota_pb2.QuotaReply) -> None:
        self.replies[stream] = reply
        self.wake.set()

    def nudge(self, stream: int) -> None:
        self.nudges[stream] = None
        self.wake.set()


class LedgerService(replicas_pb2_grpc.LedgerServicer):
    """Brings other replicas' calls to the keeper, in its event loop.

    A pod's labels and workload are looked up here: the other replica says only which pod it is. `proofs` is asked for
    pods that are not watched, or not yet.
    """

    def __init__(
        self,
        keeper: Keeper,
        *,
        hub: Hub,
        binding: Binding,
        elector: Elector,
        identity: ReplicaIdentity,
        proofs: Proofs,
        now: Callable[[], float] = time.time,
    ) -> None:
        self._keeper = keeper
        self._hub = hub
        self._binding = binding
        self._elector = elector
        self._identity = identity
        self._proofs = proofs
        self._now = now
        self._ending = asyncio.Event()
        elector.subscribe(self._look)

    def close(self) -> None:
        """End the streams; to be called before the server is stopped."""
        self._ending.set()

    async def Forward(  # type: ignore[override]  # noqa: N802 - a coroutine that writes to its context; gRPC's name
        self, request_iterator: AsyncIterator[pb.ForwardRequest], context: _Context
    ) -> None:
        """Hear one replica until it goes."""
        hello, expiry = await admitted(request_iterator, context, elector=self._elector, identity=self._identity)
        ending, stream = self._ending, _Stream()
        log.info("replica forwards calls to the ledger", replica=hello.replica)
        reading, writing = self._read(request_iterator, stream), _write(stream, context)
        await served(reading, writing, ending=ending, seconds=expiry - self._now())
        await dismissed(context, ending=ending, is_expired=expiry <= self._now(), again="call")

    async def _read(self, requests: AsyncIterator[pb.ForwardRequest], stream: _Stream) -> None:
        async with asyncio.TaskGroup() as looking:
            async for request in requests:
                if request.WhichOneof("message") != "call":
                    continue
                forwarded = request.call
                peer = self._known(forwarded) or stream.looked_up.get(forwarded.pod_uid)
                if peer is not None:
                    self._submit(forwarded, peer, stream)
                else:
                    # Beside the reading, since the API server is to be asked.
                    looking.create_task(self._look_up(forwarded, stream))

    def _known(self, forwarded: pb.ForwardedCall) -> Peer | None:
        """The pod, as far as it is watched."""
        pod = self._hub.world.pods.get(Key(forwarded.pod.namespace, forwarded.pod.name))
        if pod is None or pod.metadata.uid != forwarded.pod_uid:
            return None
        return _peer(forwarded, labels=dict(pod.metadata.labels), workload=pod.workload)

    async def _look_up(self, forwarded: pb.ForwardedCall, stream: _Stream) -> None:
        name = forwarded.pod
        try:
            pod = await self._proofs.pod(name.namespace, name.name)
        except ProofUnavailableError as error:
            log.info("a pod whose call was forwarded cannot be looked up", pod=name.name, reason=str(error))
            return
        if pod is None or pod.metadata.uid != forwarded.pod_uid:
            return
        peer = _peer(forwarded, labels=dict(pod.metadata.labels), workload=pod.workload)
        stream.looked_up[forwarded.pod_uid] = peer
        self._submit(forwarded, peer, stream)

    def _submit(self, forwarded: pb.ForwardedCall, peer: Peer, stream: _Stream) -> None:
        number = forwarded.stream
        try:
            asked = asked_of(
                forwarded.call,
                peer=lambda: peer,
                incarnation=forwarded.incarnation,
                binding=self._binding,
                reply=lambda reply: stream.reply(number, reply),
                nudge=lambda: stream.nudge(number),
            )
        except MalformedCallError as error:
            log.warning("a forwarded call is not understood", pod=forwarded.pod.name, reason=str(error))
            return
        self._keeper.submit(asked)

    def _look(self) -> None:
        """What was called from a holder is nothing to one that holds the Lease no more."""
        if not self._elector.leading:
            self._ending.set()
            self._ending = asyncio.Event()


def _peer(forwarded: pb.ForwardedCall, *, labels: dict[str, str], workload: str) -> Peer:
    pod = forwarded.pod
    return Peer(namespace=pod.namespace, pod=pod.name, labels=labels, uid=forwarded.pod_uid, workload=workload)


async def _write(stream: _Stream, context: _Context) -> None:
    while True:
        stream.wake.clear()
        replies, stream.replies = stream.replies, {}
        for number, reply in replies.items():
            await context.write(pb.ForwardResponse(stream=number, reply=reply))
        nudges, stream.nudges = stream.nudges, {}
        for number in nudges:
            await context.write(pb.ForwardResponse(stream=number, nudge=quota_pb2.Nudge()))
        if not stream.replies and not stream.nudges:
            await stream.wake.wait()
