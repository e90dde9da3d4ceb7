"""What to do with a Lease: pure."""

from dataclasses import dataclass
from enum import Enum, auto

from pointsman_operator.election.records import Record


class Step(Enum):
    """What a replica does next."""

    CREATE = auto()
    TAKE = auto()
    RENEW = auto()
    WAIT = auto()


@dataclass(frozen=True, kw_only=True)
class Sighting:
    """A Lease, None where there is none, and when it was first seen as it is, on the replica's own clock."""

    record: Record | None
    since: float


def seen(record: Record | None, *, before: Sighting | None, now: float) -> Sighting:
    """The sighting after another look. Clocks of different machines are never compared: only what changes counts."""
    if before is not None and before.record is not None and record is not None:
        same = before.record.version == record.version
        return Sighting(record=record, since=before.since if same else now)
    return Sighting(record=record, since=now)


def decide(sighting: Sighting, *, me: str, now: float) -> Step:
    """Decide for the replica of this name."""
    record = sighting.record
    if record is None:
        return Step.CREATE
    if record.holder is None:
        return Step.TAKE
    if record.holder.name == me:
        return Step.RENEW
    return Step.TAKE if now - sighting.since >= record.duration else Step.WAIT
