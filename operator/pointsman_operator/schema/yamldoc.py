"""One YAML document as the JSON value that kubectl makes of it.

Built from the parser's events rather than its nodes, so that hostile nesting and aliases meet a limit and not the
stack's or the memory's end. What a scalar means is `scalars`' business.
"""

import math
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import yaml
from yaml.events import (
    AliasEvent,
    Event,
    MappingEndEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamEndEvent,
)

from pointsman_operator.schema import scalars

try:
    from yaml import CSafeLoader as _Loader
except ImportError:  # PyYAML built without libyaml: ten times slower, and the same
    from yaml import SafeLoader as _Loader  # type: ignore[assignment]

_DEEPEST: Final = 100
_MOST_VALUES: Final = 1_000_000
_MERGE: Final = "<<"
_MERGE_TAG: Final = "tag:yaml.org,2002:merge"


class YamlError(Exception):
    """Raised by `read`, with the place, counted from 1, where the text stops making sense."""

    def __init__(self, problem: str, *, line: int, column: int) -> None:
        super().__init__(problem)
        self.problem = problem
        self.line = line
        self.column = column


@dataclass(frozen=True, kw_only=True)
class Tree:
    """A document's value, and where it and the elements of its lists start."""

    value: Any
    line: int
    lines: Mapping[int, list[int]]
    """For each list, by its `id`, the line of each of its elements."""


def read(text: str, *, first_line: int) -> Tree | None:
    """Read the one document in the text, which starts at that line of its file; None where there is none."""
    reader = _Reader(events=yaml.parse(text, Loader=_Loader), first_line=first_line)
    try:
        return reader.document()
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        problem = ", ".join(filter(None, [error.context, error.problem]))
        line, column = (mark.line, mark.column) if mark else (0, 0)
        if line > (last := text.count("\n")):  # the parser puts the end of the text behind its last line
            line, column = last, len(text) - text.rfind("\n") - 1
        raise YamlError(problem, line=first_line + line, column=column + 1) from None
    except yaml.reader.ReaderError as error:
        before = text[: error.position]
        problem = f"the character U+{error.character:04X} is not allowed here"
        raise YamlError(
            problem, line=first_line + before.count("\n"), column=len(before) - before.rfind("\n")
        ) from None


@dataclass
class _Reader:
    events: Iterator[Event]
    first_line: int
    anchors: dict[str, tuple[Any, int]] = field(default_factory=dict)
    """The values that have a name, each with the number of values in it."""
    unfinished: set[str] = field(default_factory=set)
    values: int = 0
    lines: dict[int, list[int]] = field(default_factory=dict)

    def document(self) -> Tree | None:
        next(self.events)  # the stream's start
        if isinstance(next(self.events), StreamEndEvent):
            return None
        root = next(self.events)
        tree = Tree(value=self._value(root, depth=0), line=self._line(root), lines=self.lines)
        end = next(self.events)
        try:
            alone = isinstance(next(self.events), StreamEndEvent)
        except yaml.MarkedYAMLError:
            if not getattr(end, "explicit", False):
                raise
            alone = False
        if not alone:
            raise self._fault(end, "kubectl reads no further than an end marker; start the next document with ---")
        return tree

    def _line(self, event: Event) -> int:
        mark: Any = event.start_mark  # a parser's event always has one
        return self.first_line + int(mark.line)

    def _fault(self, event: Event, problem: str) -> YamlError:
        mark: Any = event.start_mark
        return YamlError(problem, line=self._line(event), column=mark.column + 1)

    def _value(self, event: Event, *, depth: int) -> Any:
        if isinstance(event, AliasEvent):
            return self._alias(event)
        self.values += 1
        before = self.values
        anchor: str | None = getattr(event, "anchor", None)
        if anchor:
            self.unfinished.add(anchor)
        if depth > _DEEPEST:
            raise self._fault(event, f"values nest more than {_DEEPEST} deep")
        match event:
            case ScalarEvent():
                value: Any = self._scalar(event)
            case SequenceStartEvent():
                value = self._sequence(depth=depth)
            case _:
                value = self._mapping(depth=depth)
        if anchor:
            self.unfinished.discard(anchor)
            self.anchors[anchor] = value, self.values - before + 1
        return value

    def _alias(self, event: AliasEvent) -> Any:
        name = event.anchor
        if name in self.unfinished:
            raise self._fault(event, f"&{name} contains itself")
        if name not in self.anchors:
            raise self._fault(event, f"*{name} has no &{name} before it")
        value, size = self.anchors[name]
        self.values += size
        if self.values > _MOST_VALUES:
            raise self._fault(event, f"aliases blow this document up to more than {_MOST_VALUES:,} values")
        return value

    def _sequence(self, *, depth: int) -> list[Any]:
        values, lines = list[Any](), list[int]()
        while not isinstance(event := next(self.events), SequenceEndEvent):
            lines.append(self._line(event))
            values.append(self._value(event, depth=depth + 1))
        self.lines[id(values)] = lines
        return values

    def _mapping(self, *, depth: int) -> dict[str, Any]:
        mapping, lines = dict[str, Any](), dict[str, int]()
        while not isinstance(event := next(self.events), MappingEndEvent):
            merges = isinstance(event, ScalarEvent) and _merges(event)
            key = _MERGE if merges else self._key(event, self._value(event, depth=depth + 1))
            value_event = next(self.events)
            value = self._value(value_event, depth=depth + 1)
            if merges:
                mapping |= self._merged(value_event, value)
                continue
            if key in lines:
                raise self._fault(event, f"the key {key!r} stands twice, first in line {lines[key]}")
            lines[key] = self._line(event)
            mapping[key] = value
        return mapping

    def _scalar(self, event: ScalarEvent) -> scalars.Scalar:
        if event.tag is None or event.tag == "!":
            value = scalars.plain(event.value) if event.tag is None and event.implicit[0] else event.value
        else:
            try:
                value = scalars.tagged(event.tag, event.value)
            except ValueError as error:
                raise self._fault(event, str(error)) from None
        if isinstance(value, str):
            return scalars.carried_text(value)
        if value is None or isinstance(value, bool):
            return value
        if not math.isfinite(value):
            raise self._fault(event, f"JSON, which a resource travels as, has no number {event.value}")
        return scalars.carried(value)

    def _merged(self, event: Event, value: Any) -> dict[str, Any]:
        mappings = value if isinstance(value, list) else [value]
        merged = dict[str, Any]()
        for mapping in reversed(mappings):  # of several, the first has the last word
            if not isinstance(mapping, dict):
                raise self._fault(event, f"{_MERGE} needs a mapping or a list of mappings")
            merged |= mapping
        return merged

    def _key(self, event: Event, value: Any) -> str:
        match value:
            case str():
                return value
            case bool():
                return "true" if value else "false"
            case int() | float():
                return str(value)
            case _:
                raise self._fault(event, "a key must be a string")


def _merges(event: ScalarEvent) -> bool:
    return event.tag == _MERGE_TAG or (event.value == _MERGE and event.implicit[0])
