"""The tests of a route's `when`, in the contract's terms.

Sets are sorted: their order says nothing, so it must not change the version.
"""

from collections.abc import Iterable, Iterator

from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_api.v1 import types_pb2 as types
from pointsman_operator.compile.expressions import INVALID_EXPRESSION, flaw
from pointsman_operator.compile.zones import UNKNOWN_TIME_ZONE, zone_named
from pointsman_operator.ledger.windows import UnknownTimeZoneError
from pointsman_operator.resources.policy import HeaderMatcher, Matcher, TimeMatcher, ToolsMatcher, UserMatcher, When
from pointsman_operator.resources.problem import Problem

DOMAINS = {
    "Legal": types.DOMAIN_LEGAL,
    "Medical": types.DOMAIN_MEDICAL,
    "Money": types.DOMAIN_MONEY,
    "Safety": types.DOMAIN_SAFETY,
}
_SHAPES = {
    "Text": snapshot.SHAPE_TEXT,
    "JSONObject": snapshot.SHAPE_JSON_OBJECT,
    "JSONSchema": snapshot.SHAPE_JSON_SCHEMA,
}
_CONTENT = {"Code": snapshot.CONTENT_CODE, "Maths": snapshot.CONTENT_MATHS}
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_DAY = 24 * 60


def tests(matcher: Matcher) -> Iterator[snapshot.Matcher]:
    """Those by header, user, domain, tools, response format, text, time and feedback, in this order."""
    if matcher.header:
        yield snapshot.Matcher(header=_header(matcher.header))
    if matcher.user:
        yield snapshot.Matcher(user=_user(matcher.user))
    if matcher.domain:
        domains = sorted(DOMAINS[name] for name in matcher.domain.in_)
        yield snapshot.Matcher(domain=snapshot.DomainMatcher(**{"in": domains}))
    if matcher.tools:
        yield snapshot.Matcher(tools=_tools(matcher.tools))
    if matcher.response_format:
        shapes = sorted(_SHAPES[name] for name in matcher.response_format.in_)
        yield snapshot.Matcher(response_format=snapshot.ResponseFormatMatcher(**{"in": shapes}))
    yield from _text_tests(matcher)
    if matcher.time:
        yield snapshot.Matcher(time=_time(matcher.time))
    if matcher.negative_feedback:
        least = matcher.negative_feedback.at_least
        yield snapshot.Matcher(negative_feedback=snapshot.NegativeFeedbackMatcher(at_least=least))


def _text_tests(matcher: Matcher) -> Iterator[snapshot.Matcher]:
    if matcher.language:
        yield snapshot.Matcher(language=snapshot.LanguageMatcher(**{"in": sorted(matcher.language.in_)}))
    if matcher.content:
        kinds = sorted(_CONTENT[name] for name in matcher.content.in_)
        yield snapshot.Matcher(content=snapshot.ContentMatcher(**{"in": kinds}))
    if matcher.keywords:
        yield snapshot.Matcher(keywords=snapshot.KeywordsMatcher(**{"in": sorted(matcher.keywords.in_)}))


def problems(when: When, *, path: str) -> Iterator[Problem]:
    """What is wrong with the condition at `path` that its CRD cannot say."""
    for where, matcher in _matchers(when):
        if matcher.time:
            try:
                zone_named(matcher.time.time_zone)
            except UnknownTimeZoneError as error:
                yield Problem(path=f"{path}{where}.time.timeZone", reason=UNKNOWN_TIME_ZONE, message=str(error))
    if when.expression is not None and (found := flaw(when.expression)):
        yield Problem(path=f"{path}.expression", reason=INVALID_EXPRESSION, message=found.shown(when.expression))


def _matchers(when: When) -> Iterator[tuple[str, Matcher]]:
    yield "", when
    for name, matchers in (("any", when.any), ("all", when.all), ("not", when.not_)):
        yield from ((f".{name}[{index}]", each) for index, each in enumerate(matchers))


def _header(said: HeaderMatcher) -> snapshot.HeaderMatcher:
    test = snapshot.HeaderMatcher(name=said.name)
    if said.exists is not None:
        test.exists = said.exists
    else:
        _one_of(test, said.in_ or () if said.equals is None else (said.equals,))
    return test


def _user(said: UserMatcher) -> snapshot.UserMatcher:
    test = snapshot.UserMatcher()
    if said.exists is not None:
        test.exists = said.exists
    elif said.starts_with is not None:
        test.starts_with = said.starts_with
    elif said.ends_with is not None:
        test.ends_with = said.ends_with
    else:
        _one_of(test, said.in_ or () if said.equals is None else (said.equals,))
    return test


def _tools(said: ToolsMatcher) -> snapshot.ToolsMatcher:
    test = snapshot.ToolsMatcher()
    if said.exists is not None:
        test.exists = said.exists
    else:
        _one_of(test, said.in_ or ())
    return test


def _one_of(test: snapshot.HeaderMatcher | snapshot.UserMatcher | snapshot.ToolsMatcher, values: Iterable[str]) -> None:
    getattr(test, "in").values.extend(sorted(values))


def _time(said: TimeMatcher) -> snapshot.TimeMatcher:
    return snapshot.TimeMatcher(
        days=sorted(_DAYS.index(day) + 1 for day in said.days),
        from_minute=0 if said.from_ is None else _minute(said.from_),
        to_minute=_DAY if said.to is None else _minute(said.to),
        time_zone=said.time_zone,
    )


def _minute(clock: str) -> int:
    hours, _, minutes = clock.partition(":")
    return int(hours) * 60 + int(minutes)
