"""Strings and numbers that fit a JSON schema; objects, arrays and unions of them are put together in `schemas`."""

import itertools
import math
import re

from pointsman_stub.errors import Json
from pointsman_stub.patterns import UnreadablePatternError, example

_FORMATS = {
    "date": "2026-01-31",
    "date-time": "2026-01-31T12:00:00Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "time": "12:00:00Z",
    "uri": "https://example.com/",
    "uuid": "00000000-0000-4000-8000-000000000000",
}
# Bounds that are absent; far enough for any schema, near enough for exact arithmetic.
_LOWEST, _HIGHEST = -1e15, 1e15


class UnsatisfiableError(ValueError):
    """No value was found; the message says why."""


def text(schema: Json, *, wish: str) -> str:
    """A string: the wish where the schema leaves it free, cut or padded to its lengths."""
    least = schema.get("minLength", 0)
    most = schema.get("maxLength", math.inf)
    if "pattern" in schema:
        candidates = _by_pattern(schema["pattern"], longest=least)
    elif schema.get("format") in _FORMATS:
        candidates = [_FORMATS[schema["format"]]]
    else:
        candidates = [wish.ljust(least, ".")[: schema.get("maxLength")]]
    for candidate in candidates:
        if least <= len(candidate) <= most:
            return candidate
    raise UnsatisfiableError("no string was found that fits its pattern, format and lengths")


def integer(schema: Json) -> int:
    """An integer: 1 if it fits, else the lowest that does."""
    lowest = math.ceil(max(schema.get("minimum", _LOWEST), schema.get("exclusiveMinimum", _LOWEST)))
    for value in itertools.chain([1], range(lowest, lowest + 10_000)):
        if _within(value, schema) and value % schema.get("multipleOf", 1) == 0:
            return value
    raise UnsatisfiableError("no integer was found within its bounds")


def number(schema: Json) -> float:
    """A number: 1 if it fits, else something near or between its bounds."""
    low = max(schema.get("minimum", _LOWEST), schema.get("exclusiveMinimum", _LOWEST))
    high = min(schema.get("maximum", _HIGHEST), schema.get("exclusiveMaximum", _HIGHEST))
    candidates: list[float] = [1.0, 0.5, low, high, (low + high) / 2]
    if step := schema.get("multipleOf"):
        candidates = [0.0, step, math.ceil(low / step) * step, math.floor(high / step) * step]
    for value in candidates:
        if _within(value, schema):
            return value
    raise UnsatisfiableError("no number was found within its bounds")


def _within(value: float, schema: Json) -> bool:
    at_least, above = schema.get("minimum", -math.inf), schema.get("exclusiveMinimum", -math.inf)
    at_most, below = schema.get("maximum", math.inf), schema.get("exclusiveMaximum", math.inf)
    return bool(at_least <= value <= at_most and above < value < below)


def _by_pattern(pattern: str, *, longest: int) -> list[str]:
    try:
        texts = [example(pattern, extra=extra) for extra in range(longest + 1)]
        return [one for one in texts if re.search(pattern, one)]
    except (UnreadablePatternError, re.error) as error:
        raise UnsatisfiableError(f"the pattern {pattern!r} is not understood: {error}") from error
