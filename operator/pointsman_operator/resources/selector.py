"""A label selector, as Kubernetes defines it."""

from collections.abc import Mapping
from typing import Literal

from pydantic import Field

from pointsman_operator.resources.base import NarrowingModel


class Requirement(NarrowingModel):
    """One of matchExpressions."""

    key: str
    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    values: tuple[str, ...] = Field(default=(), strict=False)


class LabelSelector(NarrowingModel):
    """All that it states must hold."""

    match_labels: Mapping[str, str] = Field(default_factory=dict)
    match_expressions: tuple[Requirement, ...] = Field(default=(), strict=False)

    def requirements(self) -> frozenset[tuple[str, str, frozenset[str]]]:
        """What it demands, in a form that is equal where two selectors demand the same in other words."""
        labels = {(key, "In", frozenset({value})) for key, value in self.match_labels.items()}
        expressions = {(each.key, each.operator, frozenset(each.values)) for each in self.match_expressions}
        return frozenset(labels | expressions)
