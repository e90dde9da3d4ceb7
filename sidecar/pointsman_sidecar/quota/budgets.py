"""Budgets as the operator tells them: frozen values."""

from dataclasses import dataclass, field
from enum import Enum, auto


class Unit(Enum):
    """What a budget counts."""

    TOKENS = "Tokens"
    INPUT_TOKENS = "InputTokens"
    OUTPUT_TOKENS = "OutputTokens"
    REQUESTS = "Requests"
    # In millionths of a currency's unit.
    COST = "Cost"


class WhenExhausted(Enum):
    """What becomes of a request for which nothing is left."""

    REFUSE = auto()
    DEFAULT_MODEL = auto()
    # The call is not made, as if the provider limited it. Without the ledger it is: the provider has its own limit.
    NEXT_MODEL = auto()


@dataclass(frozen=True, slots=True)
class Window:
    """From `start` on, up to but not including `end`; in whole seconds since 1970."""

    start: int
    end: int


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What holds from a share of the budget on. `max_output_tokens` of None caps nothing."""

    at_percent: int
    max_output_tokens: int | None = None
    default_model_only: bool = False
    no_shadow: bool = False
    no_hedging: bool = False


@dataclass(frozen=True, kw_only=True)
class Budget:
    """A budget that binds this sidecar.

    Attributes:
        name: names it in the ledger.
        shown: names it to people, such as `TokenQuota shop/month`.
        subject: whom this sidecar spends for; None where that is the request's user.
        models: (provider, the provider's name of the model) of those it counts; None for all.
        escalations_only: whether it counts nothing but calls of an escalation.
        cached_input_percent: how much of a cached input token counts.
        windows: the one that is now, and those that follow; the operator tells the next in time.
        account_unit: the unit as the ledger's accounts name it: amounts of two currencies cannot be added.
        first_percent: the share from which on its first step holds; None where it has no steps.
        is_rate_limit: whether it is a provider's, for all who call it, and no budget of the app's.
    """

    name: str
    shown: str
    unit: Unit
    limit: int
    windows: tuple[Window, ...]
    currency: str = ""
    subject: str | None = ""
    models: frozenset[tuple[str, str]] | None = None
    escalations_only: bool = False
    cached_input_percent: int = 100
    steps: tuple[Step, ...] = ()
    when_exhausted: WhenExhausted = WhenExhausted.REFUSE

    # Worked out once: each request asks.
    account_unit: str = field(init=False, repr=False, compare=False)
    first_percent: int | None = field(init=False, repr=False, compare=False)
    is_rate_limit: bool = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        """Work out what each request asks."""
        unit = f"{self.unit.value}:{self.currency}" if self.unit is Unit.COST else self.unit.value
        object.__setattr__(self, "account_unit", unit)
        object.__setattr__(self, "first_percent", min((step.at_percent for step in self.steps), default=None))
        object.__setattr__(self, "is_rate_limit", self.when_exhausted is WhenExhausted.NEXT_MODEL)

    def counts(self, *, provider: str, provider_model: str, escalation: bool) -> bool:
        """Whether a call counts against it."""
        return (self.models is None or (provider, provider_model) in self.models) and (
            escalation or not self.escalations_only
        )
