"""Whether a route's condition holds, and the sentence on it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pointsman_sidecar.routing import matching
from pointsman_sidecar.routing.facts import NOWHERE, Facts
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import (
    AllOf,
    Condition,
    InputTokens,
    Matcher,
    MetadataExists,
    MetadataIn,
    Modality,
    ModalityIn,
    Severity,
    SeverityIn,
)
from support.policies import features


def matches(condition: Condition, request: Features) -> matching.Match:
    """The verdict on a request without surroundings."""
    return matching.matches(condition, Facts(request, NOWHERE, None))


HIGH = SeverityIn(severities=frozenset({Severity.CRITICAL, Severity.HIGH}))
INVOICE = MetadataIn(key="task", values=frozenset({"invoice", "bill"}))
TRUE = MetadataExists(key="absent", exists=False)
FALSE = MetadataExists(key="absent", exists=True)


# Where a matcher holds, the sentence says what it found; where it does not, what it asks for.
@pytest.mark.parametrize(
    ("matcher", "request_", "holds", "why"),
    [
        pytest.param(HIGH, features(severity=Severity.HIGH), True, "severity High", id="severity"),
        pytest.param(HIGH, features(severity=Severity.LOW), False, "not severity High or Critical", id="severity not"),
        pytest.param(HIGH, features(), False, "not severity High or Critical", id="severity not said"),
        pytest.param(
            MetadataExists(key="dispute", exists=True),
            features(metadata={"dispute": ""}),
            True,
            "metadata dispute given",
            id="metadata exists, though empty",
        ),
        pytest.param(
            MetadataExists(key="dispute", exists=True), features(), False, "not metadata dispute given", id="none"
        ),
        pytest.param(
            MetadataExists(key="dispute", exists=False), features(), True, "metadata dispute absent", id="absent"
        ),
        pytest.param(INVOICE, features(metadata={"task": "bill"}), True, "metadata task bill", id="metadata in"),
        pytest.param(
            INVOICE, features(metadata={"task": "chat"}), False, "not metadata task bill or invoice", id="another value"
        ),
        pytest.param(INVOICE, features(), False, "not metadata task bill or invoice", id="no such key"),
        pytest.param(
            ModalityIn(modalities=frozenset({Modality.IMAGE, Modality.AUDIO})),
            features(modalities=frozenset({Modality.TEXT, Modality.IMAGE})),
            True,
            "images in the messages",
            id="modality",
        ),
        pytest.param(
            ModalityIn(modalities=frozenset({Modality.AUDIO})),
            features(),
            False,
            "not audio in the messages",
            id="modality not",
        ),
        pytest.param(
            InputTokens(at_least=1000, less_than=None),
            features(tokens=1000),
            True,
            "at least 1,000 input tokens (about 1,000)",
            id="tokens at the lower bound",
        ),
        pytest.param(
            InputTokens(at_least=1000, less_than=None),
            features(tokens=999),
            False,
            "not at least 1,000 input tokens (about 999)",
            id="tokens below it",
        ),
        pytest.param(
            InputTokens(at_least=None, less_than=1000),
            features(tokens=999),
            True,
            "less than 1,000 input tokens (about 999)",
            id="tokens below the upper bound",
        ),
        pytest.param(
            InputTokens(at_least=10, less_than=1000),
            features(tokens=1000),
            False,
            "not at least 10 and less than 1,000 input tokens (about 1,000)",
            id="tokens at the upper bound",
        ),
        pytest.param(
            AllOf(matchers=(HIGH, INVOICE)),
            features(severity=Severity.HIGH, metadata={"task": "bill"}),
            True,
            "severity High with metadata task bill",
            id="all of",
        ),
        pytest.param(
            AllOf(matchers=(HIGH, INVOICE)),
            features(severity=Severity.HIGH),
            False,
            "not severity High with metadata task bill or invoice",
            id="not all of",
        ),
    ],
)
def test_each_matcher(matcher: Matcher, request_: Features, holds: bool, why: str) -> None:  # noqa: FBT001 - a case
    match = matches(Condition(all=(matcher,)), request_)

    assert match.holds is holds
    assert match.why() == why


@pytest.mark.parametrize(
    ("condition", "holds"),
    [
        pytest.param(Condition(), True, id="nothing said"),
        pytest.param(Condition(all=(TRUE, TRUE)), True, id="all, all hold"),
        pytest.param(Condition(all=(TRUE, FALSE)), False, id="all, one does not"),
        pytest.param(Condition(any=(FALSE, TRUE)), True, id="any, one holds"),
        pytest.param(Condition(any=(FALSE, FALSE)), False, id="any, none holds"),
        pytest.param(Condition(none=(FALSE, FALSE)), True, id="none, none holds"),
        pytest.param(Condition(none=(FALSE, TRUE)), False, id="none, one holds"),
        pytest.param(Condition(all=(TRUE,), any=(TRUE,), none=(FALSE,)), True, id="each part holds"),
        pytest.param(Condition(all=(TRUE,), any=(FALSE,), none=(FALSE,)), False, id="any does not"),
        pytest.param(Condition(all=(TRUE,), any=(TRUE,), none=(TRUE,)), False, id="none does not"),
    ],
)
def test_all_any_and_none_must_hold_together(condition: Condition, holds: bool) -> None:  # noqa: FBT001 - a case
    assert matches(condition, features()).holds is holds


@pytest.mark.parametrize(
    ("condition", "why"),
    [
        pytest.param(Condition(), "nothing excludes it", id="nothing said"),
        pytest.param(
            Condition(any=(HIGH, INVOICE)),
            "not severity High or Critical or metadata task bill or invoice",
            id="any, none holds",
        ),
        pytest.param(Condition(all=(TRUE,), any=(FALSE, TRUE)), "metadata absent absent and metadata absent absent"),
        pytest.param(Condition(none=(TRUE,)), "excluded by metadata absent absent", id="none, one holds"),
    ],
)
def test_the_sentence_names_what_settled_it(condition: Condition, why: str) -> None:
    assert matches(condition, features()).why() == why


matchers = st.sampled_from([TRUE, FALSE, HIGH, INVOICE, AllOf(matchers=(TRUE, FALSE)), AllOf(matchers=(TRUE, HIGH))])
parts = st.lists(matchers, max_size=3).map(tuple)


@given(st.builds(Condition, all=parts, any=parts, none=parts), st.none() | st.sampled_from(list(Severity)))
def test_only_a_sentence_on_a_match_reads_as_one(condition: Condition, severity: Severity | None) -> None:
    match = matches(condition, features(severity=severity))

    assert match.holds is not match.why().startswith(("not ", "excluded by "))
