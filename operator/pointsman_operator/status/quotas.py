"""The status of a quota: pure. From how the ledger says that its budgets stand, to what should stand there."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from pointsman_operator.compile.amounts import TWO_CURRENCIES
from pointsman_operator.compile.budgets import Amount, amount_of, budget_name
from pointsman_operator.compile.quotas import NOT_COUNTED, zone_of
from pointsman_operator.compile.selectors import INVALID_SELECTOR
from pointsman_operator.compile.zones import UNKNOWN_TIME_ZONE
from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.ledger.windows import Kind, Window, window_at
from pointsman_operator.resources import Problem, TokenQuota, Unreadable
from pointsman_operator.status.amounts import digits, words
from pointsman_operator.status.conditions import Condition, failed, merged

# What is used changes all the time, and each write is one to etcd.
BETWEEN_WRITES_SECONDS = 30.0
# A step or the end is written sooner. Still not each time, where calls go to and fro between the last and no budget.
BETWEEN_URGENT_WRITES_SECONDS = 2.0
LEDGER_UNAVAILABLE = "LedgerUnavailable"

# What holds of a quota that is not as it should be.
_UNTIL_THEN = {
    INVALID_SELECTOR: "It binds nobody until then",
    UNKNOWN_TIME_ZONE: "Its windows are UTC's until then",
    TWO_CURRENCIES: "The other models are counted",
    NOT_COUNTED: "The other models are counted",
}


@dataclass(frozen=True, kw_only=True, slots=True)
class Standing:
    """How one budget of a quota stands in its window: the namespace's, or that of one workload or user.

    `short` says that somebody waits for more than is left of it.
    """

    subject: str
    used: int
    held: int
    short: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class LedgerState:
    """Whether the ledger can grant, as a quota says it.

    Attributes:
        known: whether it knows how budgets stand.
        trouble: why it grants nothing; empty where it does.
        remark: what keeps it from granting as it should.
    """

    known: bool = True
    trouble: str = ""
    remark: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class QuotaView:
    """All that a quota's status depends on. `window` is the one that is now, and the `standings` are of it."""

    quota: TokenQuota
    problems: tuple[Problem, ...]
    window: Window
    standings: Sequence[Standing]
    ledger: LedgerState = LedgerState()


def current_window(quota: TokenQuota, now: datetime) -> Window:
    """The window of the quota that is now."""
    return window_at(Kind(quota.spec.window), zone_of(quota), now.timestamp())


def standings_in(
    accounts: Iterable[tuple[AccountKey, Account]],
    *,
    quota: TokenQuota,
    window: Window,
    short: frozenset[AccountKey] = frozenset(),
) -> tuple[Standing, ...]:
    """How the quota's budgets stand in a window, of which there may be one for each subject.

    `accounts` may be all there are. `short` are those of which less was granted of late than a request needs.
    """
    name, unit = budget_name(quota.metadata.key), amount_of(quota.spec.limit).account_unit
    return tuple(
        Standing(subject=key.subject, used=account.used, held=account.held, short=key in short)
        for key, account in accounts
        if (key.budget, key.unit, key.start, key.end) == (name, unit, window.start, window.end)
    )


def quota_status(view: QuotaView, *, before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The status that should stand there, with no field that does not apply; `before` is what does."""
    quota = view.quota
    generation = quota.metadata.generation
    if not view.ledger.known:
        # The amounts stay as they are, for whoever reads them: they are what was known last.
        conditions = merged((_ready(view),), before=before, generation=generation, now=now)
        return {**before, "observedGeneration": generation, "conditions": conditions}
    limit = amount_of(quota.spec.limit)
    fullest = max(view.standings, key=lambda each: (each.used, each.held, each.subject), default=None)
    used, held = (0, 0) if fullest is None else (fullest.used, fullest.held)
    percent = _percent(used, limit)
    step = reached_step(quota, used)
    status: dict[str, Any] = {
        "observedGeneration": generation,
        "conditions": merged((_ready(view), _exhausted(view, limit)), before=before, generation=generation, now=now),
        "used": digits(used, limit),
        "held": digits(held, limit),
        "usedPercent": percent,
        "display": {"used": f"{percent}%", "limit": words(limit.value, limit)},
    }
    if quota.spec.scope != "Namespace":
        status["budgets"] = len(view.standings)
        status["exhausted"] = len(_used_up(view.standings, limit))
    if quota.spec.scope == "Workload" and fullest is not None and used > 0:
        status["workload"] = fullest.subject
    if step is not None:
        status["step"] = step
        status["display"]["step"] = f"at {step}%"
    if used or held:
        # Not of one that nobody uses: a status that nothing happens to is not written each minute.
        status["resetsAt"] = resets_at(quota, view.window)
    return status


def unreadable_status(quota: Unreadable, *, before: Mapping[str, Any], now: datetime) -> dict[str, Any]:
    """The status of a quota that this operator cannot read: it binds nobody, and says so."""
    generation = quota.metadata.generation
    wanted = (failed("Ready", quota.problems, remark="It binds nobody until then"),)
    kept = {"conditions": [each for each in before.get("conditions") or () if each.get("type") != "Exhausted"]}
    return {
        "observedGeneration": generation,
        "conditions": merged(wanted, before=kept, generation=generation, now=now),
    }


def reached_step(quota: TokenQuota, used: int) -> int | None:
    """The last of the steps that is reached, by its share; as sidecars reckon it."""
    limit = amount_of(quota.spec.limit).value
    return max((each.at_percent for each in quota.spec.steps if used * 100 >= limit * each.at_percent), default=None)


def resets_at(quota: TokenQuota, window: Window) -> str:
    """When the next window begins, in the quota's own time zone."""
    return datetime.fromtimestamp(window.end, zone_of(quota)).isoformat()


def is_urgent(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    """Whether more than the amounts differ: another spec, condition or step, or the first status at all."""
    return bool(_telling(before) != _telling(wanted))


def may_write_at(last: float | None, *, urgent: bool) -> float:
    """From when on a status may be written of which the last was written at `last`, by the same clock."""
    if last is None:
        return float("-inf")
    return last + (BETWEEN_URGENT_WRITES_SECONDS if urgent else BETWEEN_WRITES_SECONDS)


def _telling(status: Mapping[str, Any]) -> Any:
    conditions = {each.get("type"): (each.get("status"), each.get("reason")) for each in status.get("conditions") or ()}
    return status.get("observedGeneration"), conditions, status.get("step")


def _percent(used: int, limit: Amount) -> int:
    return used * 100 // limit.value if limit.value > 0 else 100


def _used_up(standings: Iterable[Standing], limit: Amount) -> list[Standing]:
    return [each for each in standings if each.short or each.used >= limit.value]


def _ready(view: QuotaView) -> Condition:
    if view.problems:
        reasons = {problem.reason for problem in view.problems}
        remark = ". ".join(said for reason, said in _UNTIL_THEN.items() if reason in reasons)
        return failed("Ready", view.problems, remark=remark)
    if view.ledger.trouble:
        message = f"Nothing is granted from it, and sidecars spend what they hold: {view.ledger.trouble}"
        return Condition(type="Ready", status=False, reason=LEDGER_UNAVAILABLE, message=message)
    message = "It binds the pods that it is for"
    if view.ledger.remark:
        message = f"{message}; {view.ledger.remark}"
    return Condition(type="Ready", status=True, reason="InForce", message=message)


def _exhausted(view: QuotaView, limit: Amount) -> Condition:
    quota = view.quota
    until = f"until {resets_at(quota, view.window)}"
    if limit.value <= 0:
        message = f"Its limit is {words(limit.value, limit)}: nothing may be spent; raise it"
        return Condition(type="Exhausted", status=True, reason="NothingToSpend", message=message)
    used_up = _used_up(view.standings, limit)
    if not used_up:
        return Condition(type="Exhausted", status=False, reason="Available", message="Some of each budget is left")
    each = words(limit.value, limit)
    match quota.spec.scope:
        case "Namespace":
            message = f"{each} are used up {until}"
        case "Workload":
            names = sorted(standing.subject for standing in used_up)
            more = f" and {len(names) - 3} more" if len(names) > 3 else ""  # noqa: PLR2004 - as many as are listed
            message = f"{each} are used up {until} by {', '.join(names[:3])}{more}"
        case "User":
            who = "one user" if len(used_up) == 1 else f"{len(used_up)} users"
            message = f"{each} are used up {until} by {who}"
    if any(standing.used < limit.value for standing in used_up):
        message += ", but for less than a request needs or sidecars hold"
    return Condition(type="Exhausted", status=True, reason="UsedUp", message=message)
