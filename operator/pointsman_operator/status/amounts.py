"""Amounts of a budget, in words and digits: pure."""

from decimal import Decimal

from pointsman_operator.compile.amounts import MICROS
from pointsman_operator.compile.budgets import COST, Amount

_WORDS = {
    "Tokens": "tokens",
    "InputTokens": "input tokens",
    "OutputTokens": "output tokens",
    "Requests": "requests",
}
_CENT = Decimal("0.01")


def digits(value: int, unit: Amount) -> str:
    """The bare number; money as a decimal, with at least two places."""
    if unit.unit != COST:
        return str(value)
    money = Decimal(value) / MICROS
    coarse = money.quantize(_CENT)
    return f"{coarse if coarse == money else money.normalize():f}"


def words(value: int, unit: Amount) -> str:
    """The number with its unit."""
    return f"{digits(value, unit)} {unit_of(unit)}"


def unit_of(unit: Amount) -> str:
    """The unit in words; of money, its currency."""
    return _WORDS.get(unit.unit, unit.currency)
