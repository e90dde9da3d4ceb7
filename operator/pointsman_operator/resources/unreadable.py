"""A resource whose spec cannot be read."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pointsman_operator.resources.metadata import Metadata
from pointsman_operator.resources.problem import Problem


@dataclass(frozen=True, kw_only=True)
class Unreadable:
    """Stands where the resource would stand, so that the reason reaches its status."""

    metadata: Metadata
    problems: tuple[Problem, ...]
    spec: Any = None  # as it was given: a part of it may still be readable, such as whom it is for
    status: Mapping[str, Any] = field(default_factory=dict)
