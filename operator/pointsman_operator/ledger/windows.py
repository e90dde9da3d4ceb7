"""Calendar windows in a time zone: minutes, hours, days and months as people there count them.

A window is a pair of moments in seconds since 1970, so that nothing downstream knows of time zones. Windows of a kind
and
zone follow each other without gap or overlap, also where clocks are changed: a day may last 23 or 25 hours, and where
an hour comes twice it is two windows.
"""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

_MINUTE = 60


class Kind(StrEnum):
    """How long a window is, by its name in the resource."""

    MINUTE = "Minute"
    HOUR = "Hour"
    DAY = "Day"
    MONTH = "Month"


@dataclass(frozen=True, order=True, slots=True)
class Window:
    """From `start` on, and up to but not including `end`; in whole seconds since 1970."""

    start: int
    end: int


class UnknownTimeZoneError(ValueError):
    """There is no such time zone. Its text is a sentence for whoever wrote the name."""


def zone(name: str) -> ZoneInfo:
    """The time zone of this name of the IANA database. Raise UnknownTimeZoneError if there is none."""
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise UnknownTimeZoneError(
            f"there is no time zone {name!r}: write one of the IANA database, such as Europe/Berlin or UTC"
        ) from None


def window_at(kind: Kind, time_zone: ZoneInfo, moment: float) -> Window:
    """The window that holds the moment."""
    return _window(kind, time_zone, int(moment // _MINUTE * _MINUTE))


def windows_from(kind: Kind, time_zone: ZoneInfo, moment: float, *, until: float, least: int) -> tuple[Window, ...]:
    """The window that holds the moment and those that follow it: all that begin by `until`, and `least` at least."""
    found = [window_at(kind, time_zone, moment)]
    while len(found) < least or found[-1].end <= until:
        found.append(window_at(kind, time_zone, found[-1].end))
    return tuple(found)


def is_window(kind: Kind, time_zone: ZoneInfo, window: Window) -> bool:
    """Whether the calendar has this window."""
    return window.start % _MINUTE == 0 and _window(kind, time_zone, window.start) == window


@lru_cache(maxsize=4096)
def _window(kind: Kind, time_zone: ZoneInfo, minute: int) -> Window:
    local = datetime.fromtimestamp(minute, time_zone)
    match kind:
        case Kind.MINUTE:
            return Window(minute, minute + _MINUTE)
        case Kind.HOUR:
            return _hour(minute, time_zone)
        case Kind.DAY:
            midnight = local.replace(hour=0, minute=0, second=0, fold=0)
            return Window(_first(midnight), _first(_naive_days_later(midnight, 1)))
        case Kind.MONTH:
            first = local.replace(day=1, hour=0, minute=0, second=0, fold=0)
            return Window(_first(first), _first(_naive_days_later(first, 32).replace(day=1)))


def _hour(minute: int, time_zone: ZoneInfo) -> Window:
    """The stretch of minutes around this one whose local clock shows the same hour, uninterrupted."""
    local = datetime.fromtimestamp(minute, time_zone)
    start = minute - _MINUTE * local.minute
    end = start + 60 * _MINUTE
    if _same_hour(start, minute, time_zone) and _same_hour(minute, end - _MINUTE, time_zone):
        return Window(start, end)
    # Clocks are changed within this hour, which happens in few zones: go by the minute.
    start = minute
    while _same_hour(start - _MINUTE, minute, time_zone):
        start -= _MINUTE
    end = minute + _MINUTE
    while _same_hour(end, minute, time_zone):
        end += _MINUTE
    return Window(start, end)


def _same_hour(one: int, other: int, time_zone: ZoneInfo) -> bool:
    local, like = datetime.fromtimestamp(one, time_zone), datetime.fromtimestamp(other, time_zone)
    return local.utcoffset() == like.utcoffset() and local.replace(minute=0) == like.replace(minute=0)


def _naive_days_later(local: datetime, days: int) -> datetime:
    """The same time on the wall, so many days later."""
    return local + timedelta(days=days)


def _first(local: datetime) -> int:
    """The first moment whose local time is this or later: where clocks skip it, the moment at which they do."""
    earlier = int(local.replace(fold=0).astimezone(UTC).timestamp())
    later = int(local.replace(fold=1).astimezone(UTC).timestamp())
    if earlier <= later:
        return earlier
    # Skipped: fold=0 counts by the offset before the change and lands after it, fold=1 the other way round.
    wall = local.replace(tzinfo=None)
    low, high = later, earlier
    while low < high:
        middle = (low + high) // 2
        if datetime.fromtimestamp(middle, local.tzinfo).replace(tzinfo=None) >= wall:
            high = middle
        else:
            low = middle + 1
    return low
