"""What a request's headers tell the routing. They end at the door."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import msgspec

from pointsman_sidecar.contract.requests import LONGEST_ID, MOST_METADATA, Violation, named, quoted, refuse
from pointsman_sidecar.routing.policy import Priority, Severity

PREFIX = "x-pointsman-"
USER = "x-pointsman-user"
SESSION = "x-pointsman-session"
SEVERITY = "x-pointsman-severity"
PRIORITY = "x-pointsman-priority"
METADATA = "x-pointsman-metadata"
DECISION = "x-pointsman-decision"
HEADERS = (USER, SESSION, SEVERITY, PRIORITY, METADATA, DECISION)
# Where the decision goes: to the headers of the answer alone, or into its body too.
_PLACES = ("headers", "body")
_metadata = msgspec.json.Decoder(dict[str, str])


@dataclass(frozen=True, kw_only=True, slots=True)
class Hints:
    """What is said of a request beside its body."""

    user: str = ""
    session: str = ""
    severity: Severity | None = None
    priority: Priority | None = None
    metadata: Mapping[str, str] = field(default_factory=dict)


def read_hints(headers: Mapping[str, str]) -> Hints:
    """Read the headers that are ours, by their names in lower case; others are passed over.

    Raises:
        InvalidRequestError: one cannot be understood, or is none that there is.
    """
    wrong = [
        Violation(named(name), f"is no header of this door's: it reads {', '.join(HEADERS)}")
        for name in headers
        if name.startswith(PREFIX) and name not in HEADERS
    ]
    wrong += [Violation(named(name), "is not UTF-8") for name, text in headers.items() if not _is_text(text)]
    severity: Severity | None = None
    if (text := headers.get(SEVERITY)) is not None:
        severity = Severity.__members__.get(text.strip().upper())
        if severity is None:
            wrong.append(Violation(SEVERITY, f"is {quoted(text)}: write low, medium, high or critical"))
    priority: Priority | None = None
    if (text := headers.get(PRIORITY)) is not None:
        priority = Priority.__members__.get(text.strip().upper())
        if priority is None:
            wrong.append(Violation(PRIORITY, f"is {quoted(text)}: write low, normal or high"))
    metadata: Mapping[str, str] = {}
    if (text := headers.get(METADATA)) is not None:
        try:
            metadata = _metadata.decode(text)
        except (msgspec.DecodeError, UnicodeError):
            wrong.append(Violation(METADATA, 'must be a JSON object of texts, such as {"topic": "legal"}'))
    if (text := headers.get(DECISION)) is not None and text not in _PLACES:
        wrong.append(Violation(DECISION, f"is {quoted(text)}: write {' or '.join(_PLACES)}"))
    refuse(wrong)
    return Hints(
        user=headers.get(USER, ""),
        session=headers.get(SESSION, ""),
        severity=severity,
        priority=priority,
        metadata=metadata,
    )


def own_headers(headers: Mapping[str, str]) -> Mapping[str, str]:
    """Of a request's headers those that are ours, by their names in lower case."""
    return {name.lower(): value for name, value in headers.items() if name.lower().startswith(PREFIX)}


def _is_text(text: str) -> bool:
    # What a server could not read as UTF-8 stands in its place as surrogates, which nothing could write again.
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True


def wants_body(headers: Mapping[str, str]) -> bool:
    """Whether the decision is to stand in the body of the answer too."""
    return headers.get(DECISION) == "body"


def check_hints(hints: Hints) -> None:
    """Refuse what is too long or too much, wherever in the request it was said.

    Raises:
        InvalidRequestError: with all that is.
    """
    wrong = [
        Violation(name, f"is longer than {LONGEST_ID} characters")
        for name in ("user", "session")
        if len(getattr(hints, name)) > LONGEST_ID
    ]
    if len(hints.metadata) > MOST_METADATA:
        wrong.append(Violation("metadata", f"has {len(hints.metadata)} entries: give at most {MOST_METADATA}"))
    refuse(wrong)
