"""How a reply is delivered: whole, or as a fault would have it. Decided here, carried out by `server`."""

import dataclasses
from dataclasses import dataclass
from enum import Enum, auto

from pointsman_stub.errors import error_of_status
from pointsman_stub.faults import Fault
from pointsman_stub.oddities import odd
from pointsman_stub.replies import Reply, document, event, refusal

_PAGE = b"<!doctype html><title>Bad gateway</title><p>This page comes from something in between.</p>\n"
# Lines, but none of an event's fields.
_NO_EVENTS = (b"datum: one\n\n", b"{}\n\n")


class Ending(Enum):
    """What happens after the last part that is sent."""

    COMPLETE = auto()
    HANG = auto()
    CUT = auto()


@dataclass(frozen=True, kw_only=True)
class Delivery:
    """A reply and the manner of sending it; `sent` parts of it at most, and no headers either where `silent`."""

    reply: Reply
    latency: float
    chunk_delay: float
    sent: int
    silent: bool = False
    ending: Ending = Ending.COMPLETE


def at_once(reply: Reply) -> Delivery:
    """Send the reply without delay or fault."""
    return deliver(reply, fault=None, latency=0.0, chunk_delay=0.0)


def deliver(reply: Reply, *, fault: Fault | None, latency: float, chunk_delay: float) -> Delivery:
    """Send the reply; the fault, if there is one, decides how it goes wrong."""
    if fault is not None:
        reply = _spoilt(reply, fault)
        latency = latency if fault.latency is None else fault.latency
        chunk_delay = chunk_delay if fault.chunk_delay is None else fault.chunk_delay
    delivery = Delivery(
        reply=reply,
        latency=latency,
        chunk_delay=chunk_delay if reply.streams else 0.0,
        sent=len(reply.parts),
    )
    if fault is not None and fault.hang is not None:
        return _stopped(delivery, at=fault.hang, ending=Ending.HANG)
    if fault is not None and fault.cut is not None:
        return _stopped(delivery, at=fault.cut, ending=Ending.CUT)
    return delivery


def _stopped(delivery: Delivery, *, at: str | int, ending: Ending) -> Delivery:
    # The last part is never sent: a client that saw it would have the whole answer.
    sent = min(at, len(delivery.reply.parts) - 1) if isinstance(at, int) else 0
    return dataclasses.replace(delivery, sent=sent, silent=at == "start", ending=ending)


def _spoilt(reply: Reply, fault: Fault) -> Reply:
    if fault.status is not None:
        return _failure(fault.status, fault=fault)
    if fault.error_after is not None:
        return _broken_by_error(reply, after=fault.error_after)
    if fault.odd is not None:
        return odd(reply, fault.odd)
    return _garbled(reply, fault.garbage)


def _garbled(reply: Reply, garbage: str | None) -> Reply:
    match garbage:
        case "html":
            return Reply(content_type="text/html", parts=(_PAGE,))
        case "events":
            return dataclasses.replace(reply, parts=_NO_EVENTS)
        case "json" if reply.streams:
            first = reply.parts[0]
            return dataclasses.replace(reply, parts=(first, first[: len(first) // 2] + b"\n\n"))
        case "json":
            return dataclasses.replace(reply, parts=reply.parts[:1])
    return reply


def _failure(status: int, *, fault: Fault) -> Reply:
    error = error_of_status(status, message=f"The stub was asked to fail with {status}.", code=fault.code)
    if fault.retry_after is None:
        return refusal(error)
    return refusal(error, headers={"retry-after": f"{fault.retry_after:g}"})


def _broken_by_error(reply: Reply, *, after: int) -> Reply:
    error = error_of_status(500, message="The stub was asked to fail while it answered.")
    if not reply.streams:
        return document(error.body(), status=error.status)
    return dataclasses.replace(reply, parts=(*reply.parts[:-1][:after], event(error.body())))
