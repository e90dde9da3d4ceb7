"""Money, as budgets are written in: what `TokenQuota` and `escalation.dailyLimit` have in common."""

from decimal import Decimal

TWO_CURRENCIES = "TwoCurrencies"
MICROS = 1_000_000


def millionths(amount: str) -> int:
    """Money as the ledger counts it. The CRD lets nothing finer through; what slipped past it is rounded down."""
    return int(Decimal(amount) * MICROS)
