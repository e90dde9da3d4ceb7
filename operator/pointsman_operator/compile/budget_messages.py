"""Budgets in the contract's terms. The same budgets always give the same message."""

from collections.abc import Iterable

from pointsman_api.v1 import quota_pb2 as quota
from pointsman_operator.compile.budgets import COST, Budget, WhenExhausted

_UNITS = {
    "Tokens": quota.BUDGET_UNIT_TOKENS,
    "InputTokens": quota.BUDGET_UNIT_INPUT_TOKENS,
    "OutputTokens": quota.BUDGET_UNIT_OUTPUT_TOKENS,
    "Requests": quota.BUDGET_UNIT_REQUESTS,
    COST: quota.BUDGET_UNIT_COST,
}
_ENDS = {
    WhenExhausted.REFUSE: quota.WHEN_EXHAUSTED_REFUSE,
    WhenExhausted.DEFAULT_MODEL: quota.WHEN_EXHAUSTED_DEFAULT_MODEL,
    WhenExhausted.NEXT_MODEL: quota.WHEN_EXHAUSTED_NEXT_MODEL,
}


def budgets_message(budgets: Iterable[Budget], *, user_key: bytes) -> quota.Budgets:
    """What a sidecar is told of the budgets that bind it; `user_key` is that of the hashes of users."""
    return quota.Budgets(budgets=[_budget(each) for each in budgets], user_key=user_key)


def _budget(budget: Budget) -> quota.Budget:
    return quota.Budget(
        name=budget.name,
        shown=budget.shown,
        unit=_UNITS[budget.limit.unit],
        currency=budget.limit.currency,
        limit=budget.limit.value,
        subject=budget.subject,
        models=[
            quota.CountedModel(provider=provider, provider_model=model)
            for provider, model in sorted(budget.models or ())
        ],
        escalations_only=budget.escalations_only,
        cached_input_percent=budget.cached_input_percent,
        steps=[
            quota.BudgetStep(
                at_percent=step.at_percent,
                max_output_tokens=step.max_output_tokens or 0,
                default_model_only=step.default_model_only,
                no_hedging=step.no_hedging,
            )
            for step in budget.steps
        ],
        when_exhausted=_ENDS[budget.when_exhausted],
        windows=[quota.BudgetWindow(start=window.start, end=window.end) for window in budget.windows],
    )
