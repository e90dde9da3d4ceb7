"""Time zones by name, for all that keeps to a clock."""

from zoneinfo import ZoneInfo

from pointsman_operator.ledger.windows import UnknownTimeZoneError, zone

UNKNOWN_TIME_ZONE = "UnknownTimeZone"
UTC = "UTC"
# Names that files of a zone database have beside the zones: clocks that count leap seconds, and this machine's own.
_NO_ZONES = ("right/", "posix/", "posixrules", "localtime", "Factory")


def zone_named(name: str) -> ZoneInfo:
    """The zone of this name. Raise UnknownTimeZoneError if there is none."""
    if name.startswith(_NO_ZONES):
        raise UnknownTimeZoneError(
            f"there is no time zone {name!r}: write one of the IANA database, such as Europe/Berlin or UTC"
        )
    return zone(name)


def zone_or_utc(name: str) -> ZoneInfo:
    """The zone of this name; UTC where there is none, so that a budget holds all the same."""
    try:
        return zone_named(name)
    except UnknownTimeZoneError:
        return zone(UTC)
