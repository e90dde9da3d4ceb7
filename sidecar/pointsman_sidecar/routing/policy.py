"""What a policy says, as the routing sees it: frozen values.

`pointsman_sidecar.contract.snapshots` reads them from what the operator sends.
"""

from dataclasses import dataclass
from decimal import Decimal
from enum import Enum, IntEnum, StrEnum, auto
from typing import TYPE_CHECKING

from pointsman_sidecar.routing.matchers import Inquiry

if TYPE_CHECKING:
    from pointsman_sidecar.routing.risk import Lexicon


class Modality(StrEnum):
    """What a message can hold, and a model take in."""

    TEXT = "text"
    IMAGE = "images"
    AUDIO = "audio"


class Feature(StrEnum):
    """What a model can do beyond plain answers."""

    TOOLS = "tools"
    JSON_SCHEMA = "JSON schemas"
    LOGPROBS = "log-probabilities"
    # A model that has it gives embeddings and nothing else.
    EMBEDDINGS = "embeddings"


class Severity(IntEnum):
    """How much hangs on an answer, in rising order."""

    LOW = auto()
    MEDIUM = auto()
    HIGH = auto()
    CRITICAL = auto()


class Priority(IntEnum):
    """Who goes first where not all can be served at once, in rising order."""

    LOW = auto()
    NORMAL = auto()
    HIGH = auto()


class StickyBy(StrEnum):
    """What stays on its arm of a split."""

    USER = auto()
    SESSION = auto()
    REQUEST = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Price:
    """Money per 1,000,000 tokens."""

    currency: str
    input: Decimal
    cached_input: Decimal
    output: Decimal


@dataclass(frozen=True, kw_only=True, slots=True)
class Provider:
    """An endpoint that speaks the OpenAI API."""

    name: str
    base_url: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Model:
    """A model that the policy may use. `name` is the policy's, `provider_model` the provider's."""

    name: str
    provider: str
    provider_model: str
    price: Price
    context_window: int
    max_output_tokens: int
    input_modalities: frozenset[Modality]
    features: frozenset[Feature]

    @property
    def dearness(self) -> tuple[Decimal, str]:
        """Puts models in order of price; by name where that is the same."""
        return (self.price.input + self.price.output, self.name)


@dataclass(frozen=True, kw_only=True, slots=True)
class SeverityIn:
    """Matches a request whose severity is one of these."""

    severities: frozenset[Severity]


@dataclass(frozen=True, kw_only=True, slots=True)
class MetadataExists:
    """Matches a request whose metadata has the key, or has it not."""

    key: str
    exists: bool


@dataclass(frozen=True, kw_only=True, slots=True)
class MetadataIn:
    """Matches a request whose metadata has one of these values under the key."""

    key: str
    values: frozenset[str]


@dataclass(frozen=True, kw_only=True, slots=True)
class ModalityIn:
    """Matches a request that holds any of these."""

    modalities: frozenset[Modality]


@dataclass(frozen=True, kw_only=True, slots=True)
class InputTokens:
    """Matches a request by its estimated size: `at_least` <= tokens < `less_than`."""

    at_least: int | None
    less_than: int | None


@dataclass(frozen=True, kw_only=True, slots=True)
class AllOf:
    """Matches where every one of its matchers does."""

    matchers: "tuple[Matcher, ...]"


Matcher = SeverityIn | MetadataExists | MetadataIn | ModalityIn | InputTokens | AllOf | Inquiry


@dataclass(frozen=True, kw_only=True, slots=True)
class Condition:
    """Holds where all of `all`, one of `any` (if there are any) and none of `none` match."""

    all: tuple[Matcher, ...] = ()
    any: tuple[Matcher, ...] = ()
    none: tuple[Matcher, ...] = ()


@dataclass(frozen=True, kw_only=True, slots=True)
class Arm:
    """A model and its weight among the arms of its route."""

    model: str
    weight: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Route:
    """A rule and what follows from it. `fallbacks` of None leaves them to the policy.

    Where it is `protected`, nobody answers whom it does not name itself, and no budget makes less of the answer.
    `split` names a split that changes by itself, empty where none does.
    """

    name: str
    when: Condition
    arms: tuple[Arm, ...]
    sticky_by: StickyBy = StickyBy.REQUEST
    fallbacks: tuple[str, ...] | None = None
    protected: bool = False
    split: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Timeouts:
    """How long to wait, in seconds. `between_tokens` of None leaves a stream that falls silent to `total`."""

    connect: float
    first_token: float
    attempt: float
    total: float
    between_tokens: float | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class Retries:
    """How many more times a model is called, and for how many of a hundred requests at most."""

    attempts: int
    budget_percent: int


@dataclass(frozen=True, kw_only=True, slots=True)
class CircuitBreaker:
    """When a model is left alone: so many of at least so many calls failed; and for how many seconds."""

    error_percent: int
    min_requests: int
    open_for: float


@dataclass(frozen=True, kw_only=True, slots=True)
class Hedging:
    """When a second call is sent beside one that takes long, and for how many of a hundred requests at most."""

    after_percentile: int
    max_percent: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Concurrency:
    """How many completions are served at once, and how many more wait for their turn."""

    limit: int
    queue: int


class AnswerFault(Enum):
    """What can be wrong with an answer, in the order in which it is looked for."""

    REFUSAL = auto()
    TRUNCATION = auto()
    INVALID_OUTPUT = auto()


class WhenStreaming(Enum):
    """How much of a stream is held back before it is sent on."""

    OFF = auto()
    FIRST_TOKENS = auto()
    BUFFER = auto()
    BUFFER_ALL = auto()


@dataclass(frozen=True, kw_only=True, slots=True)
class Escalation:
    """When a stronger model answers in place of one that did; `daily_limit` names the budget that counts it, if any.

    `complexity_threshold` and `confidence_below` of None do not look at these. `complexity_share`, in percent, stands
    in place of the threshold, which is found for it then; 0 is none. Answers whose confidence is at most
    `self_check_within` above the bar are checked by the model that gave them; None checks none.
    """

    model: str
    complexity_threshold: float | None = None
    complexity_share: int = 0
    confidence_below: float | None = None
    self_check_within: float | None = None
    on: frozenset[AnswerFault] = frozenset()
    daily_limit: str = ""
    when_streaming: WhenStreaming = WhenStreaming.OFF
    buffer_tokens: int = 0


@dataclass(frozen=True, kw_only=True, slots=True)
class Policy:
    """A whole policy in force. `max_output_tokens` of None leaves it to each model's own limit.

    Of what it says for models that fail, None is none of it.
    """

    namespace: str
    name: str
    uid: str
    generation: int
    version: str
    providers: dict[str, Provider]
    models: dict[str, Model]
    default_model: str
    allow_pinning: bool
    routes: tuple[Route, ...]
    fallbacks: tuple[str, ...]
    timeouts: Timeouts
    max_request_bytes: int
    max_output_tokens: int | None
    retries: Retries | None = None
    circuit_breaker: CircuitBreaker | None = None
    hedging: Hedging | None = None
    concurrency: Concurrency | None = None
    # The words that tell of a risk, and the seconds in which half of the answers should begin.
    risk: "Lexicon | None" = None
    p50: float | None = None
    escalation: Escalation | None = None

    def named(self, name: str) -> Model | None:
        """The model that a request means by a name: the policy's own, else the cheapest that its provider calls so."""
        if name in self.models:
            return self.models[name]
        called = (model for model in self.models.values() if model.provider_model == name)
        return min(called, key=lambda model: model.dearness, default=None)

    def __str__(self) -> str:
        """`namespace/name`, as sentences call it."""
        return f"{self.namespace}/{self.name}"
