"""What calls to a policy's models are counted against: worked out once, for as long as policy and budgets stay."""

from collections.abc import Sequence
from typing import NamedTuple

from pointsman_sidecar.quota.budgets import Budget, Unit
from pointsman_sidecar.quota.measuring import Meter, meter
from pointsman_sidecar.routing.escalation import ESCALATED
from pointsman_sidecar.routing.plan import Step
from pointsman_sidecar.routing.policy import Model, Policy


class Counted(NamedTuple):
    """A budget that counts calls to a model, and how."""

    budget: Budget
    meter: Meter


class Tariff:
    """Budgets as they count a policy's models.

    Attributes:
        counted: by the model's name, the budgets that count calls to it.
        escalated: the same for calls of an escalation, which may have a limit of their own.
        of_users: whether one of the budgets is each user's own.
        with_steps: those that have steps.
    """

    def __init__(self, policy: Policy, budgets: Sequence[Budget]) -> None:
        self.policy = policy
        self.budgets = budgets
        self.of_users = any(budget.subject is None for budget in budgets)
        self.counted = _counted(policy, budgets, limit=None)
        self.escalated = self.counted
        if any(budget.escalations_only for budget in budgets):
            self.escalated = _counted(policy, budgets, limit=daily_limit_of(policy))
        self._stepped = {
            name: tuple(each.budget for each in counted if each.budget.steps) for name, counted in self.counted.items()
        }
        self.with_steps = tuple(budget for budget in budgets if budget.steps)

    def of(self, step: Step) -> tuple[Counted, ...]:
        """The budgets that count a call."""
        own = self.counted
        if own is not self.escalated and step.reason in ESCALATED:
            own = self.escalated
        return own[step.model.name]

    def stepped(self, steps: Sequence[Step]) -> tuple[Budget, ...]:
        """The budgets with steps that count one of the planned models."""
        found = {budget.name for step in steps for budget in self._stepped[step.model.name]}
        return tuple(budget for budget in self.with_steps if budget.name in found)


def _counted(policy: Policy, budgets: Sequence[Budget], *, limit: str | None) -> dict[str, tuple[Counted, ...]]:
    return {
        name: tuple(
            Counted(budget, meter(budget, model.price)) for budget in budgets if counts(budget, model, limit=limit)
        )
        for name, model in policy.models.items()
    }


def counts(budget: Budget, model: Model, *, limit: str | None = None) -> bool:
    """Whether calls to a model count against a budget.

    Of those of an escalation, `limit` is the name of the budget that counts them; empty where there is none.
    """
    if budget.escalations_only and budget.name != limit:
        return False
    return budget.counts(
        provider=model.provider, provider_model=model.provider_model, escalation=limit is not None
    ) and (
        # What has no price in its currency cannot be measured by it.
        budget.unit is not Unit.COST or budget.currency == model.price.currency
    )


def daily_limit_of(policy: Policy) -> str:
    """The name of the budget that counts a policy's escalations; empty where there is none."""
    return "" if policy.escalation is None else policy.escalation.daily_limit
