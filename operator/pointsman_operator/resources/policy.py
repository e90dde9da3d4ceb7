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
DomainName = Literal["Legal", "Medical", "Money", "Safety"]
DayName = Literal["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]


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


class HeaderMatcher(NarrowingModel):
    """One header of the request."""

    name: str
    exists: bool | None = None
    equals: str | None = None
    in_: tuple[str, ...] | None = Field(default=None, alias="in", strict=False)


class UserMatcher(NarrowingModel):
    """Who asks."""

    exists: bool | None = None
    equals: str | None = None
    in_: tuple[str, ...] | None = Field(default=None, alias="in", strict=False)
    starts_with: str | None = None
    ends_with: str | None = None


class DomainMatcher(NarrowingModel):
    """What the request is about."""

    in_: tuple[DomainName, ...] = Field(alias="in", strict=False)


class ToolsMatcher(NarrowingModel):
    """The tools that the request offers."""

    exists: bool | None = None
    in_: tuple[str, ...] | None = Field(default=None, alias="in", strict=False)


class ResponseFormatMatcher(NarrowingModel):
    """The shape of the answer."""

    in_: tuple[Literal["Text", "JSONObject", "JSONSchema"], ...] = Field(alias="in", strict=False)


class LanguageMatcher(NarrowingModel):
    """The language of the user's last message."""

    in_: tuple[str, ...] = Field(alias="in", strict=False)


class ContentMatcher(NarrowingModel):
    """What stands in the user's messages."""

    in_: tuple[Literal["Code", "Maths"], ...] = Field(alias="in", strict=False)


class KeywordsMatcher(NarrowingModel):
    """Words in the user's messages."""

    in_: tuple[str, ...] = Field(alias="in", strict=False)


class TimeMatcher(NarrowingModel):
    """When the request comes."""

    days: tuple[DayName, ...] = Field(default=(), strict=False)
    from_: str | None = Field(default=None, alias="from")
    to: str | None = None
    time_zone: str


class NegativeFeedbackMatcher(NarrowingModel):
    """What was said of the session's answers."""

    at_least: int


class Matcher(NarrowingModel):
    """All of the tests that are set must hold."""

    severity: SeverityMatcher | None = None
    metadata: MetadataMatcher | None = None
    modality: ModalityMatcher | None = None
    estimated_input_tokens: TokensMatcher | None = None
    header: HeaderMatcher | None = None
    user: UserMatcher | None = None
    domain: DomainMatcher | None = None
    tools: ToolsMatcher | None = None
    response_format: ResponseFormatMatcher | None = None
    language: LanguageMatcher | None = None
    content: ContentMatcher | None = None
    keywords: KeywordsMatcher | None = None
    time: TimeMatcher | None = None
    negative_feedback: NegativeFeedbackMatcher | None = None


class When(Matcher):
    """Everything that is set must hold."""

    any: tuple[Matcher, ...] = Field(default=(), strict=False)
    all: tuple[Matcher, ...] = Field(default=(), strict=False)
    not_: tuple[Matcher, ...] = Field(default=(), alias="not", strict=False)
    expression: str | None = None


class Arm(Model):
    """A model and its weight, unless steps give the shares."""

    model: str
    weight: int | None = None


class SplitStep(Model):
    """A share of the second arm, and for how long at least."""

    weight: int
    for_: str | None = Field(default=None, alias="for")


class SplitGuard(Model):
    """What is asked of the second arm."""

    min_samples: int
    max_error_percent: int | None = None
    max_error_percent_over_stable: int | None = None
    max_p95: str | None = Field(default=None, alias="maxP95")
    max_p95_percent_over_stable: int | None = Field(default=None, alias="maxP95PercentOverStable")
    min_confidence: str | None = None
    max_confidence_below_stable: str | None = None
    max_negative_feedback_percent: int | None = None
    max_negative_feedback_percent_over_stable: int | None = None


class Split(Model):
    """Several models by weight, or two of which the second goes up by steps."""

    sticky_by: Literal["User", "Session", "Request"]
    arms: tuple[Arm, ...] = Field(strict=False)
    steps: tuple[SplitStep, ...] = Field(default=(), strict=False)
    guard: SplitGuard | None = None
    suite: str | None = None
    attempt: int | None = None


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


class Complexity(Model):
    """How complex a request must be, as a decimal string, or how many in a hundred are to be that."""

    threshold: str | None = None
    target_share: int | None = None


class SelfCheck(Model):
    """How far above the bar an answer is checked by the model that gave it, as a decimal string."""

    within: str


class Confidence(Model):
    """How far an answer must be trusted, as a decimal string."""

    below: str
    self_check: SelfCheck | None = None


class Escalation(Model):
    """When a stronger model answers in place of a cheaper one."""

    model: str
    complexity: Complexity | None = None
    confidence: Confidence | None = None
    on_answer: tuple[Literal["InvalidOutput", "Refusal", "Truncation"], ...] = Field(default=(), strict=False)
    when_streaming: Literal["Off", "FirstTokens", "Buffer", "BufferAll"] = "Off"
    buffer_tokens: int | None = None
    daily_limit: DailyLimit | None = None


class RiskTerms(Model):
    """Words that tell of a risk."""

    domain: DomainName
    severity: SeverityName
    words: tuple[str, ...] = Field(strict=False)


class Risk(Model):
    """Where risk is looked for."""

    lexicons: tuple[str, ...] = Field(strict=False)
    terms: tuple[RiskTerms, ...] = Field(default=(), strict=False)


class Latency(Model):
    """How fast answers should come."""

    p50: str


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
    risk: Risk | None = None
    latency: Latency | None = None
    escalation: Escalation | None = None
    resilience: Resilience
    limits: Limits


class ModelRoutingPolicy(Model):
    """Which models pods may use, and which of them answers which request."""

    metadata: Metadata
    spec: ModelRoutingPolicySpec
    status: Mapping[str, Any] = Field(default_factory=dict)
