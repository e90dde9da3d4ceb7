"""One reason why the API server refuses an object, in the server's words.

The constructors here are the only place where such a sentence is put together from its parts; which of them applies is
decided elsewhere.
"""

import dataclasses
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pointsman_operator.schema import gotext


@dataclass(frozen=True, kw_only=True)
class Refusal:
    """A cause as kubectl lists it: the field's path, where there is one, and what is wrong with it."""

    field: str | None = None
    sentence: str
    hides_rules: bool = dataclasses.field(default=False, compare=False, repr=False)
    """Whether the server evaluates no CEL rule on an object with this fault."""

    def __str__(self) -> str:
        return self.sentence if self.field is None else f"{self.field}: {self.sentence}"


RULES_HIDDEN = Refusal(
    field="<nil>",
    sentence=(
        "Invalid value: null: some validation rules were not checked because the object was invalid; "
        "correct the existing errors to complete validation"
    ),
)
"""What the server adds when a fault keeps it from evaluating the rules."""


def required(path: str) -> Refusal:
    """Refuse an object that lacks a field."""
    return Refusal(field=path, sentence="Required value", hides_rules=True)


def invalid(path: str, value: Any, detail: str) -> Refusal:
    """Refuse a value for the reason that the detail gives."""
    return Refusal(field=path, sentence=f"Invalid value: {gotext.shown(value)}: {detail}")


def wrong_type(path: str, *, wanted: str, got: str) -> Refusal:
    """Refuse a value that is not of its schema's type."""
    detail = f"{path} in body must be of type {wanted}: {gotext.quoted(got)}"
    return Refusal(field=path, sentence=f"Invalid value: {gotext.quoted(got)}: {detail}", hides_rules=True)


def unsupported(path: str, value: Any, *, supported: Sequence[str]) -> Refusal:
    """Refuse a value that is none of an enum's."""
    names = ", ".join(map(gotext.quoted, supported))
    sentence = f"Unsupported value: {gotext.shown(value)}: supported values: {names}"
    return Refusal(field=path, sentence=sentence, hides_rules=True)


def too_long(path: str, *, limit: int) -> Refusal:
    """Refuse a string for its length, which the server calls bytes though it counts characters."""
    unit = "byte" if limit == 1 else "bytes"
    return Refusal(field=path, sentence=f"Too long: may not be more than {limit} {unit}", hides_rules=True)


def too_many(path: str, count: int, *, limit: int) -> Refusal:
    """Refuse a list or a map for its size."""
    unit = "item" if limit == 1 else "items"
    return Refusal(field=path, sentence=f"Too many: {count}: must have at most {limit} {unit}", hides_rules=True)


def duplicate(path: str, value: Any) -> Refusal:
    """Refuse an entry that repeats an earlier one."""
    return Refusal(field=path, sentence=f"Duplicate value: {gotext.shown(value)}")
