"""Label selectors: what they match, and what Kubernetes' label syntax forbids in them."""

import re
from collections.abc import Iterator, Mapping

from pointsman_operator.resources.problem import Problem
from pointsman_operator.resources.selector import LabelSelector, Requirement

INVALID_SELECTOR = "InvalidSelector"

_NAME = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?")
_PREFIX = re.compile(r"(?=.{1,253}/)[a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/")


def matches(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    """Whether the selector matches these labels; no selector matches everything."""
    if selector is None:
        return True
    return all(labels.get(key) == value for key, value in selector.match_labels.items()) and all(
        _holds(requirement, labels) for requirement in selector.match_expressions
    )


def selector_problems(selector: LabelSelector, *, path: str) -> Iterator[Problem]:
    """Keys and values that no label can have: who wrote them expects a match that will never be."""
    for key, value in sorted(selector.match_labels.items()):
        yield from _key_problems(key, path=f"{path}.matchLabels")
        yield from _value_problems(value, path=f"{path}.matchLabels[{key}]")
    for index, requirement in enumerate(selector.match_expressions):
        where = f"{path}.matchExpressions[{index}]"
        yield from _key_problems(requirement.key, path=f"{where}.key")
        for value in requirement.values:
            yield from _value_problems(value, path=f"{where}.values")


def _holds(requirement: Requirement, labels: Mapping[str, str]) -> bool:
    value = labels.get(requirement.key)
    match requirement.operator:
        case "In":
            return value in requirement.values
        case "NotIn":  # as in Kubernetes, a label that is not there is not in any set
            return value not in requirement.values
        case "Exists":
            return value is not None
        case "DoesNotExist":
            return value is None


def _key_problems(key: str, *, path: str) -> Iterator[Problem]:
    prefix = _PREFIX.match(key)
    if not _NAME.fullmatch(key[prefix.end() :] if prefix else key):
        yield Problem(
            path=path,
            reason=INVALID_SELECTOR,
            message=f"{key!r} cannot be the key of a label; write a name of up to 63 letters, digits, '-', '_' and "
            "'.', with a DNS name and a slash before it if it needs a prefix, such as app.kubernetes.io/name",
        )


def _value_problems(value: str, *, path: str) -> Iterator[Problem]:
    if value and not _NAME.fullmatch(value):
        yield Problem(
            path=path,
            reason=INVALID_SELECTOR,
            message=f"{value!r} cannot be the value of a label; write up to 63 letters, digits, '-', '_' and '.', "
            "the first and the last of them a letter or digit",
        )
