"""Whether a route's condition holds for a request, and a sentence why or why not."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import assert_never

from pointsman_sidecar.routing.features import Features
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


@dataclass(frozen=True, slots=True)
class Match:
    """A verdict. The sentence is built when somebody asks, not on every request."""

    holds: bool
    why: Callable[[], str]


def matches(condition: Condition, features: Features) -> Match:
    """Whether the condition holds; stops at the first part that settles it."""
    reasons: list[Matcher] = []
    for matcher in condition.all:
        if not _holds(matcher, features):
            return Match(holds=False, why=partial(_sentence, "not {}", [matcher], features))
        reasons.append(matcher)
    if condition.any:
        met = next((matcher for matcher in condition.any if _holds(matcher, features)), None)
        if met is None:
            return Match(holds=False, why=partial(_sentence, "not {}", condition.any, features, " or "))
        reasons.append(met)
    for matcher in condition.none:
        if _holds(matcher, features):
            return Match(holds=False, why=partial(_sentence, "excluded by {}", [matcher], features))
    if not reasons:
        return Match(holds=True, why=lambda: "nothing excludes it")
    return Match(holds=True, why=partial(_sentence, "{}", reasons, features))


def _sentence(form: str, matchers: Sequence[Matcher], features: Features, join: str = " and ") -> str:
    return form.format(join.join(_describe(matcher, features) for matcher in matchers))


def _holds(matcher: Matcher, features: Features) -> bool:
    match matcher:
        case SeverityIn():
            return features.severity in matcher.severities
        case MetadataExists():
            return (matcher.key in features.metadata) is matcher.exists
        case MetadataIn():
            return features.metadata.get(matcher.key) in matcher.values
        case ModalityIn():
            return not matcher.modalities.isdisjoint(features.modalities)
        case InputTokens():
            tokens = features.estimated_input_tokens
            return (matcher.at_least is None or tokens >= matcher.at_least) and (
                matcher.less_than is None or tokens < matcher.less_than
            )
        case AllOf():
            return all(_holds(each, features) for each in matcher.matchers)
        case _:
            assert_never(matcher)


def _describe(matcher: Matcher, features: Features) -> str:
    """What the matcher found in the request where it holds, what it asks for where it does not."""
    holds = _holds(matcher, features)
    match matcher:
        case SeverityIn():
            found = [features.severity] if holds and features.severity else sorted(matcher.severities)
            return f"severity {_choice(severity.name.capitalize() for severity in found)}"
        case MetadataExists():
            return f"metadata {matcher.key} {'given' if matcher.exists else 'absent'}"
        case MetadataIn():
            values = [features.metadata[matcher.key]] if holds else sorted(matcher.values)
            return f"metadata {matcher.key} {_choice(values)}"
        case ModalityIn():
            modalities = matcher.modalities & features.modalities if holds else matcher.modalities
            return f"{_choice(sorted(modalities))} in the messages"
        case InputTokens():
            bounds = [
                *([f"at least {matcher.at_least:,}"] if matcher.at_least is not None else []),
                *([f"less than {matcher.less_than:,}"] if matcher.less_than is not None else []),
            ]
            return f"{' and '.join(bounds)} input tokens (about {features.estimated_input_tokens:,})"
        case AllOf():
            return " with ".join(_describe(each, features) for each in matcher.matchers)
        case _:
            assert_never(matcher)


def _choice(names: Iterable[str]) -> str:
    return " or ".join(names)
