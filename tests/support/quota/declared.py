"""The two budgets of the model's world, as the operator has them and as sidecars are told them."""

from pointsman_operator.ledger.answering import Terms
from pointsman_operator.ledger.windows import Window as LedgerWindow
from pointsman_sidecar.quota.budgets import Budget, Unit, Window

SHARED, PER_USER = "quota/shop/shared", "quota/shop/per-user"
LENGTHS = {SHARED: 600, PER_USER: 60}


def terms(limits: dict[str, int]) -> dict[str, Terms]:
    """The budgets as the operator has them."""
    return {
        name: Terms(
            unit=Unit.TOKENS.value,
            limit=limit,
            has_window=lambda window, length=LENGTHS[name]: _has_window(window, length),
            subject=_subject(name),
        )
        for name, limit in limits.items()
    }


def told(limits: dict[str, int], *, now: float) -> list[Budget]:
    """The budgets as sidecars are told them."""
    return [
        Budget(
            name=name,
            shown=name,
            unit=Unit.TOKENS,
            limit=limit,
            subject=_subject(name),
            windows=_windows(now, LENGTHS[name]),
        )
        for name, limit in limits.items()
    ]


def _subject(name: str) -> str | None:
    return "" if name == SHARED else None


def _windows(now: float, length: int) -> tuple[Window, ...]:
    first = int(now // length * length)
    # One back as well: the sidecars' clocks may be behind.
    return tuple(Window(first + at * length, first + (at + 1) * length) for at in range(-1, 5))


def _has_window(window: LedgerWindow, length: int) -> bool:
    return window.start % length == 0 and window.end == window.start + length
