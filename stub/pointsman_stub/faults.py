"""Faults on demand: what a fault is, how one is written, and which one meets a request.

A fault is written as a JSON object (`{"status": 429, "retry_after": 2}`) or, in the header `x-stub-fault`, also as
`status=429; retry_after=2`. Its fields are those of `Fault`. What a fault does to an answer is in `deliveries`.
"""

import dataclasses
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pointsman_stub.durations import parse_duration
from pointsman_stub.errors import Json

HEADER = "x-stub-fault"
_POINTS = ("start", "headers")
_GARBAGE = ("html", "json", "events")
_ODD = ("no_choices", "no_usage", "wrong_usage", "filtered")
_EFFECTS = ("status", "hang", "cut", "garbage", "odd", "error_after")
_FIRST_ERROR, _LAST_ERROR = 400, 599


class FaultError(ValueError):
    """A fault that cannot be understood; the message says which field, and what to write instead."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """One thing that goes wrong. It has one of the six effects, or only makes the answer slow.

    `hang` and `cut` take a point: `start` (no byte is sent), `headers` (status and headers are), or the number of
    events that a stream sends first; a unary answer stops halfway through its body instead.
    """

    # Which requests it meets: those for a model (absent: all), how many of them (absent: until it is deleted), and what
    # share of them, from 0 to 1, by lot (absent: all).
    model: str | None = None
    times: int | None = None
    share: float | None = None
    # The effects.
    status: int | None = None  # an error with this status
    hang: str | int | None = None  # nothing more is sent, and the connection stays open
    cut: str | int | None = None  # the connection is closed
    garbage: str | None = None  # "html": a web page; "json": JSON that breaks off; "events": lines that are none
    odd: str | None = None  # well formed, but "no_choices", "no_usage", "wrong_usage", or "filtered" by the provider
    error_after: int | None = None  # an error event after so many events of a stream; a unary answer is a 500
    # Particulars of `status`.
    retry_after: float | None = None
    code: str | None = None
    # Slowness, in seconds; replaces the server's own.
    latency: float | None = None
    chunk_delay: float | None = None

    def __post_init__(self) -> None:
        for name, read in _READERS.items():
            if self._has(name):
                object.__setattr__(self, name, read(name, getattr(self, name)))
        effects = [name for name in _EFFECTS if self._has(name)]
        if len(effects) > 1:
            raise FaultError(f"a fault has one effect, but this one has {' and '.join(effects)}")
        if not (effects or self._has("latency") or self._has("chunk_delay")):
            raise FaultError(f"a fault needs one of {', '.join(_EFFECTS)}, or latency or chunk_delay")
        for name in ("retry_after", "code"):
            if self._has(name) and self.status is None:
                raise FaultError(f"{name} belongs to a status, and there is none")

    def _has(self, name: str) -> bool:
        return getattr(self, name) is not None

    def body(self) -> Json:
        """The fault as JSON, with the fields that are set."""
        return {name: value for name, value in dataclasses.asdict(self).items() if value is not None}


def parse_fault(value: object) -> Fault:
    """A fault from a JSON object."""
    if not isinstance(value, dict):
        raise FaultError(f"a fault is an object with fields such as status or hang, not {value!r}")
    unknown = sorted(value.keys() - _READERS.keys())
    if unknown:
        raise FaultError(f"{unknown[0]!r} is no field of a fault; there are {', '.join(_READERS)}")
    return Fault(**value)


def parse_faults(value: object) -> tuple[Fault, ...]:
    """Faults from a JSON array of objects."""
    if not isinstance(value, list):
        raise FaultError('faults are an array of objects, such as [{"status": 500, "times": 2}]')
    faults: list[Fault] = []
    for index, item in enumerate(value):
        try:
            faults.append(parse_fault(item))
        except FaultError as error:
            raise FaultError(f"fault {index}: {error}") from error
    return tuple(faults)


def parse_header(text: str) -> Fault:
    """The fault of one request, from its header."""
    if text.lstrip().startswith("{"):
        try:
            value = json.loads(text)
        except ValueError as error:
            raise FaultError(f"its JSON does not parse: {error}") from error
    else:
        pairs = [pair.partition("=") for pair in text.split(";") if pair.strip()]
        value = {name.strip(): _number_or_text(item.strip()) for name, _, item in pairs}
    fault = parse_fault(value)
    for name in ("times", "share"):
        if getattr(fault, name) is not None:
            raise FaultError(f"{name} has no meaning in a header, which meets its own request only")
    return fault


class FaultBook:
    """The faults in force, in order. `draw` gives a number from 0 to 1 for those that meet a share."""

    def __init__(self, *, draw: Callable[[], float]) -> None:
        self.faults: tuple[Fault, ...] = ()
        self._draw = draw

    def take(self, model: str | None) -> Fault | None:
        """The first fault that meets a request for this model; one of its times is used up."""
        for index, fault in enumerate(self.faults):
            if fault.model in (None, model) and (fault.share is None or self._draw() < fault.share):
                self.faults = self.faults[:index] + _left(fault) + self.faults[index + 1 :]
                return fault
        return None


def _left(fault: Fault) -> tuple[Fault, ...]:
    if fault.times is None:
        return (fault,)
    return (dataclasses.replace(fault, times=fault.times - 1),) if fault.times > 1 else ()


def _number_or_text(text: str) -> int | float | str:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text


def _text(name: str, value: object) -> str:
    if not isinstance(value, str) or not value:
        raise FaultError(f"{name} must be a text, not {value!r}")
    return value


def _at_least_one(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise FaultError(f"{name} must be an integer of 1 or more, not {value!r}")
    return value


def _share(name: str, value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value <= 1:
        raise FaultError(f"{name} must be a number above 0 and up to 1, not {value!r}")
    return float(value)


def _status(name: str, value: object) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not _FIRST_ERROR <= value <= _LAST_ERROR:
        raise FaultError(f"{name} must be an error status from {_FIRST_ERROR} to {_LAST_ERROR}, not {value!r}")
    return value


def _point(name: str, value: object) -> str | int:
    if value in _POINTS:
        return str(value)
    try:
        return _at_least_one(name, value)
    except FaultError:
        raise FaultError(
            f"{name} must be 'start', 'headers' or a number of events of 1 or more, not {value!r}"
        ) from None


def _garbage(name: str, value: object) -> str:
    if value not in _GARBAGE:
        raise FaultError(f"{name} must be 'html', 'json' or 'events', not {value!r}")
    return str(value)


def _odd(name: str, value: object) -> str:
    if value not in _ODD:
        raise FaultError(f"{name} must be one of {', '.join(_ODD)}, not {value!r}")
    return str(value)


def _duration(name: str, value: object) -> float:
    try:
        return parse_duration(value)
    except ValueError as error:
        raise FaultError(f"{name}: {error}") from error


_READERS: Mapping[str, Callable[[str, object], Any]] = {
    "model": _text,
    "times": _at_least_one,
    "share": _share,
    "status": _status,
    "hang": _point,
    "cut": _point,
    "garbage": _garbage,
    "odd": _odd,
    "error_after": _at_least_one,
    "retry_after": _duration,
    "code": _text,
    "latency": _duration,
    "chunk_delay": _duration,
}
