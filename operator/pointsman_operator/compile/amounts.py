"""Money and time zones, as budgets are written in: what `TokenQuota` and `escalation.dailyLimit` have in common."""

from decimal import Decimal
from zoneinfo import ZoneInfo

from pointsman_operator.ledger.windows import UnknownTimeZoneError, zone

UNKNOWN_TIME_ZONE = "UnknownTimeZone"
TWO_CURRENCIES = "TwoCurrencies"
UTC = "UTC"
MICROS = 1_000_000
# Names that files of a zone database have beside the zones: clocks that count leap seconds, and this machine's own.
_NO_ZONES = ("right/", "posix/", "posixrules", "localtime", "Factory")


def named_zone(name: str) -> ZoneInfo:
    """The zone of this name. Raise UnknownTimeZoneError if there is none."""
    if name.startswith(_NO_ZONES):
        raise UnknownTimeZoneError(
            f"there is no time zone {name!r}: write one of the IANA database, such as Europe/Berlin or UTC"
        )
    return zone(name)


def zone_or_utc(name: str) -> ZoneInfo:
    """The zone of this name; UTC where there is none, so that a budget holds all the same."""
    try:
        return named_zone(name)
    except UnknownTimeZoneError:
        return zone(UTC)


def millionths(amount: str) -> int:
    """Money as the ledger counts it. The CRD lets nothing finer through; what slipped past it is rounded down."""
    return int(Decimal(amount) * MICROS)
