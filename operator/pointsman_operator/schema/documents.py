"""A file's documents, read as kubectl reads them: YAML or JSON, one or several, lists unfolded.

Two things are stricter than kubectl, because silence would hide a mistake: a key that stands twice is refused where
kubectl keeps the last, and so is what follows an end marker (`...`), which kubectl skips.
"""

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Final

from pointsman_operator.schema import scalars, yamldoc

_SEPARATOR: Final = "---"


@dataclass(frozen=True, kw_only=True)
class Document:
    """One resource of a file, and the line where it starts."""

    source: str
    line: int
    value: Any


class UnreadableDocumentError(Exception):
    """Raised by `documents` for text that is neither YAML nor JSON, with the place to look at."""

    def __init__(self, problem: str, *, source: str, line: int, column: int) -> None:
        super().__init__(f"{source}:{line}:{column}: {problem}")
        self.problem = problem
        self.source = source
        self.line = line
        self.column = column


def documents(text: str, *, source: str) -> list[Document]:
    """Read every resource in the text; empty documents are left out, and the items of a v1 List come one by one."""
    try:
        return [
            Document(source=source, line=line, value=value)
            for first_line, chunk in _chunks(text.removeprefix("\ufeff"))
            for line, value in _resources(chunk, first_line=first_line)
        ]
    except yamldoc.YamlError as fault:
        raise UnreadableDocumentError(fault.problem, source=source, line=fault.line, column=fault.column) from None


def _chunks(text: str) -> Iterator[tuple[int, str]]:
    """Cut at lines that start with the separator, as kubectl does before anything is parsed."""
    first_line, lines = 1, list[str]()
    for line_number, line in enumerate(text.split("\n"), start=1):
        if not line.startswith(_SEPARATOR):
            lines.append(line)
            continue
        rest = line.removeprefix(_SEPARATOR).strip()
        if rest and not rest.startswith("#"):
            problem = f"only a comment may follow {_SEPARATOR}; write {rest!r} into the next line"
            raise yamldoc.YamlError(problem, line=line_number, column=len(_SEPARATOR) + 1)
        yield first_line, "\n".join(lines)
        first_line, lines = line_number + 1, []
    yield first_line, "\n".join(lines)


def _resources(chunk: str, *, first_line: int) -> Iterator[tuple[int, Any]]:
    if chunk.lstrip().startswith("{"):
        try:
            found = _from_json(chunk, first_line=first_line)
        except (ValueError, RecursionError):  # a YAML mapping starts so too, and YAML knows the place of a fault
            pass
        else:
            for line, value in found:
                yield from ((line, item) for item in (_items(value) or [value]))
            return
    tree = yamldoc.read(chunk, first_line=first_line)
    if tree is None or tree.value is None:
        return
    items = _items(tree.value)
    if items is None:
        yield tree.line, tree.value
    else:
        yield from zip(tree.lines[id(items)], items, strict=True)


def _items(value: Any) -> list[Any] | None:
    match value:
        case {"apiVersion": "v1", "kind": "List", "items": list(items)}:
            return items
        case _:
            return None


def _from_json(chunk: str, *, first_line: int) -> list[tuple[int, Any]]:
    """Read JSON values that follow one another."""
    found = list[tuple[int, Any]]()
    start = 0
    while (start := len(chunk) - len(chunk[start:].lstrip())) < len(chunk):
        line = first_line + chunk.count("\n", 0, start)
        value, start = _JSON.raw_decode(chunk, start)
        found.append((line, _carried(value)))
    return found


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    mapping = dict(pairs)
    if len(mapping) < len(pairs):
        raise ValueError("a key stands twice")
    return mapping


def _number(text: str) -> float:
    value = scalars.carried(float(text) if set(text) & set(".eE") else int(text))
    if not math.isfinite(value):
        raise ValueError(f"{text} is out of range")
    return value


def _no_constant(name: str) -> float:
    raise ValueError(f"JSON has no {name}")


_JSON: Final = json.JSONDecoder(
    object_pairs_hook=_without_duplicates,
    parse_float=_number,
    parse_int=_number,
    parse_constant=_no_constant,
)


def _carried(value: Any) -> Any:
    match value:
        case dict():
            return {scalars.carried_text(key): _carried(inner) for key, inner in value.items()}
        case list():
            return [_carried(inner) for inner in value]
        case str():
            return scalars.carried_text(value)
        case _:
            return value
