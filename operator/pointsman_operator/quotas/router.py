"""Brings calls to wherever the ledger is kept: here, or at the replica that holds the Lease."""

from collections.abc import Callable
from dataclasses import dataclass
from itertools import count
from typing import Protocol

from pointsman_api.v1 import quota_pb2 as pb
from pointsman_operator.ledger.messages import Reply
from pointsman_operator.push import Peer
from pointsman_operator.quotas.binding import Binding
from pointsman_operator.quotas.keeper import Asked, Keeper
from pointsman_operator.quotas.wire import holder_of, read_call, reply_message


class Elsewhere(Protocol):
    """The ledger of another replica."""

    def send(self, caller: "Caller") -> None:
        """Bring the caller's pending call there, now or as soon as it can be reached."""


@dataclass(eq=False, kw_only=True)
class Caller:
    """A sidecar's stream, here.

    Attributes:
        stream: its number, which is no other's.
        peer: the pod, as it is known now.
        deliver: takes what is to be sent to it.
        pending: the call that was not answered yet.
    """

    stream: int
    peer: Peer
    incarnation: str
    deliver: Callable[[pb.ExchangeResponse], None]
    pending: pb.QuotaCall | None = None

    def answer(self, reply: pb.QuotaReply) -> None:
        """Take the answer to the pending call. One that comes late answers nothing."""
        if self.pending is not None and self.pending.id == reply.id:
            self.pending = None
            self.deliver(pb.ExchangeResponse(reply=reply))

    def nudge(self) -> None:
        """The ledger would like to hear of its blocks."""
        self.deliver(pb.ExchangeResponse(nudge=pb.Nudge()))


def asked_of(
    call: pb.QuotaCall,
    *,
    peer: Callable[[], Peer],
    incarnation: str,
    binding: Binding,
    reply: Callable[[pb.QuotaReply], None],
    nudge: Callable[[], None],
) -> Asked:
    """A call as a keeper takes it. Raise MalformedCallError."""

    def told(answer: Reply, message: str) -> None:
        reply(reply_message(answer, message=message))

    who = peer()
    return Asked(
        call=read_call(call, holder=holder_of(who, incarnation), namespace=who.namespace),
        terms=lambda: binding.terms(peer()),
        reply=told,
        nudge=nudge,
    )


class Router:
    """Knows the streams of this replica's sidecars. The ledger is kept here, unless `share` says otherwise."""

    def __init__(self, keeper: Keeper, *, binding: Binding) -> None:
        self._keeper = keeper
        self._binding = binding
        self._leading: Callable[[], bool] = lambda: True
        self._elsewhere: Elsewhere | None = None
        self.callers: dict[int, Caller] = {}
        self._numbers = count(1)

    def share(self, elsewhere: Elsewhere, *, leading: Callable[[], bool]) -> None:
        """There are other replicas: the ledger is kept here while this one is `leading`, and else by another."""
        self._elsewhere, self._leading = elsewhere, leading

    def join(self, peer: Peer, *, incarnation: str, deliver: Callable[[pb.ExchangeResponse], None]) -> Caller:
        """A stream begins. Raise MalformedCallError where it names no process."""
        holder_of(peer, incarnation)
        caller = Caller(stream=next(self._numbers), peer=peer, incarnation=incarnation, deliver=deliver)
        self.callers[caller.stream] = caller
        return caller

    def leave(self, caller: Caller) -> None:
        """A stream ends."""
        self.callers.pop(caller.stream, None)
        caller.pending = None

    def call(self, caller: Caller, call: pb.QuotaCall) -> None:
        """Bring a call to the ledger. Raise MalformedCallError."""
        read_call(call, holder="", namespace=caller.peer.namespace)
        caller.pending = call
        self._bring(caller)

    def look(self) -> None:
        """The ledger may be kept elsewhere now: what was not answered is asked there. Asking twice changes nothing."""
        for caller in self.callers.values():
            if caller.pending is not None:
                self._bring(caller)

    def _bring(self, caller: Caller) -> None:
        if caller.pending is None:
            return
        if not self._leading():
            if self._elsewhere is not None:
                self._elsewhere.send(caller)
            return
        self._keeper.submit(
            asked_of(
                caller.pending,
                peer=lambda: caller.peer,
                incarnation=caller.incarnation,
                binding=self._binding,
                reply=caller.answer,
                nudge=caller.nudge,
            )
        )
