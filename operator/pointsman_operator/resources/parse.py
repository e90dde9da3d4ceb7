"""From an object as the API server gives it, a mapping, to a value."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from pointsman_operator.resources.kinds import INJECTION_ANNOTATION, MIRROR_ANNOTATION
from pointsman_operator.resources.metadata import Metadata
from pointsman_operator.resources.objects import Namespace, Pod, Secret
from pointsman_operator.resources.policy import ModelRoutingPolicy
from pointsman_operator.resources.problem import Problem
from pointsman_operator.resources.provider import ModelProvider
from pointsman_operator.resources.quota import TokenQuota
from pointsman_operator.resources.unreadable import Unreadable
from pointsman_operator.resources.workloads import workload_of

INVALID_SPEC = "InvalidSpec"
_ENDED = {"Succeeded", "Failed"}

_Resource = TypeVar("_Resource", ModelRoutingPolicy, ModelProvider, TokenQuota)


class MalformedObjectError(Exception):
    """What was given is no Kubernetes object: there is nothing whose status could say so."""


def parse_metadata(value: Mapping[str, Any]) -> Metadata:
    """Read an object's metadata. Raise MalformedObjectError if it has none."""
    given = value.get("metadata")
    if not isinstance(given, Mapping):
        raise MalformedObjectError("an object without metadata")
    try:
        # What is null is as good as absent: Kubernetes writes creationTimestamp so where there is none.
        return Metadata.model_validate({name: each for name, each in given.items() if each is not None})
    except ValidationError as error:
        problems = "; ".join(str(_problem(each)) for each in error.errors(include_url=False))
        raise MalformedObjectError(f"an object whose metadata cannot be read: {problems}") from error


def parse_policy(value: Mapping[str, Any]) -> ModelRoutingPolicy | Unreadable:
    """Read a ModelRoutingPolicy."""
    return _parse(ModelRoutingPolicy, value)


def parse_provider(value: Mapping[str, Any]) -> ModelProvider | Unreadable:
    """Read a ModelProvider."""
    return _parse(ModelProvider, value)


def parse_quota(value: Mapping[str, Any]) -> TokenQuota | Unreadable:
    """Read a TokenQuota."""
    return _parse(TokenQuota, value)


def parse_namespace(value: Mapping[str, Any]) -> Namespace:
    """Read a Namespace."""
    return Namespace(metadata=parse_metadata(value))


def parse_pod(value: Mapping[str, Any]) -> Pod:
    """Read a Pod."""
    metadata = parse_metadata(value)
    annotations = value["metadata"].get("annotations") or {}
    return Pod(
        metadata=metadata,
        injection=annotations.get(INJECTION_ANNOTATION, ""),
        workload=workload_of(value["metadata"]),
        leaving=value["metadata"].get("deletionTimestamp") is not None,
        mirror=MIRROR_ANNOTATION in annotations,
    )


def has_ended(pod: Mapping[str, Any]) -> bool:
    """Whether nothing will run in a pod any more; of one whose status is not told, false."""
    return (pod.get("status") or {}).get("phase") in _ENDED


def parse_secret(value: Mapping[str, Any]) -> Secret:
    """Read a Secret. A value that is no text is left out: no API key is."""
    decoded: dict[str, str] = {}
    for key, encoded in (value.get("data") or {}).items():
        try:
            # Keys are often written with the newline that `echo` adds, which no HTTP header can carry.
            decoded[key] = base64.b64decode(encoded, validate=True).decode().strip()
        except (binascii.Error, UnicodeDecodeError):
            continue
    return Secret(metadata=parse_metadata(value), data=decoded)


def _parse(model: type[_Resource], value: Mapping[str, Any]) -> _Resource | Unreadable:
    metadata = parse_metadata(value)
    status = value.get("status") or {}
    try:
        return model.model_validate({"metadata": metadata, "spec": value.get("spec"), "status": status})
    except ValidationError as error:
        problems = tuple(sorted(_problem(each) for each in error.errors(include_url=False)))
        return Unreadable(metadata=metadata, problems=problems, spec=value.get("spec"), status=status)


def _problem(error: ErrorDetails) -> Problem:
    path = ""
    for step in error["loc"]:
        path += f"[{step}]" if isinstance(step, int) else f".{step}" if path else step
    if error["type"] == "extra_forbidden":
        message = "this operator does not know the field and will not act on half a rule; upgrade the operator"
    elif error["type"] == "missing":
        message = "this field is missing; is the installed CRD of this operator's version?"
    else:
        message = f"this cannot be read: {error['msg']}"
    return Problem(path=path, reason=INVALID_SPEC, message=message)
