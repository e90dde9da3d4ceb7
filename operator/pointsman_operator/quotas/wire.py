"""Calls and replies on the wire, as the ledger's values: pure."""

import re

from google.protobuf.duration_pb2 import Duration
from google.protobuf.timestamp_pb2 import Timestamp

from pointsman_api.v1 import quota_pb2 as pb
from pointsman_operator.ledger.accounts import AccountKey, Said, Stamp
from pointsman_operator.ledger.messages import BlockState, Call, Item, Reply, Verdict
from pointsman_operator.push import Peer
from pointsman_operator.resources import Kind

# Each number stays a whole one wherever it is added up, in whatever language.
_MOST = 2**53 - 1
_LONGEST_NAME = 1024
_INCARNATION = re.compile(r"[A-Za-z0-9._-]{1,128}")
_STATES = {
    BlockState.OPEN: pb.BLOCK_STATE_OPEN,
    BlockState.CLOSED: pb.BLOCK_STATE_CLOSED,
    BlockState.GONE: pb.BLOCK_STATE_GONE,
}


class MalformedCallError(ValueError):
    """A call is none that a sidecar makes. Its text is a sentence for whoever runs that."""


def holder_of(peer: Peer, incarnation: str) -> str:
    """What the ledger calls a sidecar. Raise MalformedCallError if it names no process."""
    if not _INCARNATION.fullmatch(incarnation):
        raise MalformedCallError("the hello's incarnation must be 1 to 128 letters, digits, dots, dashes, underscores")
    return f"{peer.uid or f'{peer.namespace}:{peer.pod}'}/{incarnation}"


def read_call(call: pb.QuotaCall, *, holder: str, namespace: str) -> Call:
    """A call as it came. Raise MalformedCallError; also where it speaks of another namespace's budgets."""
    return Call(
        id=call.id,
        holder=holder,
        session=call.session,
        declares=call.declares,
        high=_number("high", call.high),
        items=tuple(_item(block, namespace=namespace) for block in call.blocks),
    )


def reply_message(reply: Reply, *, message: str) -> pb.QuotaReply:
    """A reply as it is sent. `message` is a sentence for the sidecar's log, or empty."""
    now = Timestamp()
    now.FromNanoseconds(round(reply.now * 1e9))
    return pb.QuotaReply(
        id=reply.id,
        session=reply.session,
        declare=reply.declare,
        now=now,
        report_after=_duration(reply.report_after),
        retry_after=_duration(reply.retry_after),
        grants_after=_duration(reply.grants_after) if reply.grants_after > 0 else None,
        blocks=[_verdict(verdict) for verdict in reply.verdicts],
        message=message,
    )


def _is_open_to(budget: str, *, namespace: str) -> bool:
    """Whether a namespace may speak of a budget.

    Of its own quotas and policies' limits; and of any provider, whose terms grant or not.
    """
    kind, _, rest = budget.partition("/")
    owner, _, name = rest.partition("/")
    is_own = kind in {Kind.QUOTA, Kind.POLICY} and owner == namespace
    return bool(name) and "/" not in name and (is_own or kind == Kind.PROVIDER)


def _item(block: pb.BlockReport, *, namespace: str) -> Item:
    account = block.account
    if not _is_open_to(account.budget, namespace=namespace):
        raise MalformedCallError("a call speaks of a budget that is not its namespace's")
    if max(len(account.budget), len(account.unit), len(account.subject)) > _LONGEST_NAME:
        raise MalformedCallError(f"a call names an account by more than {_LONGEST_NAME} characters")
    return Item(
        key=AccountKey(
            budget=account.budget,
            unit=account.unit,
            subject=account.subject,
            start=_number("window.start", account.window.start),
            end=_number("window.end", account.window.end),
        ),
        serial=_number("serial", block.serial),
        said=Said(
            returned=_number("returned", block.returned),
            used=_number("used", block.used),
            overrun=_number("overrun", block.overrun),
        ),
        granted=_number("granted", block.granted),
        created=_stamp(block.created) if block.HasField("created") else None,
        total=_wish("total", block.total),
        needed=_wish("needed", block.needed),
        least=_wish("least", block.least),
        closed=block.closed,
    )


def _wish(name: str, value: int) -> int:
    """What is wished for. More than there can be is no mistake: it is not granted."""
    return _number(name, min(value, _MOST))


def _stamp(stamp: pb.AccountStamp) -> Stamp:
    return Stamp(era=_number("era", stamp.era), version=_number("version", stamp.version))


def _number(name: str, value: int) -> int:
    if not 0 <= value <= _MOST:
        raise MalformedCallError(f"a call has {value} as its {name}, which must be from 0 to {_MOST}")
    return value


def _verdict(verdict: Verdict) -> pb.BlockVerdict:
    created = verdict.created
    return pb.BlockVerdict(
        serial=verdict.serial,
        state=_STATES[verdict.state],
        granted=verdict.granted,
        returned=verdict.returned,
        created=None if created is None else pb.AccountStamp(era=created.era, version=created.version),
        short=verdict.short,
        keep=verdict.keep,
        limit=verdict.limit,
        used=verdict.used,
        held=verdict.held,
    )


def _duration(seconds: float) -> Duration:
    duration = Duration()
    duration.FromNanoseconds(round(seconds * 1e9))
    return duration
