"""What Kubernetes asks of the metadata of every object: first the fields' types, then what stands in them.

The fields that a server writes (timestamps, generation, owners, managed fields) may be there, as in an object that was
read from a cluster; what they hold is not looked at.
"""

from collections.abc import Iterator
from typing import Any, Final

from pointsman_operator.schema import names, refusals
from pointsman_operator.schema.refusals import Refusal

_TYPES: Final = {
    "annotations": "map[string]string",
    "finalizers": "[]string",
    "generateName": "string",
    "labels": "map[string]string",
    "name": "string",
    "namespace": "string",
    "resourceVersion": "string",
    "selfLink": "string",
    "uid": "types.UID",
}
_WRITTEN_BY_SERVERS: Final = frozenset(
    {
        "creationTimestamp",
        "deletionGracePeriodSeconds",
        "deletionTimestamp",
        "generation",
        "managedFields",
        "ownerReferences",
    }
)


def undecodable(metadata: Any) -> str | None:
    """Say what keeps Go from reading the metadata into its types: the first such thing, as Go does."""
    if not isinstance(metadata, dict):
        return _unfit(_json_kind(metadata), field="metadataOnlyObject.metadata", wanted="v1.ObjectMeta")
    for key in sorted(metadata):
        wrong = _mistyped(metadata[key], _TYPES.get(key))
        if wrong:
            got, wanted = wrong
            return _unfit(got, field=f"ObjectMeta.metadata.{key}", wanted=wanted)
    return None


def _unfit(got: str, *, field: str, wanted: str) -> str:
    return f"json: cannot unmarshal {got} into Go struct field {field} of type {wanted}"


def _mistyped(value: Any, wanted: str | None) -> tuple[str, str] | None:
    """Return the kind of the value that does not fit and the type that it should have."""
    match wanted, value:
        case None, _:
            return None
        case "map[string]string", dict():
            inner = [value[key] for key in sorted(value)]
        case "[]string", list():
            inner = [entry for entry in value if entry is not None]
        case (("string" | "types.UID"), str()):
            return None
        case _:
            return _json_kind(value), wanted
    return next(((_json_kind(entry), "string") for entry in inner if not isinstance(entry, str)), None)


def _json_kind(value: Any) -> str:
    match value:
        case bool():
            return "bool"
        case int() | float():
            return "number"
        case str():
            return "string"
        case list():
            return "array"
        case _:
            return "object"


def unknown_fields(metadata: dict[str, Any]) -> list[str]:
    """Return the paths of fields that Kubernetes' metadata does not have, sorted."""
    return sorted(f"metadata.{key}" for key in metadata.keys() - _TYPES.keys() - _WRITTEN_BY_SERVERS)


def known_fields(metadata: dict[str, Any]) -> dict[str, Any]:
    """Return the metadata without the fields that Kubernetes does not have."""
    return {key: value for key, value in metadata.items() if key in _TYPES or key in _WRITTEN_BY_SERVERS}


def faults(metadata: dict[str, Any]) -> Iterator[Refusal]:
    """Yield what is wrong with the names and labels of metadata that could be decoded."""
    if generated := metadata.get("generateName"):
        # The server appends to it, so that it may end in a dash.
        stem = f"{generated[:-2]}a" if len(generated) > 1 and generated.endswith("-") else generated
        yield from _invalid("metadata.generateName", generated, names.subdomain(stem))
    yield from _invalid("metadata.name", metadata["name"], names.subdomain(metadata["name"]))
    # A server would say that there is no such namespace, which is true and helps nobody.
    if namespace := metadata.get("namespace"):
        yield from _invalid("metadata.namespace", namespace, names.label(namespace))
    for key, value in metadata.get("labels", {}).items():
        yield from _invalid("metadata.labels", key, names.qualified(key))
        yield from _invalid("metadata.labels", value, names.label_value(value))
    for key in metadata.get("annotations", {}):
        yield from _invalid("metadata.annotations", key, names.qualified(key.lower()))
    for finalizer in metadata.get("finalizers", []):
        yield from _invalid("metadata.finalizers", finalizer, names.qualified(finalizer))


def _invalid(path: str, value: str, details: list[str]) -> Iterator[Refusal]:
    return (refusals.invalid(path, value, detail) for detail in details)
