"""How much a call takes from a budget: whole numbers in the budget's unit, rounded up.

The bound is measured like the usage, of the most that the call can come to; so usage within the bound never measures
more.
"""

from decimal import ROUND_CEILING, Decimal

from pointsman_sidecar.quota.budgets import Budget, Unit
from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.policy import Price

_ONE = Decimal(1)


def amount(budget: Budget, usage: Usage, price: Price) -> int:
    """What this usage takes. One call is one request."""
    match budget.unit:
        case Unit.REQUESTS:
            return 1
        case Unit.OUTPUT_TOKENS:
            return usage.output_tokens
        case Unit.INPUT_TOKENS:
            return _input(budget, usage)
        case Unit.TOKENS:
            return _input(budget, usage) + usage.output_tokens
        case Unit.COST:
            fresh = usage.input_tokens - usage.cached_input_tokens
            # Prices are per million tokens, so that this is in millionths.
            micros = (
                fresh * price.input
                + usage.cached_input_tokens * price.cached_input
                + usage.output_tokens * price.output
            )
            return int(micros.quantize(_ONE, rounding=ROUND_CEILING))


def bound(budget: Budget, *, input_tokens: int, output_tokens: int, price: Price) -> int:
    """The most that a call can take, whose tokens come to no more than these."""
    dearest = Usage(input_tokens=input_tokens, output_tokens=output_tokens)
    if budget.unit is Unit.COST and price.cached_input > price.input:
        dearest = Usage(input_tokens=input_tokens, output_tokens=output_tokens, cached_input_tokens=input_tokens)
    return amount(budget, dearest, price)


def _input(budget: Budget, usage: Usage) -> int:
    fresh = usage.input_tokens - usage.cached_input_tokens
    return fresh + -(-usage.cached_input_tokens * budget.cached_input_percent // 100)
