"""Resources in files: found, read, and judged by the CRDs, as `kubectl apply` would. `read` does the I/O."""

import sys
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pointsman.errors import UserError
from pointsman_operator.schema import (
    Definitions,
    Document,
    Stage,
    UnreadableDocumentError,
    Validated,
    documents,
    rendered,
    validate,
)

GROUP = "pointsman.dev"
_ENDINGS = frozenset({".yaml", ".yml", ".json"})
_STDIN = Path("-")
# As kubectl calls it.
_STDIN_SOURCE = "STDIN"


class ManifestError(UserError):
    """The files cannot be read. The text says which, where and why."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Refused:
    """A document that a cluster would not take. `answer` is what kubectl would print."""

    document: Document
    answer: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Manifests:
    """What the files hold: resources of ours with defaults applied, Namespaces and Secrets, and what was refused.

    `others` are of kinds that are no business of ours, by kind and name.
    """

    accepted: tuple[Document, ...]
    refused: tuple[Refused, ...]
    others: tuple[str, ...]

    def of(self, kind: str) -> tuple[dict[str, Any], ...]:
        """The accepted objects of a kind, in the order of the files."""
        return tuple(each.value for each in self.accepted if each.value["kind"] == kind)


def read(paths: Sequence[Path]) -> list[Document]:
    """All documents of files and folders (not their subfolders); `-` is standard input.

    Raises:
        ManifestError: there is no such file, or it is no YAML or JSON.
    """
    found: list[Document] = []
    for path in expand(paths):
        source = _STDIN_SOURCE if path == _STDIN else str(path)
        try:
            text = sys.stdin.read() if path == _STDIN else path.read_text(encoding="utf-8")
            found += documents(text, source=source)
        except (OSError, UnicodeDecodeError) as error:
            raise _unreadable(source, error) from error
        except UnreadableDocumentError as error:
            raise ManifestError(str(error)) from error
    if not found:
        raise ManifestError(f"{', '.join(map(str, paths))}: no resources found")
    return found


def expand(paths: Sequence[Path]) -> list[Path]:
    """The files that are meant: a folder stands for the YAML and JSON files in it, by name.

    Raises:
        ManifestError: a folder cannot be read.
    """
    files: list[Path] = []
    for path in paths:
        try:
            if path.is_dir():
                files += sorted(each for each in path.iterdir() if each.suffix in _ENDINGS and not each.is_dir())
            else:
                files.append(path)
        except OSError as error:
            raise _unreadable(str(path), error) from error
    return files


def _unreadable(source: str, error: OSError | UnicodeDecodeError) -> ManifestError:
    return ManifestError(f"{source} cannot be read: {getattr(error, 'strerror', None) or error}")


def judge(found: Iterable[Document], *, definitions: Definitions, namespace: str) -> Manifests:
    """Sort the documents by what a cluster would do with them. `namespace` is for those that name none. Pure."""
    accepted: list[Document] = []
    refused: list[Refused] = []
    others: list[str] = []
    first: dict[tuple[str, str, str], Document] = {}
    for document in found:
        value = document.value
        if not _is_ours(value, definitions):
            if not _is_core(value):
                others.append(_called(value))
            elif isinstance(core := _core(document, definitions=definitions), Refused):
                refused.append(core)
            else:
                accepted.append(core)
            continue
        validated = validate(value, definitions=definitions)
        if not validated.accepted:
            refused.append(Refused(document=document, answer=_answer(validated, document)))
            continue
        stored = _placed(validated, namespace=namespace)
        key = (stored["kind"], stored["metadata"].get("namespace", ""), stored["metadata"]["name"])
        if earlier := first.get(key):
            answer = f"{_called(stored)} stands twice: in {_place(earlier)} and in {_place(document)}; remove one"
            refused.append(Refused(document=document, answer=answer))
            continue
        first[key] = document
        accepted.append(Document(source=document.source, line=document.line, value=stored))
    return Manifests(accepted=tuple(accepted), refused=tuple(refused), others=tuple(others))


def _answer(validated: Validated, document: Document) -> str:
    return rendered(validated, source=document.source).rstrip("\n")


def _placed(validated: Validated, *, namespace: str) -> dict[str, Any]:
    stored: dict[str, Any] = validated.object
    if validated.definition is not None and validated.definition.namespaced:
        stored["metadata"]["namespace"] = stored["metadata"].get("namespace") or namespace
    return stored


def _is_ours(value: Any, definitions: Definitions) -> bool:
    # What is no resource at all goes the same way, so that the schema says what is wrong with it.
    if not isinstance(value, dict) or not isinstance(value.get("apiVersion"), str):
        return True
    # So does a kind of ours in a group that is not: a misspelt group must not pass unseen.
    ours = [definition.kind for definition in definitions.known]
    return value["apiVersion"].partition("/")[0] == GROUP or value.get("kind") in ours


def _is_core(value: dict[str, Any]) -> bool:
    if value["apiVersion"] != "v1" or value.get("kind") not in {"Namespace", "Secret"}:
        return False
    metadata = value.get("metadata")
    return isinstance(metadata, dict) and isinstance(metadata.get("name"), str)


def _core(document: Document, *, definitions: Definitions) -> Document | Refused:
    """A Namespace or a Secret as far as it is read here; what else a cluster asks of it is its own business."""
    validated = validate(document.value, definitions=definitions)
    if validated.stage is Stage.UNDECODABLE:
        return Refused(document=document, answer=_answer(validated, document))
    value = validated.object
    for field in ("data", "stringData") if value["kind"] == "Secret" else ():
        entries = value.get(field, {})
        if not isinstance(entries, dict) or not all(isinstance(each, str) for each in entries.values()):
            answer = f"{_called(value)} in {_place(document)}: {field} must hold a text, in quotes, for each key"
            return Refused(document=document, answer=answer)
    return Document(source=document.source, line=document.line, value=value)


def _called(value: dict[str, Any]) -> str:
    metadata = value.get("metadata")
    name = metadata.get("name") if isinstance(metadata, dict) else None
    return f"{value.get('kind')} {name}"


def _place(document: Document) -> str:
    return f"{document.source}:{document.line}"
