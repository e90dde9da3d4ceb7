"""Kubernetes' own rules for names and labels, each returning what is wrong, in the server's words.

Lengths are counted in bytes, as the server does.
"""

import re
from typing import Final

_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"
_SUBDOMAIN: Final = rf"{_LABEL}(\.{_LABEL})*"
_QUALIFIED: Final = "([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]"
_LABEL_VALUE: Final = f"({_QUALIFIED})?"

_SUBDOMAIN_SENTENCE: Final = (
    "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and"
    f" end with an alphanumeric character (e.g. 'example.com', regex used for validation is '{_SUBDOMAIN}')"
)
_LABEL_SENTENCE: Final = (
    "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with"
    f" an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '{_LABEL}')"
)
_QUALIFIED_SENTENCE: Final = (
    "must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character"
    f" (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '{_QUALIFIED}')"
)
_LABEL_VALUE_SENTENCE: Final = (
    "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and"
    " end with an alphanumeric character"
    f" (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '{_LABEL_VALUE}')"
)


def subdomain(text: str) -> list[str]:
    """Judge the name of an object."""
    return _judged(text, longest=253, pattern=_SUBDOMAIN, sentence=_SUBDOMAIN_SENTENCE)


def label(text: str) -> list[str]:
    """Judge the name of a namespace."""
    if "." in text and re.fullmatch(_SUBDOMAIN, text):
        return [*_judged(text, longest=63, pattern=".*", sentence=""), "must not contain dots"]
    return _judged(text, longest=63, pattern=_LABEL, sentence=_LABEL_SENTENCE)


def label_value(text: str) -> list[str]:
    """Judge the value of a label."""
    return _judged(text, longest=63, pattern=_LABEL_VALUE, sentence=_LABEL_VALUE_SENTENCE)


def qualified(text: str) -> list[str]:
    """Judge the key of a label or an annotation, or a finalizer: a name, with or without a domain before it."""
    prefix, slash, name = text.rpartition("/")
    if "/" in prefix:
        example = " with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')"
        return [f"a qualified name {_QUALIFIED_SENTENCE}{example}"]
    faults = list[str]()
    if slash:
        faults += [f"prefix part {fault}" for fault in (subdomain(prefix) if prefix else ["must be non-empty"])]
    if not name:
        faults.append("name part must be non-empty")
    return faults + [
        f"name part {fault}" for fault in _judged(name, longest=63, pattern=_QUALIFIED, sentence=_QUALIFIED_SENTENCE)
    ]


def path_segment(text: str) -> list[str]:
    """Judge what is to stand in a URL's path, which kubectl does before it asks the server."""
    if text in {".", ".."}:
        return [f"may not be '{text}'"]
    return [f"may not contain '{character}'" for character in "/%" if character in text]


def _judged(text: str, *, longest: int, pattern: str, sentence: str) -> list[str]:
    faults = list[str]()
    if len(text.encode()) > longest:
        faults.append(f"must be no more than {longest} characters")
    if not re.fullmatch(pattern, text):
        faults.append(sentence)
    return faults
