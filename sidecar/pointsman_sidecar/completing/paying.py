"""What a completion takes of the budgets: reserved before each call, settled after it, and less as they run out."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial
from typing import Any

from pointsman_sidecar.completing.served import Serving
from pointsman_sidecar.completing.tariffs import Counted, Tariff, counts, daily_limit_of
from pointsman_sidecar.contract.decisions import Attempt, Progress
from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.quota.budgets import Budget, WhenExhausted
from pointsman_sidecar.quota.degrading import Degradation, Level, Standing, degradation, tightest
from pointsman_sidecar.quota.outcomes import Cause, Charge, Reservation, Shortage
from pointsman_sidecar.routing.capability import most_output
from pointsman_sidecar.routing.costs import Usage
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.plan import PlanError, default_only
from pointsman_sidecar.routing.policy import Feature, Model, Policy
from pointsman_sidecar.spending.purse import Purse

_NOTHING = Usage(input_tokens=0, output_tokens=0)
# From here on, an HTTP status says that there is no answer, and so nothing to be charged for.
_ERROR_STATUS = 400
_ALL = 100
_LIMIT_UNKNOWN = "it is not known here how much of the daily limit of escalations is left"
_LIMIT_REACHED = "the daily limit of escalations is reached"


class ShortError(Exception):
    """Nothing is left to make a call with."""

    def __init__(self, shortage: Shortage) -> None:
        super().__init__(shortage.budget.shown)
        self.shortage = shortage


class UntoldError(Exception):
    """It is not known yet which budgets there are."""


class Payment:
    """What is reserved for one call, and how each budget counts what it uses."""

    __slots__ = ("counted", "reservation")

    def __init__(self, reservation: Reservation, counted: Sequence[Counted]) -> None:
        self.reservation = reservation
        self.counted = counted


class Paying:
    """Pays for calls. Without a purse, everything is free."""

    def __init__(self, purse: Purse | None, *, refused: Callable[[str, str], None]) -> None:
        self._purse = purse
        self._refused = refused
        self._tariff: Tariff | None = None

    async def begin(self, serving: Serving[Any, Any]) -> None:
        """Plan with what is left.

        Raises:
            UntoldError: the operator has not said which budgets there are.
            PlanError: only the default model may be used, and it cannot serve the request.
        """
        purse = self._purse
        if purse is None:
            return
        if not purse.told.is_set() and not await purse.knows():
            raise UntoldError
        if purse.budgets:
            tariff = self._in_force(serving.progress.policy)
            if tariff.of_users:
                serving.subject = purse.subject_of(serving.features.user)
            if tariff.with_steps and purse.reaches_a_step(tariff.with_steps, serving.subject):
                serving.reached = _degraded(purse, tariff, serving.progress, serving.features, serving.subject)

    def degrade(self, progress: Progress, features: Features) -> None:
        """Take the steps that budgets have reached into a plan that is not begun, as `begin` would.

        Raises:
            PlanError: only the default model may be used, and it cannot serve the request.
        """
        purse = self._purse
        if purse is not None:
            tariff = self._in_force(progress.policy)
            subject = purse.subject_of(features.user) if tariff.of_users else ""
            _degraded(purse, tariff, progress, features, subject)

    async def reserve(self, serving: Serving[Any, Any], attempt: Attempt) -> Payment | None:
        """Reserve the most that a call can take; None where no budget counts it.

        Raises:
            ShortError: too little is left.
        """
        progress, model = serving.progress, attempt.step.model
        attempt.cap = progress.policy.max_output_tokens
        purse = self._purse
        if purse is None or not purse.budgets:
            return None
        tariff = self._in_force(progress.policy)
        counted = tariff.of(attempt.step)
        if not counted:
            progress.quota = None
            return None
        reached = serving.reached
        if reached is not None:
            shortest = reached.max_output_tokens
            if shortest is not None and (attempt.cap is None or shortest < attempt.cap):
                attempt.cap, attempt.capped_by = shortest, _names(reached.budgets)
        subject, input_tokens = serving.subject, serving.features.estimated_input_tokens
        output_tokens = most_output(model, serving.features, policy_cap=attempt.cap)
        charges = [
            Charge(
                budget,
                subject if budget.subject is None else budget.subject,
                meter.bound(input_tokens=input_tokens, output_tokens=output_tokens),
            )
            for budget, meter in counted
        ]
        outcome = purse.take(charges)
        if isinstance(outcome, Shortage):
            if not attempt.hedge:
                outcome = await purse.reserve(charges, may_wait=True)
            if isinstance(outcome, Shortage) and outcome.is_the_ledgers and outcome.budget.is_rate_limit:
                counted = tuple(each for each in counted if not each.budget.is_rate_limit)
                charges = [charge for charge in charges if not charge.budget.is_rate_limit]
                outcome = await purse.reserve(charges, may_wait=not attempt.hedge)
            progress.quota = partial(self._tightest, charges)
            if isinstance(outcome, Shortage):
                self._refused(outcome.budget.shown, outcome.cause.name.lower())
                raise ShortError(outcome)
        progress.quota = partial(purse.tightest, charges, outcome)
        return Payment(outcome, counted)

    def settle(self, payment: Payment, attempt: Attempt) -> None:
        """Pay for a call that has ended. What was sent and never counted takes all that was reserved."""
        purse = self._purse
        if purse is None:
            return
        if attempt.most is None:
            purse.release(payment.reservation)
            return
        usage: Usage | None = None
        if attempt.outcome is Outcome.SUCCEEDED:
            usage = attempt.usage
        elif attempt.http_status >= _ERROR_STATUS and attempt.time_to_first_token is None:
            # A call all the same, to a budget of calls.
            usage = _NOTHING
        if usage is None:
            purse.settle_at_bound(payment.reservation)
        else:
            purse.settle(payment.reservation, [meter.amount(usage) for _, meter in payment.counted])

    def turns_to_default(self, serving: Serving[Any, Any], shortage: Shortage) -> bool:
        """Whether the request goes to the default model instead, because the budget says so; the plan then says it."""
        budget, progress = shortage.budget, serving.progress
        default = progress.policy.models[progress.policy.default_model]
        if (
            progress.plan.protected
            or budget.when_exhausted is not WhenExhausted.DEFAULT_MODEL
            or Feature.EMBEDDINGS in serving.features.needs
            or counts(budget, default)
        ):
            return False
        why = f"nothing is left of {budget.shown}, so the default model answers"
        try:
            progress.plan = default_only(progress.policy, serving.features, progress.plan, why=why)
        except PlanError:
            return False
        return True

    def limit_hindrance(self, policy: Policy) -> str:
        """Why budgets leave no room for the stronger model from the start, in a sentence; empty where they do."""
        purse, limit = self._purse, daily_limit_of(policy)
        if not limit:
            return ""
        budget = next((each for each in (() if purse is None else purse.budgets) if each.name == limit), None)
        if purse is None or budget is None:
            return _LIMIT_UNKNOWN
        return _LIMIT_REACHED if _levels(purse, [budget], "")[0].reaches(_ALL) else ""

    def hindrance(self, serving: Serving[Any, Any], first: Model, stronger: Model) -> str:
        """Why budgets leave no escalation from one model to another, in a sentence; empty where they do.

        Where they do, the steps that hold for the stronger model are taken.
        """
        purse, limit = self._purse, daily_limit_of(serving.progress.policy)
        budgets = () if purse is None else purse.budgets
        if limit and all(budget.name != limit for budget in budgets):
            return _LIMIT_UNKNOWN
        if purse is None or not budgets:
            return ""
        tariff = self._in_force(serving.progress.policy)
        both = dict.fromkeys(each.budget for each in (*tariff.escalated[stronger.name], *tariff.counted[first.name]))
        levels = _levels(purse, both, serving.subject)
        if any(level.budget.name == limit and level.reaches(_ALL) for level in levels):
            return _LIMIT_REACHED
        reached = degradation(levels)
        if reached.default_model_only:
            return f"{_names(reached.budgets)} is so far spent that only the default model is used"
        serving.reached = reached if reached.budgets else None
        return ""

    async def standings(self, user: str) -> list[Standing]:
        """How each budget stands that binds this sidecar; those that each user has, for this one.

        Raises:
            UntoldError: the operator has not said which budgets there are.
        """
        purse = self._purse
        if purse is None:
            return []
        if not await purse.knows():
            raise UntoldError
        subject = purse.subject_of(user)
        return purse.standings(
            (budget, subject if budget.subject is None else budget.subject)
            for budget in purse.budgets
            if not budget.is_rate_limit
        )

    def now(self) -> float:
        """Seconds since 1970, as the sidecar has it."""
        return 0.0 if self._purse is None else self._purse.clock()

    def _in_force(self, policy: Policy) -> Tariff:
        """The budgets as they are now, for this policy."""
        tariff, purse = self._tariff, self._purse
        budgets = () if purse is None else purse.budgets
        if tariff is None or tariff.budgets is not budgets or tariff.policy is not policy:
            tariff = self._tariff = Tariff(policy, budgets)
        return tariff

    def _tightest(self, charges: Sequence[Charge]) -> Level | None:
        if self._purse is None:
            return None
        return tightest(self._purse.levels([(charge.budget, charge.subject) for charge in charges]))


def _levels(purse: Purse, budgets: Iterable[Budget], subject: str) -> list[Level]:
    """How budgets stand; those that each user has, for this one."""
    return purse.levels([(each, subject if each.subject is None else each.subject) for each in budgets])


def _degraded(purse: Purse, tariff: Tariff, progress: Progress, features: Features, subject: str) -> Degradation | None:
    """Take the steps that budgets have reached into the plan, unless it is protected; None where there are none.

    Raises:
        PlanError: only the default model may be used, and it cannot serve the request.
    """
    if progress.plan.protected:
        return None
    stepped = tariff.stepped(progress.plan.steps)
    if not purse.reaches_a_step(stepped, subject):
        return None
    now = degradation(_levels(purse, stepped, subject))
    if now.default_model_only and Feature.EMBEDDINGS not in features.needs:
        why = f"{_names(now.budgets)} is so far spent that only the default model is used"
        progress.plan = default_only(progress.policy, features, progress.plan, why=why)
    return now


def short_of(shortage: Shortage) -> str:
    """Why an escalation is not paid for, in a sentence."""
    if shortage.budget.escalations_only and shortage.cause is Cause.EXHAUSTED:
        return _LIMIT_REACHED
    if shortage.cause is Cause.EXHAUSTED:
        return f"{shortage.budget.shown} has too little left for it"
    silent = "grants nothing for a moment" if shortage.cause is Cause.PAUSED else "does not answer"
    return f"this sidecar holds too little of {shortage.budget.shown}, and the ledger {silent}"


def _names(budgets: Iterable[Budget]) -> str:
    return " and ".join(budget.shown for budget in budgets)
