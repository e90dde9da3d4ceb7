"""The tests of a route's condition, as the routing holds them."""

from collections.abc import Callable, Iterable, Mapping
from typing import TypeVar
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pointsman_api.v1 import snapshot_pb2, types_pb2
from pointsman_sidecar.contract.expressions import expression
from pointsman_sidecar.contract.rejections import SnapshotRejectedError
from pointsman_sidecar.routing.facts import Facts
from pointsman_sidecar.routing.languages import LANGUAGES
from pointsman_sidecar.routing.matchers import (
    Domain,
    DomainIn,
    HeaderIn,
    Inquiry,
    Keyword,
    Kind,
    KindIn,
    LanguageIn,
    NegativeFeedback,
    Presence,
    Shape,
    ShapeIn,
    TimeOfDay,
    ToolIn,
    UserIn,
    UserLike,
)
from pointsman_sidecar.routing.words import Words

DOMAINS: Mapping[int, Domain] = {
    types_pb2.DOMAIN_LEGAL: Domain.LEGAL,
    types_pb2.DOMAIN_MEDICAL: Domain.MEDICAL,
    types_pb2.DOMAIN_MONEY: Domain.MONEY,
    types_pb2.DOMAIN_SAFETY: Domain.SAFETY,
}
_SHAPES: Mapping[int, Shape] = {
    snapshot_pb2.SHAPE_TEXT: Shape.TEXT,
    snapshot_pb2.SHAPE_JSON_OBJECT: Shape.JSON_OBJECT,
    snapshot_pb2.SHAPE_JSON_SCHEMA: Shape.JSON_SCHEMA,
}
_KINDS: Mapping[int, Kind] = {snapshot_pb2.CONTENT_CODE: Kind.CODE, snapshot_pb2.CONTENT_MATHS: Kind.MATHS}
_DAYS = range(1, 8)
_DAY = 24 * 60
_Value = TypeVar("_Value")
_READ: "Mapping[str, Callable[[str, snapshot_pb2.Matcher], Inquiry]]"


def inquiry(where: str, matcher: snapshot_pb2.Matcher) -> Inquiry | None:
    """The test that a matcher is, None where it is none of these.

    Raises:
        SnapshotRejectedError: it holds what this build does not know.
    """
    read = _READ.get(matcher.WhichOneof("matcher") or "")
    return None if read is None else read(where, matcher)


def known(where: str, numbers: Iterable[int], table: Mapping[int, _Value]) -> frozenset[_Value]:
    """The values of these numbers."""
    return frozenset(one(where, number, table) for number in numbers)


def one(where: str, number: int, table: Mapping[int, _Value]) -> _Value:
    """The value of this number."""
    if number not in table:
        raise SnapshotRejectedError(f"{where} holds a value that this sidecar does not know ({number})")
    return table[number]


def _header(where: str, matcher: snapshot_pb2.Matcher) -> Inquiry:
    header = matcher.header
    name = header.name
    match header.WhichOneof("test"):
        case "exists":
            return Presence(what=f"header {name}", exists=header.exists, given=lambda facts: name in facts.headers)
        case "in":
            return HeaderIn(name=name, values=_values(header))
        case None:
            raise _untold(where, f"header {name}")


def _user(where: str, matcher: snapshot_pb2.Matcher) -> Inquiry:
    user = matcher.user
    match user.WhichOneof("test"):
        case "exists":
            return Presence(what="user", exists=user.exists, given=_has_user)
        case "in":
            return UserIn(users=_values(user))
        case "starts_with":
            return UserLike(start=user.starts_with)
        case "ends_with":
            return UserLike(end=user.ends_with)
        case None:
            raise _untold(where, "the user")


def _tools(where: str, matcher: snapshot_pb2.Matcher) -> Inquiry:
    match matcher.tools.WhichOneof("test"):
        case "exists":
            return Presence(what="tools", exists=matcher.tools.exists, given=_has_tools)
        case "in":
            return ToolIn(names=_values(matcher.tools))
        case None:
            raise _untold(where, "tools")


def _language(where: str, matcher: snapshot_pb2.Matcher) -> Inquiry:
    languages = frozenset(getattr(matcher.language, "in"))
    if strange := languages - LANGUAGES:
        raise SnapshotRejectedError(f"{where} names a language that this sidecar cannot tell ({min(strange)})")
    return LanguageIn(languages=languages)


def _keywords(_: str, matcher: snapshot_pb2.Matcher) -> Inquiry:
    words = frozenset(getattr(matcher.keywords, "in"))
    return Keyword(words=words, index=Words({word: word for word in sorted(words)}))


def _time(where: str, matcher: snapshot_pb2.Matcher) -> Inquiry:
    time = matcher.time
    if not (0 <= time.from_minute < _DAY and 0 <= time.to_minute <= _DAY and set(time.days) <= set(_DAYS)):
        raise SnapshotRejectedError(f"{where} holds a time that there is not")
    try:
        zone = ZoneInfo(time.time_zone)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise SnapshotRejectedError(
            f"{where} names the time zone {time.time_zone!r}, which this sidecar does not know"
        ) from None
    return TimeOfDay(
        days=frozenset(day - 1 for day in time.days or _DAYS),
        start=time.from_minute,
        end=time.to_minute,
        zone=zone,
        zone_name=time.time_zone,
    )


def _negative_feedback(where: str, matcher: snapshot_pb2.Matcher) -> Inquiry:
    least = matcher.negative_feedback.at_least
    if least < 1:
        raise SnapshotRejectedError(f"{where} asks for {least} negative labels, which is not above 0")
    return NegativeFeedback(at_least=least)


def _has_user(facts: Facts) -> bool:
    return bool(facts.features.user)


def _has_tools(facts: Facts) -> bool:
    return facts.features.has_tools


def _values(
    test: snapshot_pb2.HeaderMatcher | snapshot_pb2.UserMatcher | snapshot_pb2.ToolsMatcher,
) -> frozenset[str]:
    return frozenset(getattr(test, "in").values)


def _untold(where: str, what: str) -> SnapshotRejectedError:
    return SnapshotRejectedError(f"{where} does not say what {what} must be")


_READ = {
    "header": _header,
    "user": _user,
    "domain": lambda where, matcher: DomainIn(domains=known(where, getattr(matcher.domain, "in"), DOMAINS)),
    "tools": _tools,
    "response_format": lambda where, matcher: ShapeIn(
        shapes=known(where, getattr(matcher.response_format, "in"), _SHAPES)
    ),
    "language": _language,
    "content": lambda where, matcher: KindIn(kinds=known(where, getattr(matcher.content, "in"), _KINDS)),
    "keywords": _keywords,
    "time": _time,
    "negative_feedback": _negative_feedback,
    "expression": lambda where, matcher: expression(matcher.expression, where=where),
}
