"""A suite from its file: what is wrong in it is said with line and field. `read_suite` does the I/O."""

import hashlib
import json
import re
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from pointsman.errors import UserError
from pointsman.regression.patterns import LONGEST, PatternError, found
from pointsman.regression.suites import Case, Expected, Suite
from pointsman_operator.schema import yamldoc
from pointsman_sidecar.contract.chat_requests import read_chat
from pointsman_sidecar.contract.hints import DECISION, PREFIX, read_hints
from pointsman_sidecar.contract.requests import InvalidRequestError

MOST_CASES: Final = 1_000
_MOST_TEXTS: Final = 32
_LONGEST_NAME: Final = 63
_NAME: Final = re.compile(r"[a-z0-9]([-a-z0-9]*[a-z0-9])?")
_CASE_NAME: Final = re.compile(r"[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?")
_REASONS: Final = ("stop", "length", "tool_calls", "content_filter")
_JSON: Final = ("json_object", "json_schema")
_DIGEST: Final = 12
# Of a request, what would have more or less of an answer than is looked at.
_NOT_HERE: Final = {
    "stream": "leave it out: answers are looked at whole",
    "n": "leave it out: one answer is looked at",
    "model": "leave it out: the sides say which model answers",
}


class SuiteError(UserError):
    """The suite cannot be used. The text says where and why."""


class _WrongError(Exception):
    """What is wrong with a field, by its path."""

    def __init__(self, path: str, problem: str) -> None:
        super().__init__(problem)
        self.path = path


def read_suite(path: Path) -> Suite:
    """The suite of a file; `-` is standard input.

    Raises:
        SuiteError: the file cannot be read, or is no suite.
    """
    source = "standard input" if str(path) == "-" else str(path)
    try:
        text = sys.stdin.read() if str(path) == "-" else path.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise SuiteError(f"{source} is no UTF-8 text") from error
    except OSError as error:
        raise SuiteError(f"{source} cannot be read: {error.strerror or error}") from error
    return suite_of(text, source=source)


def suite_of(text: str, *, source: str) -> Suite:
    """The suite in a text. Pure.

    Raises:
        SuiteError: it is none.
    """
    try:
        tree = yamldoc.read(text.removeprefix("\ufeff"), first_line=1)
    except yamldoc.YamlError as fault:
        raise SuiteError(f"{source}:{fault.line}:{fault.column}: {fault.problem}") from None
    if tree is None:
        raise SuiteError(f"{source}: it is empty: write a suite's name and its cases")
    place = _Place(source=source, tree=tree)
    try:
        name, listed = _root(tree.value)
    except _WrongError as wrong:
        raise place.error(wrong, line=tree.line) from None
    cases = [place.case(each, position, tree.lines[id(listed)][position]) for position, each in enumerate(listed)]
    _named_once(cases, place=place, lines=tree.lines[id(listed)])
    digest = hashlib.sha256(json.dumps(tree.value, sort_keys=True).encode(errors="surrogatepass")).hexdigest()
    return Suite(name=name, digest=digest[:_DIGEST], cases=tuple(cases))


def _root(value: Any) -> tuple[str, list[Any]]:
    """The suite's name, and its cases as they stand there."""
    root = _mapping(value, "", known=("suite", "cases"))
    name = _text(root, "suite", "")
    if len(name) > _LONGEST_NAME or not _NAME.fullmatch(name):
        raise _WrongError(
            "suite", f"must be at most {_LONGEST_NAME} lower-case letters, digits and dashes, such as support-answers"
        )
    listed = root.get("cases")
    if not isinstance(listed, list) or not 0 < len(listed) <= MOST_CASES:
        raise _WrongError("cases", f"must be a list of 1 to {MOST_CASES:,} cases")
    return name, listed


@dataclass(frozen=True, kw_only=True, slots=True)
class _Place:
    source: str
    tree: yamldoc.Tree

    def error(self, wrong: _WrongError, *, line: int) -> SuiteError:
        field = f" {wrong.path}:" if wrong.path else ""
        return SuiteError(f"{self.source}:{line}:{field} {wrong}")

    def case(self, value: Any, position: int, line: int) -> Case:
        try:
            return _case(value, f"cases[{position}]")
        except _WrongError as wrong:
            raise self.error(wrong, line=line) from None


def _named_once(cases: Sequence[Case], *, place: _Place, lines: Sequence[int]) -> None:
    first: dict[str, int] = {}
    for position, case in enumerate(cases):
        if (earlier := first.setdefault(case.name, position)) != position:
            wrong = _WrongError(f"cases[{position}].name", f"{case.name} is that of line {lines[earlier]} too")
            raise place.error(wrong, line=lines[position])


def _case(value: Any, path: str) -> Case:
    raw = _mapping(value, path, known=("name", "headers", "request", "expect"))
    name = _text(raw, "name", path)
    if len(name) > _LONGEST_NAME or not _CASE_NAME.fullmatch(name):
        raise _WrongError(
            f"{path}.name", f"must be at most {_LONGEST_NAME} letters, digits, dashes, dots and underscores"
        )
    headers = _headers(raw.get("headers", {}), f"{path}.headers")
    request = _request(raw.get("request"), headers, f"{path}.request")
    expected = _expected(raw.get("expect"), f"{path}.expect")
    if expected.valid_json and not _wants_json(request):
        raise _WrongError(f"{path}.expect.validJSON", "the request has no response_format that asks for JSON: add one")
    return Case(name=name, request=request, headers=headers, expected=expected)


def _wants_json(request: Mapping[str, Any]) -> bool:
    wanted = request.get("response_format")
    return isinstance(wanted, dict) and wanted.get("type") in _JSON


def _headers(value: Any, path: str) -> dict[str, str]:
    headers: dict[str, str] = {}
    for name, text in _mapping(value, path).items():
        if not isinstance(text, str) or not (text.isascii() and text.isprintable()):
            raise _WrongError(f"{path}.{name}", "must be a text of one line, in plain characters")
        if name.lower() == DECISION:
            raise _WrongError(f"{path}.{name}", "is set by regress; leave it out")
        headers[name.lower()] = text
    try:
        read_hints({name: text for name, text in headers.items() if name.startswith(PREFIX)})
    except InvalidRequestError as error:
        raise _WrongError(path, str(error)) from None
    return headers


def _request(value: Any, headers: Mapping[str, str], path: str) -> dict[str, Any]:
    request = _mapping(value, path)
    for name, problem in _NOT_HERE.items():
        if name in request:
            raise _WrongError(f"{path}.{name}", problem)
    hints = read_hints({name: text for name, text in headers.items() if name.startswith(PREFIX)})
    try:
        read_chat(json.dumps(request).encode(errors="surrogatepass"), hints)
    except InvalidRequestError as error:
        # As the door would answer, where the whole is called body.
        first = error.violations[0]
        raise _WrongError(path if first.field == "body" else f"{path}.{first.field}", first.description) from None
    return request


def _expected(value: Any, path: str) -> Expected:
    raw = _mapping(value, path, known=tuple(_READERS))
    if not raw:
        raise _WrongError(path, f"must expect something: {', '.join(_READERS)}")
    found_: dict[str, Any] = {}
    for name, each in raw.items():
        field, read = _READERS[name]
        found_[field] = read(each, f"{path}.{name}")
    return Expected(**found_)


def _texts(value: Any, path: str) -> tuple[str, ...]:
    texts = value if isinstance(value, list) else [value]
    if not 0 < len(texts) <= _MOST_TEXTS or not all(isinstance(each, str) and each for each in texts):
        raise _WrongError(path, f"must be a text, or a list of 1 to {_MOST_TEXTS}; a number needs quotation marks")
    return tuple(texts)


def _patterns(value: Any, path: str) -> tuple[str, ...]:
    patterns = _texts(value, path)
    for position, pattern in enumerate(patterns):
        at = f"{path}[{position}]" if isinstance(value, list) else path
        if len(pattern) > LONGEST:
            raise _WrongError(at, f"must be at most {LONGEST} characters long")
        try:
            found(pattern, "")
        except PatternError as error:
            raise _WrongError(at, f"is no pattern (of RE2): {error}") from None
    return patterns


def _one_text(value: Any, path: str) -> str:
    if not isinstance(value, str):
        raise _WrongError(path, "must be a text; a number needs quotation marks")
    return value


def _word(value: Any, path: str) -> str:
    if not isinstance(value, str) or not value:
        raise _WrongError(path, "must be the name of one of the policy's models")
    return value


def _yes(value: Any, path: str) -> bool:
    if value is not True:
        raise _WrongError(path, "must be true; leave it out where it is not to be looked at")
    return True


def _reason(value: Any, path: str) -> str:
    if value not in _REASONS:
        raise _WrongError(path, f"must be one of {', '.join(_REASONS)}")
    return str(value)


def _tokens(value: Any, path: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise _WrongError(path, "must be a whole number from 1 on")
    return value


def _share(value: Any, path: str) -> float:
    try:
        # In quotation marks as in a policy, or without.
        share = float("nan") if isinstance(value, bool) else float(value)
    except (TypeError, ValueError):
        share = float("nan")
    if not 0 < share <= 1:
        raise _WrongError(path, 'must be a number above 0 and at most 1, such as "0.7"')
    return share


_READERS: Final[Mapping[str, tuple[str, Callable[[Any, str], Any]]]] = {
    "contains": ("contains", _texts),
    "doesNotContain": ("lacks", _texts),
    "matches": ("matches", _patterns),
    "equals": ("equals", _one_text),
    "validJSON": ("valid_json", _yes),
    "finishReason": ("finish_reason", _reason),
    "maxOutputTokens": ("max_output_tokens", _tokens),
    "model": ("model", _word),
    "noRefusal": ("no_refusal", _yes),
    "minConfidence": ("min_confidence", _share),
}


def _mapping(value: Any, path: str, *, known: tuple[str, ...] = ()) -> dict[str, Any]:
    if not isinstance(value, dict):
        fields = f" with {', '.join(known)}" if known else ""
        raise _WrongError(path, f"{'is missing' if value is None else 'must be a mapping'}: write a mapping{fields}")
    if known and (strange := next((name for name in value if name not in known), None)) is not None:
        raise _WrongError(f"{path}.{strange}" if path else strange, f"is not known; there are {', '.join(known)}")
    return value


def _text(raw: Mapping[str, Any], name: str, path: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str) or not value:
        at = f"{path}.{name}" if path else name
        raise _WrongError(at, "is missing" if value is None else "must be a text; a number needs quotation marks")
    return value
