"""JSON lines from a file or from standard input, each checked; what is wrong is said with its line."""

import gzip
import json
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TextIO

from pointsman.errors import UserError


def objects(path: Path) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Each line's place and object. `-` is standard input; a name that ends in .gz is unpacked; empty lines are none.

    Raises:
        UserError: the file cannot be read, or a line is no JSON object.
    """
    with _opened(path) as (name, lines):
        number = 0
        try:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield (where := f"{name}, line {number}"), _object(line, where)
        except UnicodeDecodeError as error:
            raise UserError(f"{name}, after line {number}: this is no UTF-8 text") from error
        except (OSError, EOFError) as error:
            raise UserError(f"{name} cannot be read: {error}") from error


def text(raw: Mapping[str, Any], member: str, where: str) -> str:
    """A member that must be a text."""
    value = raw.get(member)
    if not isinstance(value, str):
        given = "is missing" if value is None else f"is {_kind(value)}"
        raise UserError(f'{where}: "{member}" {given}: write a text in quotation marks')
    return value


def _object(line: str, where: str) -> Mapping[str, Any]:
    try:
        raw = json.loads(line)
    except (ValueError, RecursionError) as error:
        # Not the line itself: it may hold a prompt.
        at = f" at character {error.colno}" if isinstance(error, json.JSONDecodeError) else ""
        raise UserError(f'{where}: this is no JSON{at}: write one object a line, {{"id": "...", ...}}') from error
    if not isinstance(raw, dict):
        raise UserError(f'{where}: this is {_kind(raw)}: write one object a line, {{"id": "...", ...}}')
    return raw


def _kind(value: object) -> str:
    kinds = {
        bool: "true or false",
        int: "a number",
        float: "a number",
        str: "a text",
        list: "a list",
        dict: "an object",
    }
    return kinds.get(type(value), "null")


@contextmanager
def _opened(path: Path) -> Iterator[tuple[str, TextIO]]:
    if str(path) == "-":
        yield "standard input", sys.stdin
        return
    try:
        with gzip.open(path, "rt", encoding="utf-8") if path.suffix == ".gz" else path.open(encoding="utf-8") as file:
            yield str(path), file
    except OSError as error:
        raise UserError(f"{path} cannot be read: {error.strerror or error}") from error
