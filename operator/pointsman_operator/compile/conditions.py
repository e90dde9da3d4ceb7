"""A route's `when`, in the contract's terms, and what it says of the requests that it matches."""

from collections.abc import Iterator

from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_api.v1 import types_pb2 as types
from pointsman_operator.compile import matchers
from pointsman_operator.resources.policy import Matcher, When

MODALITIES = {
    "Text": types.MODALITY_TEXT,
    "Image": types.MODALITY_IMAGE,
    "Audio": types.MODALITY_AUDIO,
}
SEVERITIES = {
    "Low": types.SEVERITY_LOW,
    "Medium": types.SEVERITY_MEDIUM,
    "High": types.SEVERITY_HIGH,
    "Critical": types.SEVERITY_CRITICAL,
}


def condition(when: When) -> snapshot.Condition:
    """The condition; what is stated beside any, all and not must hold too."""
    # The expression last: it costs the most.
    expression = [] if when.expression is None else [snapshot.Matcher(expression=when.expression)]
    return snapshot.Condition(
        all=[*_tests(when), *(_matcher(each) for each in when.all), *expression],
        any=[_matcher(each) for each in when.any],
        none=[_matcher(each) for each in when.not_],
    )


def required_modalities(when: When) -> Iterator[tuple[str, frozenset[str]]]:
    """Sets of modalities, of each of which every matching request holds at least one, and the field that says so."""
    if when.modality:
        yield "modality", frozenset(when.modality.in_)
    for index, each in enumerate(when.all):
        if each.modality:
            yield f"all[{index}].modality", frozenset(each.modality.in_)
    alternatives = [each.modality for each in when.any if each.modality]
    if when.any and len(alternatives) == len(when.any):
        yield "any", frozenset(name for each in alternatives for name in each.in_)


def _matcher(matcher: Matcher) -> snapshot.Matcher:
    tests = list(_tests(matcher))
    return tests[0] if len(tests) == 1 else snapshot.Matcher(all_of=snapshot.Conjunction(matchers=tests))


def _tests(matcher: Matcher) -> Iterator[snapshot.Matcher]:
    # Sets are sorted: their order says nothing, so it must not change the version.
    if matcher.severity:
        severities = sorted(SEVERITIES[name] for name in matcher.severity.in_)
        yield snapshot.Matcher(severity=snapshot.SeverityMatcher(**{"in": severities}))
    if matcher.metadata:
        test = snapshot.MetadataMatcher(key=matcher.metadata.key)
        if matcher.metadata.exists is not None:
            test.exists = matcher.metadata.exists
        elif matcher.metadata.equals is not None:
            getattr(test, "in").values.append(matcher.metadata.equals)
        else:
            getattr(test, "in").values.extend(sorted(matcher.metadata.in_ or ()))
        yield snapshot.Matcher(metadata=test)
    if matcher.modality:
        modalities = sorted(MODALITIES[name] for name in matcher.modality.in_)
        yield snapshot.Matcher(modality=snapshot.ModalityMatcher(**{"in": modalities}))
    if matcher.estimated_input_tokens:
        yield snapshot.Matcher(
            estimated_input_tokens=snapshot.TokensMatcher(
                at_least=matcher.estimated_input_tokens.at_least,
                less_than=matcher.estimated_input_tokens.less_than,
            )
        )
    yield from matchers.tests(matcher)
