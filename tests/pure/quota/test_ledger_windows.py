"""Calendar windows: without gap or overlap, in every time zone, whatever its clocks do."""

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.ledger.windows import (
    Kind,
    UnknownTimeZoneError,
    Window,
    is_window,
    window_at,
    windows_from,
    zone,
)

# Berlin and New York are usual; Lord Howe moves its clocks by half an hour, Kathmandu is at a quarter, Sao Paulo and
# Beirut skipped midnights, Apia a whole day.
_ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "Australia/Lord_Howe",
    "Asia/Kathmandu",
    "America/Sao_Paulo",
    "Asia/Beirut",
    "Pacific/Apia",
)
_MOMENTS = st.integers(min_value=int(datetime(1990, 1, 1, tzinfo=UTC).timestamp()), max_value=2_500_000_000)


def _seconds(text: str, zone_name: str) -> int:
    return int(datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone_name)).timestamp())


@given(moment=_MOMENTS, kind=st.sampled_from(Kind), zone_name=st.sampled_from(_ZONES))
def test_a_window_holds_its_moment_and_all_others_in_it_have_the_same(moment: int, kind: Kind, zone_name: str) -> None:
    time_zone = zone(zone_name)
    window = window_at(kind, time_zone, moment)

    assert window.start <= moment < window.end
    assert is_window(kind, time_zone, window)
    for other in (window.start, window.end - 1, (window.start + window.end) // 2):
        assert window_at(kind, time_zone, other) == window
    assert window_at(kind, time_zone, window.end).start == window.end
    assert window_at(kind, time_zone, window.start - 1).end == window.start


@pytest.mark.parametrize(
    ("kind", "zone_name", "at", "hours"),
    [
        pytest.param(Kind.DAY, "Europe/Berlin", "2026-03-29T12:00", 23, id="clocks go forward"),
        pytest.param(Kind.DAY, "Europe/Berlin", "2026-10-25T12:00", 25, id="clocks go back"),
        pytest.param(Kind.DAY, "America/Sao_Paulo", "2018-11-04T12:00", 23, id="midnight does not exist"),
        pytest.param(Kind.DAY, "Pacific/Apia", "2011-12-29T12:00", 24, id="the next day does not exist"),
        pytest.param(Kind.MONTH, "UTC", "2028-02-10T00:00", 29 * 24, id="leap year"),
        pytest.param(Kind.MONTH, "UTC", "2100-02-10T00:00", 28 * 24, id="no leap year"),
        pytest.param(Kind.MONTH, "Europe/Berlin", "2026-10-10T00:00", 31 * 24 + 1, id="month with an hour more"),
        pytest.param(Kind.HOUR, "Asia/Kathmandu", "2026-05-05T10:20", 1, id="hour at a quarter"),
        pytest.param(
            Kind.HOUR, "Australia/Lord_Howe", "2026-04-05T01:45", 1, id="hour before half an hour comes again"
        ),
        pytest.param(Kind.HOUR, "Europe/Berlin", "2026-10-25T02:30", 1, id="an hour that comes twice is two"),
    ],
)
def test_windows_last_as_long_as_the_calendar_says(kind: Kind, zone_name: str, at: str, hours: float) -> None:
    window = window_at(kind, zone(zone_name), _seconds(at, zone_name))

    assert (window.end - window.start) / 3600 == hours


def test_the_windows_that_follow_are_told_as_far_as_asked() -> None:
    windows = windows_from(Kind.MINUTE, zone("UTC"), 65, until=200, least=2)

    assert windows == (Window(60, 120), Window(120, 180), Window(180, 240))


def test_a_stretch_that_the_calendar_does_not_have_is_no_window() -> None:
    assert not is_window(Kind.DAY, zone("Europe/Berlin"), Window(0, 86_400))


@pytest.mark.parametrize("name", ["Europe/Atlantis", "", "../etc/passwd", "/UTC"])
def test_an_unknown_time_zone_gets_a_sentence(name: str) -> None:
    with pytest.raises(UnknownTimeZoneError, match="write one of the IANA database, such as Europe/Berlin or UTC"):
        zone(name)
