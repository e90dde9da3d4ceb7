"""ModelRoutingPolicy, as crds/modelroutingpolicies.pointsman.dev.yaml defines it.

Defaults stand in the CRD alone: the API server fills them in, and so does whoever reads a file.
"""

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import Field

from pointsman_operator.resources.base import Model, NarrowingModel
from pointsman_operator.resources.metadata import Metadata
from pointsman_operator.resources.selector import LabelSelector

SeverityName = Literal["Low", "Medium", "High", "Critical"]
ModalityName = Literal["Text", "Image", "Audio"]


class ProviderRef(Model):
    """A provider by name."""

    kind: Literal["ModelProvider"]
    name: str


class UsedModel(Model):
    """A model that the policy may use, under its local name."""

    name: str
    provider_ref: ProviderRef
    model: str


class SeverityMatcher(NarrowingModel):
    """How much hangs on the answer."""

    in_: tuple[SeverityName, ...] = Field(alias="in", strict=False)


class MetadataMatcher(NarrowingModel):
    """One entry of the request's metadata."""

    key: str
    exists: bool | None = None
    equals: str | None = None
    in_: tuple[str, ...] | None = Field(default=None, alias="in", strict=False)


class ModalityMatcher(NarrowingModel):
    """What the messages hold."""

    in_: tuple[ModalityName, ...] = Field(alias="in", strict=False)


class TokensMatcher(NarrowingModel):
    """The estimated size."""

    at_least: int | None = None
    less_than: int | None = None


class Matcher(NarrowingModel):
    """All of the tests that are set must hold."""

    severity: SeverityMatcher | None = None
    metadata: MetadataMatcher | None = None
    modality: ModalityMatcher | None = None
    estimated_input_tokens: TokensMatcher | None = None


class When(Matcher):
    """Everything that is set must hold."""

    any: tuple[Matcher, ...] = Field(default=(), strict=False)
    all: tuple[Matcher, ...] = Field(default=(), strict=False)
    not_: tuple[Matcher, ...] = Field(default=(), alias="not", strict=False)


class Arm(Model):
    """A model and its weight."""

    model: str
    weight: int


class Split(Model):
    """Several models by weight."""

    sticky_by: Literal["User", "Session", "Request"]
    arms: tuple[Arm, ...] = Field(strict=False)


class Route(Model):
    """A rule and the model, or models, that answer by it."""

    name: str
    when: When
    model: str | None = None
    split: Split | None = None
    fallbacks: tuple[str, ...] | None = Field(default=None, strict=False)
    protected: bool = False


class Money(Model):
    """An amount, as a decimal string."""

    amount: str
    currency: str


class DailyLimit(Model):
    """How much may be spent on escalations in a day: one number, and whose days."""

    requests: int | None = None
    tokens: int | None = None
    cost: Money | None = None
    time_zone: str


class Confidence(Model):
    """How far an answer must be trusted, as a decimal string."""

    below: str


class Escalation(Model):
    """When a stronger model answers in place of a cheaper one."""

    model: str
    confidence: Confidence | None = None
    on_answer: tuple[Literal["InvalidOutput", "Refusal", "Truncation"], ...] = Field(default=(), strict=False)
    when_streaming: Literal["Off", "FirstTokens", "Buffer", "BufferAll"] = "Off"
    buffer_tokens: int | None = None
    daily_limit: DailyLimit | None = None


class Timeouts(Model):
    """How long to wait, as durations such as 15s."""

    connect: str
    first_token: str
    attempt: str
    between_tokens: str | None = None
    total: str


class Retries(Model):
    """Whether a model that failed is called again."""

    attempts: int
    budget_percent: int


class CircuitBreaker(Model):
    """When a model is left alone."""

    error_percent: int
    min_requests: int
    open_for: str


class Hedging(Model):
    """When a second call is sent beside one that takes long."""

    after_percentile: int
    max_percent: int


class Concurrency(Model):
    """How many completions one sidecar serves at once."""

    limit: int
    queue: int


class Resilience(Model):
    """What happens when a model does not answer, or too much is asked.

    The CRD gives defaults for retries and the breaker; an older one that is still installed does not.
    """

    timeouts: Timeouts
    retries: Retries | None = None
    fallbacks: tuple[str, ...] = Field(default=(), strict=False)
    circuit_breaker: CircuitBreaker | None = None
    hedging: Hedging | None = None
    concurrency: Concurrency | None = None


class Limits(Model):
    """What one request may ask for."""

    max_request_bytes: str
    max_output_tokens: int | None = None


class ModelRoutingPolicySpec(Model):
    """What applies to which pods."""

    selector: LabelSelector | None = None
    models: tuple[UsedModel, ...] = Field(strict=False)
    default_model: str
    allow_pinning: bool
    routes: tuple[Route, ...] = Field(default=(), strict=False)
    escalation: Escalation | None = None
    resilience: Resilience
    limits: Limits


class ModelRoutingPolicy(Model):
    """Which models pods may use, and which of them answers which request."""

    metadata: Metadata
    spec: ModelRoutingPolicySpec
    status: Mapping[str, Any] = Field(default_factory=dict)
