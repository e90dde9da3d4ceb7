"""Whether a route's condition holds for a request, and a sentence why or why not."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import assert_never

from pointsman_sidecar.routing.facts import Facts
from pointsman_sidecar.routing.matchers import Expression, ExpressionError, Inquiry
from pointsman_sidecar.routing.policy import (
    AllOf,
    Condition,
    InputTokens,
    Matcher,
    MetadataExists,
    MetadataIn,
    ModalityIn,
    SeverityIn,
)


def _no_values() -> Mapping[str, object]:
    return {}


@dataclass(frozen=True, slots=True)
class Match:
    """A verdict. The sentence is built when somebody asks, not on every request."""

    holds: bool
    why: Callable[[], str]
    # Of expressions: whether one came to no verdict, and what those that were tried read of the request.
    failed: bool = False
    values: Callable[[], Mapping[str, object]] = _no_values


def matches(condition: Condition, facts: Facts) -> Match:
    """Whether the condition holds; stops at the first part that settles it."""
    match = _matched(condition, facts)
    if not facts.has_verdicts:
        return match
    tried = [matcher for matcher in condition.all if isinstance(matcher, Expression) and facts.tried(matcher)]
    if not tried:
        return match
    names = frozenset[str]().union(*(expression.names for expression in tried))
    return replace(
        match,
        failed=any(isinstance(facts.verdict(each), ExpressionError) for each in tried),
        values=lambda: facts.values(names),
    )


def _matched(condition: Condition, facts: Facts) -> Match:
    reasons: list[Matcher] = []
    for matcher in condition.all:
        if not _holds(matcher, facts):
            return Match(holds=False, why=partial(_sentence, "not {}", [matcher], facts))
        reasons.append(matcher)
    if condition.any:
        met = next((matcher for matcher in condition.any if _holds(matcher, facts)), None)
        if met is None:
            return Match(holds=False, why=partial(_sentence, "not {}", condition.any, facts, " or "))
        reasons.append(met)
    for matcher in condition.none:
        if _holds(matcher, facts):
            return Match(holds=False, why=partial(_sentence, "excluded by {}", [matcher], facts))
    if not reasons:
        return Match(holds=True, why=lambda: "nothing excludes it")
    return Match(holds=True, why=partial(_sentence, "{}", reasons, facts))


def _sentence(form: str, matchers: Sequence[Matcher], facts: Facts, join: str = " and ") -> str:
    return form.format(join.join(_describe(matcher, facts) for matcher in matchers))


def _holds(matcher: Matcher, facts: Facts) -> bool:  # noqa: PLR0911 - one for each
    match matcher:
        case SeverityIn():
            return facts.severity in matcher.severities
        case MetadataExists():
            return (matcher.key in facts.features.metadata) is matcher.exists
        case MetadataIn():
            return facts.features.metadata.get(matcher.key) in matcher.values
        case ModalityIn():
            return not matcher.modalities.isdisjoint(facts.features.modalities)
        case InputTokens():
            tokens = facts.features.estimated_input_tokens
            return (matcher.at_least is None or tokens >= matcher.at_least) and (
                matcher.less_than is None or tokens < matcher.less_than
            )
        case Inquiry():
            return matcher.holds(facts)
        case AllOf():
            return all(_holds(each, facts) for each in matcher.matchers)
        case _:
            assert_never(matcher)


def _describe(matcher: Matcher, facts: Facts) -> str:  # noqa: PLR0911 - one for each
    """What the matcher found in the request where it holds, what it asks for where it does not."""
    holds = _holds(matcher, facts)
    match matcher:
        case SeverityIn():
            found = [facts.severity] if holds and facts.severity else sorted(matcher.severities)
            return f"severity {_choice(severity.name.capitalize() for severity in found)}"
        case MetadataExists():
            return f"metadata {matcher.key} {'given' if matcher.exists else 'absent'}"
        case MetadataIn():
            values = [facts.features.metadata[matcher.key]] if holds else sorted(matcher.values)
            return f"metadata {matcher.key} {_choice(values)}"
        case ModalityIn():
            modalities = matcher.modalities & facts.features.modalities if holds else matcher.modalities
            return f"{_choice(sorted(modalities))} in the messages"
        case InputTokens():
            bounds = [
                *([f"at least {matcher.at_least:,}"] if matcher.at_least is not None else []),
                *([f"less than {matcher.less_than:,}"] if matcher.less_than is not None else []),
            ]
            return f"{' and '.join(bounds)} input tokens (about {facts.features.estimated_input_tokens:,})"
        case Inquiry():
            return matcher.described(facts, holds=holds)
        case AllOf():
            return " with ".join(_describe(each, facts) for each in matcher.matchers)
        case _:
            assert_never(matcher)


def _choice(names: Iterable[str]) -> str:
    return " or ".join(names)
