"""What an answer costs."""

from dataclasses import dataclass
from decimal import Decimal

from pointsman_sidecar.routing.policy import Price

_MILLION = Decimal(1_000_000)


@dataclass(frozen=True, kw_only=True, slots=True)
class Usage:
    """The tokens of one answer. Cached ones are part of the input, reasoning ones part of the output."""

    input_tokens: int
    output_tokens: int
    cached_input_tokens: int = 0
    reasoning_tokens: int = 0


def total(usage: Usage, other: Usage) -> Usage:
    """Both together."""
    return Usage(
        input_tokens=usage.input_tokens + other.input_tokens,
        output_tokens=usage.output_tokens + other.output_tokens,
        cached_input_tokens=usage.cached_input_tokens + other.cached_input_tokens,
        reasoning_tokens=usage.reasoning_tokens + other.reasoning_tokens,
    )


def cost(usage: Usage, price: Price) -> Decimal:
    """Money in the price's currency, exact."""
    fresh = usage.input_tokens - usage.cached_input_tokens
    return (
        fresh * price.input + usage.cached_input_tokens * price.cached_input + usage.output_tokens * price.output
    ) / _MILLION
