"""Answers in files: JSON Lines of what was asked and answered, read one by one."""

import json
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from pointsman.errors import UserError
from pointsman_sidecar.confidence import Judged, judge
from pointsman_sidecar.confidence.calibration import Labelled


@dataclass(frozen=True, slots=True)
class Line:
    """An answer to be judged, by the id that its line has."""

    id: str | int
    model: str
    answer: Judged


class LineError(UserError):
    """A line cannot be read."""

    def __init__(self, source: str, number: int, problem: str) -> None:
        super().__init__(f"{source}, line {number}: {problem}")


def answers(path: Path) -> Iterator[Line]:
    """The answers of a file; `-` is standard input.

    Raises:
        UserError: the file or a line of it cannot be read.
    """
    for source, number, row in _rows(path):
        try:
            yield Line(_id(row), _text(row, "model", default=""), _judged(row))
        except _Problem as problem:
            raise LineError(source, number, str(problem)) from problem


def labels(path: Path) -> Iterator[Labelled]:
    """The labelled answers of a file, those without a confidence judged now.

    Raises:
        UserError: the file or a line of it cannot be read.
    """
    for source, number, row in _rows(path):
        try:
            _id(row)
            confidence = _share(row, "confidence") if "confidence" in row else judge(_judged(row)).value
            yield Labelled(_text(row, "model", default=""), confidence, _share(row, "correct"))
        except _Problem as problem:
            raise LineError(source, number, str(problem)) from problem


class _Problem(Exception):  # noqa: N818 - it becomes a LineError
    """What is wrong with a line."""


def _rows(path: Path) -> Iterator[tuple[str, int, Mapping[str, Any]]]:
    source = "standard input" if str(path) == "-" else str(path)
    with _opened(path) as lines:
        for number, line in enumerate(_read(lines, source), start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except UnicodeDecodeError as error:
                raise LineError(source, number, "is no UTF-8 text") from error
            except json.JSONDecodeError as error:
                raise LineError(source, number, f"is no JSON: {error.msg} at column {error.colno}") from error
            except (RecursionError, ValueError) as error:
                raise LineError(
                    source, number, "is JSON that nobody can read: too deep, or a number too long"
                ) from error
            if not isinstance(row, dict):
                raise LineError(
                    source, number, 'must be an object, such as {"id": "1", "prompt": "…", "response": "…"}'
                )
            yield source, number, row


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    if str(path) == "-":
        yield sys.stdin.buffer
        return
    try:
        file = path.open("rb")
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror}") from error
    with file:
        yield file


def _read(lines: Iterable[bytes], source: str) -> Iterator[bytes]:
    try:
        yield from lines
    except OSError as error:
        raise UserError(f"{source} cannot be read: {error.strerror}") from error


def _judged(row: Mapping[str, Any]) -> Judged:
    return Judged(
        prompt=_text(row, "prompt"),
        response=_text(row, "response"),
        finish_reason=_text(row, "finish_reason", default=""),
        logprobs=_logprobs(row.get("logprobs")),
        valid_json=_flag(row, "valid_json"),
        refused=bool(_flag(row, "refused")),
    )


def _id(row: Mapping[str, Any]) -> str | int:
    found = row.get("id")
    if isinstance(found, bool) or not isinstance(found, (str, int)):
        raise _Problem("id: must be a text or a whole number" if "id" in row else "id is missing")
    return found


def _text(row: Mapping[str, Any], name: str, *, default: str | None = None) -> str:
    found = row.get(name)
    if found is None and default is not None:
        return default
    if not isinstance(found, str):
        raise _Problem(f"{name}: must be a text" if name in row else f"{name} is missing")
    return found


def _flag(row: Mapping[str, Any], name: str) -> bool | None:
    found = row.get(name)
    if found is not None and not isinstance(found, bool):
        raise _Problem(f"{name}: must be true or false")
    return found


def _share(row: Mapping[str, Any], name: str) -> float:
    found = row.get(name)
    if not isinstance(found, (int, float)) or not 0 <= found <= 1:
        raise _Problem(f"{name}: must be a number from 0 to 1" if name in row else f"{name} is missing")
    return float(found)


def _logprobs(found: Any) -> list[float] | None:
    """OpenAI's object or its `content`, or plain numbers."""
    if isinstance(found, dict):
        found = found.get("content")
    if found is None:
        return None
    if not isinstance(found, list):
        raise _Problem('logprobs: must be a list of numbers, or of {"token", "logprob"}')
    return [_logprob(each, position) for position, each in enumerate(found)]


def _logprob(each: Any, position: int) -> float:
    value = each.get("logprob") if isinstance(each, dict) else each
    # Not a number and below minus infinity are refused alike; -inf is what some providers write of a token cut off.
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value <= 0:
        raise _Problem(f"logprobs[{position}]: must be a logarithm, a number of 0 at most")
    try:
        return float(value)
    except OverflowError:
        return float("-inf")
