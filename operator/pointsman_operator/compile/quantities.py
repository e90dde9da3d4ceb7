"""Durations and sizes, in the few forms that the CRD lets through."""

from google.protobuf.duration_pb2 import Duration

_MILLISECONDS = {"ms": 1, "s": 1_000, "m": 60_000}
_BYTES = {"Ki": 1024, "Mi": 1024 * 1024}


def duration(text: str) -> Duration:
    """Read a duration such as 300ms, 15s or 2m. Raise ValueError if it is none."""
    number = text.rstrip("ms")
    value = Duration()
    value.FromMilliseconds(int(number) * _factor(text, number, _MILLISECONDS))
    return value


def size(text: str) -> int:
    """Read a size such as 512Ki or 4Mi, as bytes. Raise ValueError if it is none."""
    number = text.rstrip("KMi")
    return int(number) * _factor(text, number, _BYTES)


def _factor(text: str, number: str, units: dict[str, int]) -> int:
    unit = text[len(number) :]
    if unit not in units or not number.isdecimal():
        raise ValueError(f"{text!r} is no number with one of the units {', '.join(units)}")
    return units[unit]
