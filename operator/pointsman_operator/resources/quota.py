"""TokenQuota, as crds/tokenquotas.pointsman.dev.yaml defines it.

Defaults stand in the CRD alone: the API server fills them in, and so does whoever reads a file.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from pointsman_operator.resources.base import Model, NarrowingModel
from pointsman_operator.resources.metadata import Metadata
from pointsman_operator.resources.policy import Money, ProviderRef
from pointsman_operator.resources.selector import LabelSelector


class CountedModel(NarrowingModel):
    """A model whose calls are counted."""

    provider_ref: ProviderRef
    model: str


class QuotaLimit(NarrowingModel):
    """One number; which of these it is says what is counted."""

    tokens: int | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    requests: int | None = None
    cost: Money | None = None


class QuotaStep(Model):
    """What is done with less from a share of the budget on."""

    at_percent: int
    max_output_tokens: int | None = None
    only: Literal["DefaultModel"] | None = None
    disable: tuple[Literal["Hedging"], ...] = Field(default=(), strict=False)


class TokenQuotaSpec(Model):
    """Who has the budget, what it counts, how much it is, and what happens as it runs out."""

    scope: Literal["Namespace", "Workload", "User"]
    selector: LabelSelector | None = None
    models: tuple[CountedModel, ...] | None = Field(default=None, strict=False)
    window: Literal["Minute", "Hour", "Day", "Month"]
    time_zone: str
    limit: QuotaLimit
    cached_input_percent: int | None = None
    steps: tuple[QuotaStep, ...] = Field(default=(), strict=False)
    when_exhausted: Literal["Refuse", "DefaultModel"]


class TokenQuota(Model):
    """How much the pods of a namespace may spend in a calendar window."""

    metadata: Metadata
    spec: TokenQuotaSpec
    status: Mapping[str, Any] = Field(default_factory=dict)
