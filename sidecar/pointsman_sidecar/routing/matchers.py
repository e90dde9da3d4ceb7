"""What rules ask of a request beyond its own fields: each test, and the sentence on it."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, tzinfo
from enum import StrEnum
from typing import TYPE_CHECKING, Any

from pointsman_sidecar.routing.words import Words

if TYPE_CHECKING:
    from pointsman_sidecar.routing.facts import Facts

_LONGEST_SHOWN = 120
_MOST_SHOWN = 5
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_HOUR, _DAY = 60, 24 * 60


class Domain(StrEnum):
    """What a request is about, where a wrong answer may harm."""

    LEGAL = "Legal"
    MEDICAL = "Medical"
    MONEY = "Money"
    SAFETY = "Safety"


class Shape(StrEnum):
    """The shape of the answer that a request asks for."""

    TEXT = "Text"
    JSON_OBJECT = "JSONObject"
    JSON_SCHEMA = "JSONSchema"


class Kind(StrEnum):
    """What can stand in a message beside prose."""

    CODE = "Code"
    MATHS = "Maths"


class ExpressionError(Exception):
    """An expression came to no verdict on a request. The text says why, in words of its own: no value is in it."""


class Inquiry(ABC):
    """A test of a request and of what is around it."""

    __slots__ = ()

    @abstractmethod
    def holds(self, facts: "Facts") -> bool:
        """Whether the request passes."""

    @abstractmethod
    def described(self, facts: "Facts", *, holds: bool) -> str:
        """What was found in the request where it passes; what is asked for where it does not."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Presence(Inquiry):
    """Matches where something is given, or is not: a header, a user, tools."""

    what: str
    exists: bool
    given: Callable[["Facts"], bool]

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return self.given(facts) is self.exists

    def described(self, facts: "Facts", *, holds: bool) -> str:  # noqa: ARG002 - the same for all requests
        """See `Inquiry`."""
        return f"{self.what} {'given' if self.exists else 'absent'}"


@dataclass(frozen=True, kw_only=True, slots=True)
class HeaderIn(Inquiry):
    """Matches a request whose header has one of these values."""

    name: str
    values: frozenset[str]

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return facts.headers.get(self.name) in self.values

    def described(self, facts: "Facts", *, holds: bool) -> str:
        """See `Inquiry`."""
        return f"header {self.name} {_choice([facts.headers[self.name]] if holds else self.values)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class UserIn(Inquiry):
    """Matches the requests of these users."""

    users: frozenset[str]

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return facts.features.user in self.users

    def described(self, facts: "Facts", *, holds: bool) -> str:
        """See `Inquiry`."""
        return f"user {_choice([facts.features.user] if holds else self.users)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class UserLike(Inquiry):
    """Matches users whose id begins with `start` and ends with `end`."""

    start: str = ""
    end: str = ""

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        user = facts.features.user
        return user.startswith(self.start) and user.endswith(self.end)

    def described(self, facts: "Facts", *, holds: bool) -> str:  # noqa: ARG002 - an id may be an address
        """See `Inquiry`."""
        return f"user {self.start}…" if self.start else f"user …{self.end}"


@dataclass(frozen=True, kw_only=True, slots=True)
class DomainIn(Inquiry):
    """Matches requests about one of these."""

    domains: frozenset[Domain]

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return not self.domains.isdisjoint(facts.domains)

    def described(self, facts: "Facts", *, holds: bool) -> str:
        """See `Inquiry`."""
        return f"domain {_choice(self.domains & facts.domains if holds else self.domains)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ToolIn(Inquiry):
    """Matches requests that offer one of these tools."""

    names: frozenset[str]

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return not self.names.isdisjoint(facts.tools)

    def described(self, facts: "Facts", *, holds: bool) -> str:
        """See `Inquiry`."""
        return f"tool {_choice(self.names.intersection(facts.tools) if holds else self.names)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class ShapeIn(Inquiry):
    """Matches requests that ask for one of these shapes."""

    shapes: frozenset[Shape]

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return facts.features.shape in self.shapes

    def described(self, facts: "Facts", *, holds: bool) -> str:
        """See `Inquiry`."""
        return f"response format {_choice([facts.features.shape] if holds else self.shapes)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class LanguageIn(Inquiry):
    """Matches requests whose last message by a user is in one of these languages."""

    languages: frozenset[str]

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return facts.language in self.languages

    def described(self, facts: "Facts", *, holds: bool) -> str:
        """See `Inquiry`."""
        return f"language {_choice([facts.language] if holds else self.languages)}"


@dataclass(frozen=True, kw_only=True, slots=True)
class KindIn(Inquiry):
    """Matches requests that hold one of these."""

    kinds: frozenset[Kind]

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return not self.kinds.isdisjoint(facts.kinds)

    def described(self, facts: "Facts", *, holds: bool) -> str:
        """See `Inquiry`."""
        return f"{_choice(self.kinds & facts.kinds if holds else self.kinds)} in the messages"


@dataclass(frozen=True, kw_only=True, slots=True)
class Keyword(Inquiry):
    """Matches requests that hold one of these words."""

    words: frozenset[str]
    index: Words[str] = field(repr=False, compare=False)

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return bool(facts.found(self.index))

    def described(self, facts: "Facts", *, holds: bool) -> str:
        """See `Inquiry`."""
        words = sorted(facts.found(self.index) if holds else self.words)
        more = "" if len(words) <= _MOST_SHOWN else f" or {len(words) - _MOST_SHOWN} more"
        return f"keyword {_choice(words[:_MOST_SHOWN])}{more}"


@dataclass(frozen=True, kw_only=True, slots=True)
class TimeOfDay(Inquiry):
    """Matches from a minute of the day to another, maybe of the next day, on days counted from 0 for Monday."""

    days: frozenset[int]
    start: int
    end: int
    zone: tzinfo
    zone_name: str

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        local = datetime.fromtimestamp(facts.surroundings.now, self.zone)
        minute, day = local.hour * _HOUR + local.minute, local.weekday()
        if self.start < self.end:
            return self.start <= minute < self.end and day in self.days
        # Over midnight: what is before the end began on the day before.
        return (minute >= self.start and day in self.days) or (minute < self.end and (day - 1) % 7 in self.days)

    def described(self, facts: "Facts", *, holds: bool) -> str:  # noqa: ARG002 - the same for all requests
        """See `Inquiry`."""
        days = "every day" if len(self.days) == len(_DAYS) else _choice(_DAYS[day] for day in sorted(self.days))
        hours = "" if (self.start, self.end) == (0, _DAY) else f" {_clock(self.start)} to {_clock(self.end)}"
        return f"{days}{hours} ({self.zone_name})"


@dataclass(frozen=True, kw_only=True, slots=True)
class NegativeFeedback(Inquiry):
    """Matches requests of sessions in which so many answers, or more, were labelled as such that would not do."""

    at_least: int

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return facts.features.negative_feedback >= self.at_least

    def described(self, facts: "Facts", *, holds: bool) -> str:  # noqa: ARG002 - the count says which
        """See `Inquiry`."""
        labels = "negative label" if self.at_least == 1 else "negative labels"
        return f"at least {self.at_least} {labels} in the session ({facts.features.negative_feedback} known)"


@dataclass(frozen=True, kw_only=True, slots=True)
class Expression(Inquiry):
    """Matches where an expression is true. `names` are the fields of the request that it may read."""

    source: str
    names: frozenset[str]
    evaluate: Callable[[Mapping[str, Any]], bool] = field(repr=False, compare=False)

    def holds(self, facts: "Facts") -> bool:
        """See `Inquiry`."""
        return facts.verdict(self) is True

    def described(self, facts: "Facts", *, holds: bool) -> str:  # noqa: ARG002 - the verdict says more
        """See `Inquiry`."""
        line = " ".join(self.source.split())
        shown = line if len(line) <= _LONGEST_SHOWN else f"{line[:_LONGEST_SHOWN]}…"
        verdict = facts.verdict(self)
        return f"{shown} (it failed: {verdict})" if isinstance(verdict, ExpressionError) else shown


def _clock(minute: int) -> str:
    return f"{minute // _HOUR:02}:{minute % _HOUR:02}"


def _choice(names: Iterable[str]) -> str:
    return " or ".join(names if isinstance(names, list) else sorted(names))
