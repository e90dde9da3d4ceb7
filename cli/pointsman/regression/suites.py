"""What a suite holds."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, kw_only=True, slots=True)
class Expected:
    """What is expected of an answer. What is empty or None is not looked at."""

    contains: tuple[str, ...] = ()
    lacks: tuple[str, ...] = ()
    matches: tuple[str, ...] = ()
    equals: str | None = None
    valid_json: bool = False
    finish_reason: str = ""
    max_output_tokens: int | None = None
    model: str = ""
    no_refusal: bool = False
    min_confidence: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Case:
    """A request in OpenAI's form, with headers of ours beside it, and what is expected of the answer to it."""

    name: str
    request: Mapping[str, Any] = field(repr=False)
    headers: Mapping[str, str]
    expected: Expected


@dataclass(frozen=True, kw_only=True, slots=True)
class Suite:
    """A suite by its name. `digest` tells one content from another, and knows no comments."""

    name: str
    digest: str
    cases: tuple[Case, ...]
