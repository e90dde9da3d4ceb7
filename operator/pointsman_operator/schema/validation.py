"""The order in which kubectl and the API server look at a new object, and what each step hides of the next.

The steps themselves are in `metadata`, `decoding`, `values`, `lists` and `rules`.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from pointsman_operator.schema import decoding, evaluation, gotext, lists, metadata, names, refusals, values
from pointsman_operator.schema.definitions import Definition, Definitions
from pointsman_operator.schema.refusals import RULES_HIDDEN, Refusal


class Stage(Enum):
    """Where an object was refused. The refusals are all of one stage: what comes behind it was not looked at."""

    NO_OBJECT = auto()
    """kubectl finds no apiVersion or no kind."""
    UNDECODABLE = auto()
    """kubectl cannot read the kind or the metadata."""
    UNKNOWN_KIND = auto()
    """The cluster has no such kind."""
    UNNAMED = auto()
    """The object has no name that could be asked for."""
    UNKNOWN_FIELDS = auto()
    """The server's strict decoding finds fields that it does not know."""
    INVALID = auto()
    """The object breaks its schema or its rules."""


@dataclass(frozen=True, kw_only=True)
class Validated:
    """An object as the API server would store it, or why it would not."""

    object: Any
    """With defaults and without unknown fields, as far as the validation came. Not a part of what was given."""
    definition: Definition | None = None
    stage: Stage | None = None
    refusals: tuple[Refusal, ...] = ()

    @property
    def accepted(self) -> bool:
        """Whether the server would store it."""
        return not self.refusals


def validate(document: Any, *, definitions: Definitions) -> Validated:
    """Judge a new object, given as JSON; what is said of it is what `kubectl apply` would say."""
    value = decoding.sent(document)
    if faults := list(_no_object(value)):
        return _refused(Stage.NO_OBJECT, value, faults)
    if fault := _undecodable(value):
        return _refused(Stage.UNDECODABLE, value, [fault])
    api_version, kind = value["apiVersion"], value["kind"]
    definition = definitions.find(api_version=api_version, kind=kind)
    if definition is None:
        fault = f"no matches for kind {gotext.quoted(kind)} in version {gotext.quoted(api_version.removeprefix('/'))}"
        return _refused(Stage.UNKNOWN_KIND, value, [fault])
    if fault := _unnamed(value.setdefault("metadata", {})):
        return _refused(Stage.UNNAMED, value, [fault], definition=definition)
    return _by_server(value, definition=definition)


def _by_server(value: dict[str, Any], *, definition: Definition) -> Validated:
    unknown = metadata.unknown_fields(value["metadata"])
    value["metadata"] = metadata.known_fields(value["metadata"])
    if not definition.namespaced:
        value["metadata"].pop("namespace", None)
    if value["kind"] != definition.kind:
        fault = refusals.invalid("kind", value["kind"], f"must be {definition.kind}")
        return Validated(object=value, definition=definition, stage=Stage.INVALID, refusals=(fault,))
    value, unknown_below = decoding.without_unknown_fields(value, definition.schema)
    value = decoding.with_defaults(value, definition.schema)
    value.pop("status", None)
    if unknown or unknown_below:
        sentences = [f'unknown field "{path}"' for path in unknown + unknown_below]
        return _refused(Stage.UNKNOWN_FIELDS, value, sentences, definition=definition)
    faults = [
        *metadata.faults(value["metadata"]),
        *values.faults(value, definition.schema),
        *lists.faults(value, definition.schema),
    ]
    if any(fault.hides_rules for fault in faults):
        faults.append(RULES_HIDDEN)
    else:
        faults += evaluation.faults(value, definition.schema)
    if not faults:
        return Validated(object=value, definition=definition)
    # kubectl says each thing once.
    return Validated(object=value, definition=definition, stage=Stage.INVALID, refusals=tuple(dict.fromkeys(faults)))


def _refused(stage: Stage, value: Any, sentences: list[str], *, definition: Definition | None = None) -> Validated:
    return Validated(
        object=value,
        definition=definition,
        stage=stage,
        refusals=tuple(Refusal(sentence=sentence) for sentence in sentences),
    )


def _no_object(value: Any) -> Iterator[str]:
    if not isinstance(value, dict):
        yield "invalid object to validate"
        return
    for key in ("apiVersion", "kind"):
        match value.get(key):
            case None:
                yield f"{key} not set"
            case str(text):
                if key == "apiVersion" and text.count("/") > 1:
                    yield f"unexpected GroupVersion string: {text}"
            case _:
                yield f"{key} isn't string type"


def _undecodable(value: dict[str, Any]) -> str | None:
    if not value["kind"]:
        return f"Object 'Kind' is missing in '{gotext.as_json(value)}'"
    return metadata.undecodable(value.get("metadata", {}))


def _unnamed(given: dict[str, Any]) -> str | None:
    name = given.get("name", "")
    if not name:
        return "cannot use generate name with apply" if given.get("generateName") else "resource name may not be empty"
    wrong = names.path_segment(name)
    return f"invalid resource name {gotext.quoted(name)}: [{' '.join(wrong)}]" if wrong else None
