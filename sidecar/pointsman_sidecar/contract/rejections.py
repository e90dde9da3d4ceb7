"""What keeps a snapshot from being put in force, and the checks that find it."""

from google.protobuf.duration_pb2 import Duration

# The longest wait that makes sense for a completion; the CRD's own bound.
_LONGEST = 1800.0


class SnapshotRejectedError(Exception):
    """The snapshot cannot be put in force. The text says why, in words for the policy's status."""


def at_least(where: str, number: int, least: int) -> None:
    """Reject a number below `least`."""
    if number < least:
        raise SnapshotRejectedError(f"{where} is {number}; it must be {least} or more")


def between(where: str, number: int, least: int, most: int) -> int:
    """Reject a number outside of its bounds."""
    if not least <= number <= most:
        raise SnapshotRejectedError(f"{where} is {number}; it must be from {least} to {most}")
    return number


def seconds(where: str, duration: Duration) -> float:
    """A wait, in seconds; reject one that is none."""
    # Not by way of a timedelta, which cannot hold all that a Duration can.
    wait = duration.seconds + duration.nanos / 1e9
    if not 0 < wait <= _LONGEST:
        raise SnapshotRejectedError(f"{where} is {wait:g} s; it must be above 0 and at most {_LONGEST:g} s")
    return wait
