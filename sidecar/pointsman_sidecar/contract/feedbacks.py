"""Feedback as apps send it, over both doors."""

from collections.abc import Iterator, Mapping
from typing import Any

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.requests import LONGEST_ID, InvalidRequestError, Violation, named, quoted, refuse
from pointsman_sidecar.tuning.feedback import Feedback, Label

_LABELS: Mapping[int, Label] = {
    completions_pb2.FEEDBACK_LABEL_GOOD: Label.GOOD,
    completions_pb2.FEEDBACK_LABEL_BAD: Label.BAD,
    completions_pb2.FEEDBACK_LABEL_HALLUCINATION: Label.HALLUCINATION,
}
_NAMES: Mapping[Label, completions_pb2.FeedbackLabel.ValueType] = {
    Label.GOOD: completions_pb2.FEEDBACK_LABEL_GOOD,
    Label.BAD: completions_pb2.FEEDBACK_LABEL_BAD,
    Label.HALLUCINATION: completions_pb2.FEEDBACK_LABEL_HALLUCINATION,
}
_WORDS = {label.name.lower(): number for label, number in _NAMES.items()}
_CHOICE = "good, bad or hallucination"
_MEMBERS = ("decision_id", "label", "score")
# From here on a score alone counts as good.
_GOOD = 0.5


def read_feedback(request: completions_pb2.GiveFeedbackRequest) -> Feedback:
    """What is said of the answer.

    Raises:
        InvalidRequestError: it cannot be understood.
    """
    refuse(_violations(request))
    score = request.score if request.HasField("score") else None
    label = _LABELS.get(request.label)
    if label is None:
        label = Label.GOOD if score is not None and score >= _GOOD else Label.BAD
    return Feedback(label, score)


def feedback_of_json(raw: bytes) -> completions_pb2.GiveFeedbackRequest:
    """The request that a JSON object is.

    Raises:
        InvalidRequestError: it is none.
    """
    try:
        said = json.decode(raw)
    except json.NotJsonError as error:
        raise InvalidRequestError((Violation("body", f"is not JSON: {error}"),)) from error
    if not isinstance(said, dict):
        raise InvalidRequestError((Violation("body", "is not a JSON object"),))
    said = {name: value for name, value in said.items() if value is not None}
    refuse(_in_json(said))
    request = completions_pb2.GiveFeedbackRequest(decision_id=said.get("decision_id", ""))
    if "label" in said:
        request.label = _WORDS[said["label"]]
    if "score" in said:
        request.score = said["score"]
    return request


def taken(feedback: Feedback) -> completions_pb2.GiveFeedbackResponse:
    """What the feedback counts as."""
    return completions_pb2.GiveFeedbackResponse(label=_NAMES[feedback.label])


def feedback_json(response: completions_pb2.GiveFeedbackResponse) -> dict[str, str]:
    """The same in JSON."""
    return {"object": "feedback", "label": _LABELS[response.label].name.lower()}


def _violations(request: completions_pb2.GiveFeedbackRequest) -> Iterator[Violation]:
    if not request.decision_id:
        yield Violation("decision_id", "is empty: give the id of the answer's decision")
    elif len(request.decision_id) > LONGEST_ID:
        yield Violation("decision_id", f"is longer than {LONGEST_ID} characters")
    if request.label and request.label not in _LABELS:
        yield Violation("label", f"is {request.label}, which is no label: give {_CHOICE}")
    elif not request.label and not request.HasField("score"):
        yield Violation("label", f"is not set: give {_CHOICE}, or a score")
    # Nor is what is no number.
    if request.HasField("score") and not 0 <= request.score <= 1:
        yield Violation("score", f"is {request.score:g}: give a number from 0 to 1")


def _in_json(said: Mapping[str, Any]) -> Iterator[Violation]:
    for name in said:
        if name not in _MEMBERS:
            yield Violation(named(name), f"is nothing that feedback has: it has {', '.join(_MEMBERS)}")
    decision_id, label, score = (said.get(name) for name in _MEMBERS)
    if decision_id is not None and not _is_text(decision_id):
        yield Violation("decision_id", "is no text: give the id of the answer's decision")
    if label is not None and not (isinstance(label, str) and label in _WORDS):
        shown = quoted(label) if isinstance(label, str) else "no text"
        yield Violation("label", f"is {shown}: give {_CHOICE}")
    if score is not None and (isinstance(score, bool) or not isinstance(score, int | float)):
        yield Violation("score", "is no number: give one from 0 to 1")
    elif isinstance(score, int) and not 0 <= score <= 1:
        # Such as no float could hold.
        yield Violation("score", "is not a number from 0 to 1")


def _is_text(value: object) -> bool:
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True
