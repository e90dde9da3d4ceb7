"""A whole answer, as kubectl prints it on stderr for a file that holds one resource."""

from typing import Any

from pointsman_operator.schema import gotext
from pointsman_operator.schema.validation import Stage, Validated


def rendered(validated: Validated, *, source: str) -> str:
    """Return what kubectl prints about a refused object, down to the last newline; nothing about an accepted one."""
    if validated.accepted:
        return ""
    text = _answer(validated, causes=[str(refusal) for refusal in validated.refusals], source=gotext.quoted(source))
    return text + "\n"


def _answer(validated: Validated, *, causes: list[str], source: str) -> str:
    given = validated.object
    match validated.stage:
        case Stage.NO_OBJECT:
            problem = causes[0] if len(causes) == 1 else f"[{', '.join(causes)}]"
            return (
                f"error: error validating {source}: error validating data: {problem};"
                " if you choose to ignore these errors, turn validation off with --validate=false"
            )
        case Stage.UNDECODABLE:
            return f"error: unable to decode {source}: {causes[0]}"
        case Stage.UNKNOWN_KIND:
            return (
                f"error: resource mapping not found for {_named(given)} from {source}: {causes[0]}\n"
                "ensure CRDs are installed first"
            )
        case Stage.UNNAMED:
            return _unnamed(validated, problem=causes[0], source=source)
        case Stage.UNKNOWN_FIELDS:
            kind, version = given["kind"], given["apiVersion"].partition("/")[2]
            return (
                f"Error from server (BadRequest): error when creating {source}: {kind} in version"
                f" {gotext.quoted(version)} cannot be handled as a {kind}: strict decoding error: {', '.join(causes)}"
            )
        case _:
            head = f"The {given['kind']} {gotext.quoted(given['metadata']['name'])} is invalid: "
            return head + causes[0] if len(causes) == 1 else "\n* ".join([head, *causes])


def _named(given: dict[str, Any]) -> str:
    metadata = given.get("metadata", {})
    name, namespace = metadata.get("name", ""), metadata.get("namespace", "")
    return f"name: {gotext.quoted(name)} namespace: {gotext.quoted(namespace)}"


def _unnamed(validated: Validated, *, problem: str, source: str) -> str:
    definition, metadata = validated.definition, validated.object["metadata"]
    assert definition is not None  # noqa: S101 - a kind is known before a name is asked for
    if metadata.get("generateName") and not metadata.get("name"):
        return f"error: from {metadata['generateName']}: {problem}"
    # Where neither the file nor the kubeconfig names a namespace, it is this one.
    namespace = metadata.get("namespace", "default") if definition.namespaced else ""
    version = f"{definition.group}/{definition.version}"
    return (
        "error: error when retrieving current configuration of:\n"
        f'Resource: "{version}, Resource={definition.plural}", GroupVersionKind: "{version}, Kind={definition.kind}"\n'
        f"Name: {gotext.quoted(metadata.get('name', ''))}, Namespace: {gotext.quoted(namespace)}\n"
        f"from server for: {source}: {problem}"
    )
