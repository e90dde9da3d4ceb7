"""How much a call takes from a budget: whole numbers in the budget's unit, rounded up.

The bound is measured like the usage, of the most that the call can come to; so usage within the bound never measures
more.
"""

from dataclasses import dataclass, field
from math import lcm

from pointsman_sidecar.quota.budgets import Budget, Unit
from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.policy import Price


@dataclass(frozen=True, kw_only=True, slots=True)
class Meter:
    """How a budget counts calls to a model: what a token of each kind weighs, and a call, in parts of the unit.

    Attributes:
        scale: how many parts make one.
        dearest: what a token of the input weighs at most.
    """

    fresh: int = 0
    cached: int = 0
    output: int = 0
    call: int = 0
    scale: int = 1
    dearest: int = field(init=False)

    def __post_init__(self) -> None:
        """Work out the dearest."""
        object.__setattr__(self, "dearest", max(self.fresh, self.cached))

    def amount(self, usage: Usage) -> int:
        """What this usage takes."""
        parts = usage.input_tokens * self.fresh + usage.output_tokens * self.output
        if cached := usage.cached_input_tokens:
            parts += cached * (self.cached - self.fresh)
        return -(-(parts + self.call) // self.scale)

    def bound(self, *, input_tokens: int, output_tokens: int) -> int:
        """The most that a call can take, whose tokens come to no more than these."""
        return -(-(input_tokens * self.dearest + output_tokens * self.output + self.call) // self.scale)


def meter(budget: Budget, price: Price) -> Meter:
    """How a budget counts calls to a model of this price. One call is one request."""
    match budget.unit:
        case Unit.REQUESTS:
            return Meter(call=1)
        case Unit.OUTPUT_TOKENS:
            return Meter(output=1)
        case Unit.INPUT_TOKENS:
            return Meter(fresh=100, cached=budget.cached_input_percent, scale=100)
        case Unit.TOKENS:
            return Meter(fresh=100, cached=budget.cached_input_percent, output=100, scale=100)
        case Unit.COST:
            return _money(price)


def _money(price: Price) -> Meter:
    """In millionths, as prices are per million tokens."""
    ratios = [each.as_integer_ratio() for each in (price.input, price.cached_input, price.output)]
    scale = lcm(*(denominator for _, denominator in ratios))
    fresh, cached, output = (numerator * (scale // denominator) for numerator, denominator in ratios)
    return Meter(fresh=fresh, cached=cached, output=output, scale=scale)
