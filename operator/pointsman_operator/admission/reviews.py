"""AdmissionReview, as the API server sends it and as it takes the answer: pure."""

import base64
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any, Final

API_VERSION: Final = "admission.k8s.io/v1"
KIND: Final = "AdmissionReview"

Json = dict[str, Any]


class MalformedReviewError(Exception):
    """What was sent is no review that can be answered; the message says why."""


@dataclass(frozen=True, kw_only=True)
class Review:
    """What the API server asks about."""

    uid: str
    kind: str
    operation: str
    value: Mapping[str, Any] = field(repr=False)
    old: Mapping[str, Any] | None = field(repr=False)

    def __str__(self) -> str:
        metadata = self.value["metadata"]
        name = metadata.get("name") or metadata.get("generateName", "")
        return f"{self.kind} {metadata.get('namespace', '')}/{name}"


@dataclass(frozen=True, kw_only=True)
class Cause:
    """One thing that is wrong with an object: where, and a sentence."""

    path: str
    sentence: str


def read_review(body: bytes) -> Review:
    """Read a review. Raise MalformedReviewError if it is none."""
    try:
        given = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise MalformedReviewError("the body is no JSON") from error
    if not isinstance(given, dict) or (given.get("apiVersion"), given.get("kind")) != (API_VERSION, KIND):
        raise MalformedReviewError(f"the body is no {KIND} of {API_VERSION}; register the webhook for v1 reviews")
    request: Any = given.get("request")
    match request:
        case {"uid": str(uid), "kind": {"kind": str(kind)}, "operation": str(operation), "object": dict(value)}:
            old = request.get("oldObject")
        case _:
            raise MalformedReviewError("the review has no request with uid, kind, operation and object")
    if not isinstance(value.get("metadata"), dict) or not isinstance(value.get("spec"), dict):
        raise MalformedReviewError("the review's object has no metadata or no spec")
    return Review(uid=uid, kind=kind, operation=operation, value=value, old=old if isinstance(old, dict) else None)


def allowed(review: Review, *, patch: Sequence[Mapping[str, Any]] = (), warnings: Iterable[str] = ()) -> Json:
    """Let it pass, changed by the patch; kubectl shows the warnings."""
    response: Json = {"uid": review.uid, "allowed": True}
    if patch:
        response |= {"patchType": "JSONPatch", "patch": base64.b64encode(json.dumps(patch).encode()).decode()}
    return _answer(response, warnings)


def forbidden(review: Review, sentence: str) -> Json:
    """Refuse it for one reason, which the API server puts after the webhook's name."""
    status = {"status": "Failure", "reason": "Forbidden", "code": HTTPStatus.FORBIDDEN, "message": sentence}
    return _answer({"uid": review.uid, "allowed": False, "status": status})


def invalid(review: Review, causes: Sequence[Cause], *, group: str, warnings: Iterable[str] = ()) -> Json:
    """Refuse it as the API server itself refuses what breaks a schema, so that kubectl shows the two alike."""
    status = {
        "status": "Failure",
        "reason": "Invalid",
        "code": HTTPStatus.UNPROCESSABLE_ENTITY,
        "message": "; ".join(f"{each.path}: {each.sentence}" for each in causes),
        "details": {
            "group": group,
            "kind": review.kind,
            "name": review.value["metadata"].get("name", ""),
            "causes": [
                {"reason": "FieldValueInvalid", "field": each.path, "message": each.sentence} for each in causes
            ],
        },
    }
    return _answer({"uid": review.uid, "allowed": False, "status": status}, warnings)


def _answer(response: Json, warnings: Iterable[str] = ()) -> Json:
    if said := list(warnings):
        response["warnings"] = said
    return {"apiVersion": API_VERSION, "kind": KIND, "response": response}
