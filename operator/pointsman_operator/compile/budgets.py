"""From a namespace's quotas to the budgets that bind one sidecar, and to the ledger's terms for it.

What is said of a budget changes with its quota, with prices, and every few minutes: windows are told some time ahead,
so that a sidecar which cannot reach the operator still knows the next ones. All that are asked within such a period
are told the same.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from functools import lru_cache, partial
from zoneinfo import ZoneInfo

from pointsman_operator.compile.amounts import millionths
from pointsman_operator.compile.escalation import limit_name
from pointsman_operator.compile.quotas import Providers, counted_models, zone_of
from pointsman_operator.compile.selectors import matches, selector_problems
from pointsman_operator.compile.zones import zone_or_utc
from pointsman_operator.ledger.answering import Terms
from pointsman_operator.ledger.windows import Kind as WindowKind
from pointsman_operator.ledger.windows import Window, is_window, windows_from
from pointsman_operator.resources.kinds import Kind
from pointsman_operator.resources.metadata import Key
from pointsman_operator.resources.policy import DailyLimit, ModelRoutingPolicy
from pointsman_operator.resources.quota import QuotaLimit, TokenQuota
from pointsman_operator.resources.selector import LabelSelector
from pointsman_operator.resources.unreadable import Unreadable

# Windows are told for this long, and told anew each half of it. Longer than any block lasts without the operator.
AHEAD_SECONDS = 1200
PERIOD_SECONDS = AHEAD_SECONDS // 2
_UNITS = {
    "tokens": "Tokens",
    "input_tokens": "InputTokens",
    "output_tokens": "OutputTokens",
    "requests": "Requests",
}
COST = "Cost"


@dataclass(frozen=True, kw_only=True, slots=True)
class Member:
    """A pod, as far as quotas tell pods apart."""

    labels: Mapping[str, str]
    workload: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Amount:
    """A limit in the ledger's terms: a whole number of a unit. Money is in millionths of its currency's unit."""

    unit: str
    value: int
    currency: str = ""

    @property
    def account_unit(self) -> str:
        """The unit as the ledger's accounts name it."""
        return f"{self.unit}:{self.currency}" if self.currency else self.unit


class WhenExhausted(StrEnum):
    """What becomes of a request for which nothing is left."""

    REFUSE = "Refuse"
    DEFAULT_MODEL = "DefaultModel"
    NEXT_MODEL = "NextModel"


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """What holds from a share of the budget on."""

    at_percent: int
    max_output_tokens: int | None = None
    default_model_only: bool = False
    no_hedging: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Budget:
    """What a sidecar is told of a budget that binds it.

    Attributes:
        name: names it in the ledger: by kind, namespace and name, so that deleting and creating it resets nothing.
        shown: names it to people.
        subject: whom the sidecar spends for; None where that is the request's user.
        models: (provider, the provider's name of the model) of those it counts; None for all.
        when_exhausted: what becomes of a request for which nothing is left.
    """

    name: str
    shown: str
    limit: Amount
    windows: tuple[Window, ...]
    subject: str | None
    models: frozenset[tuple[str, str]] | None
    cached_input_percent: int
    steps: tuple[Step, ...]
    when_exhausted: WhenExhausted
    terms: Terms = field(compare=False)
    """The same for the ledger."""
    escalations_only: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Windows:
    """Calendar windows: those that are told now, and how to know any."""

    kind: WindowKind
    zone: ZoneInfo
    told: tuple[Window, ...]

    def terms(self, limit: Amount, *, subject: str | None) -> Terms:
        """The ledger's terms for a budget in these windows."""
        has_window = partial(is_window, self.kind, self.zone)
        return Terms(unit=limit.account_unit, limit=limit.value, has_window=has_window, subject=subject)


def windows_ahead(kind: WindowKind, zone: ZoneInfo, *, now: float) -> Windows:
    """The windows of a kind in a time zone, as they are told now."""
    return _windows_from(kind, zone, now // PERIOD_SECONDS * PERIOD_SECONDS)


@lru_cache(maxsize=1024)
def _windows_from(kind: WindowKind, zone: ZoneInfo, began: float) -> Windows:
    # Asked for with each call of each sidecar, and the same for a whole period.
    # Three: one may have ended since the period began, and the next is to be among them.
    return Windows(kind=kind, zone=zone, told=windows_from(kind, zone, began, until=began + AHEAD_SECONDS, least=3))


def budget_name(key: Key) -> str:
    """What the ledger calls a quota's budget."""
    return f"{Kind.QUOTA}/{key.namespace}/{key.name}"


def quota_of(budget: str) -> Key | None:
    """The quota of a budget, by what the ledger calls it; None where it is no quota's."""
    kind, namespace, name = budget.split("/")
    return Key(namespace, name) if kind == Kind.QUOTA else None


def amount_of(limit: QuotaLimit | DailyLimit) -> Amount:
    """The limit in the ledger's terms. Where the CRD's rule was slipped past and there is none: nothing at all."""
    for name, unit in _UNITS.items():
        if (value := getattr(limit, name, None)) is not None:
            return Amount(unit=unit, value=value)
    if limit.cost is not None:
        return Amount(unit=COST, value=millionths(limit.cost.amount), currency=limit.cost.currency)
    return Amount(unit="Requests", value=0)


def binds(quota: TokenQuota, labels: Mapping[str, str]) -> bool:
    """Whether the quota is for a pod with these labels. A selector that no label can match is for none."""
    return _selected(quota.spec.selector, labels)


def _selected(selector: LabelSelector | None, labels: Mapping[str, str]) -> bool:
    if selector is not None and any(selector_problems(selector, path="")):
        return False
    return matches(selector, labels)


def budgets_for(
    member: Member,
    *,
    quotas: Iterable[TokenQuota | Unreadable],
    policies: Iterable[ModelRoutingPolicy | Unreadable] = (),
    providers: Providers,
    now: float,
) -> tuple[Budget, ...]:
    """The budgets that bind a pod, by name. `quotas` and `policies` are its namespace's.

    Those of escalations are told of every policy that selects the pod: its snapshot says which is meant.

    One that counts no model, since all are priced in another currency, binds nobody: to sidecars, no model means all.
    """
    budgets = (
        _budget(quota, member=member, providers=providers, now=now)
        for quota in sorted(quotas, key=lambda each: each.metadata.key)
        if isinstance(quota, TokenQuota) and binds(quota, member.labels)
    )
    limits = (
        _limit(policy, policy.spec.escalation.daily_limit, now=now)
        for policy in sorted(policies, key=lambda each: each.metadata.key)
        if isinstance(policy, ModelRoutingPolicy)
        and policy.spec.escalation is not None
        and policy.spec.escalation.daily_limit is not None
        and _selected(policy.spec.selector, member.labels)
    )
    return (*(budget for budget in budgets if budget.models is None or budget.models), *limits)


def terms_of(budgets: Iterable[Budget]) -> dict[str, Terms]:
    """The same budgets as the ledger takes them, by name."""
    return {budget.name: budget.terms for budget in budgets}


def told_anew(now: float) -> float:
    """When what `budgets_for` says now is to be asked for again, though nothing else changed."""
    return (now // PERIOD_SECONDS + 1) * PERIOD_SECONDS


def _budget(quota: TokenQuota, *, member: Member, providers: Providers, now: float) -> Budget:
    spec = quota.spec
    windows = windows_ahead(WindowKind(spec.window), zone_of(quota), now=now)
    limit = amount_of(spec.limit)
    subject = {"Namespace": "", "Workload": member.workload, "User": None}[spec.scope]
    percent = 100 if spec.cached_input_percent is None else spec.cached_input_percent
    return Budget(
        name=budget_name(quota.metadata.key),
        shown=f"{Kind.QUOTA} {quota.metadata.key}",
        limit=limit,
        windows=windows.told,
        subject=subject,
        models=counted_models(quota, providers),
        cached_input_percent=percent,
        steps=tuple(
            Step(
                at_percent=step.at_percent,
                max_output_tokens=step.max_output_tokens,
                default_model_only=step.only == "DefaultModel",
                no_hedging="Hedging" in step.disable,
            )
            for step in spec.steps
        ),
        when_exhausted=WhenExhausted(spec.when_exhausted),
        terms=windows.terms(limit, subject=subject),
    )


def _limit(policy: ModelRoutingPolicy, said: DailyLimit, *, now: float) -> Budget:
    """The budget of a policy's escalations, which all pods of the policy share."""
    windows = windows_ahead(WindowKind.DAY, zone_or_utc(said.time_zone), now=now)
    limit = amount_of(said)
    return Budget(
        name=limit_name(policy.metadata.key),
        shown=f"escalation.dailyLimit of {Kind.POLICY} {policy.metadata.key}",
        limit=limit,
        windows=windows.told,
        subject="",
        models=None,
        cached_input_percent=100,
        steps=(),
        when_exhausted=WhenExhausted.REFUSE,
        terms=windows.terms(limit, subject=""),
        escalations_only=True,
    )
