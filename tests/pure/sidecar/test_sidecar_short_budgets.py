"""What a caller is told when a budget has nothing to spend from, by the cause."""

import pytest

from pointsman_api.v1 import decision_pb2, quota_pb2
from pointsman_sidecar.completing.failures import short
from pointsman_sidecar.completing.paying import short_of
from pointsman_sidecar.contract.errors import Kind
from pointsman_sidecar.contract.quotas import read_reply
from pointsman_sidecar.quota.budgets import Budget, Unit, Window
from pointsman_sidecar.quota.outcomes import Cause, Shortage

_BUDGET = Budget(
    name="TokenQuota/shop/month",
    shown="TokenQuota shop/month",
    unit=Unit.TOKENS,
    limit=1000,
    windows=(Window(0, 2000),),
)


@pytest.mark.parametrize(
    ("cause", "kind", "reason", "retry_after", "says"),
    [
        (Cause.PAUSED, Kind.UNAVAILABLE, "QUOTA_UNAVAILABLE", 12.5, "the ledger grants nothing for a moment"),
        (Cause.UNANSWERED, Kind.UNAVAILABLE, "QUOTA_UNAVAILABLE", 1.0, "the ledger does not answer"),
        (Cause.EXHAUSTED, Kind.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED", 500.0, "has too little left"),
    ],
)
def test_a_refusal_says_why_nothing_can_be_spent_and_when_to_try_again(
    cause: Cause, kind: Kind, reason: str, retry_after: float, says: str
) -> None:
    pause = 12.5 if cause is Cause.PAUSED else 0.0
    shortage = Shortage(cause=cause, budget=_BUDGET, amount=10, limit=1000, resets_at=2000, pause=pause)

    error = short(shortage, decision=decision_pb2.Decision(), now=1500.0)

    assert (error.kind, error.reason, error.retry_after) == (kind, reason, retry_after)
    assert says in str(error)


def test_an_escalation_that_is_not_paid_for_says_that_the_ledger_grants_nothing_for_a_moment() -> None:
    shortage = Shortage(cause=Cause.PAUSED, budget=_BUDGET, amount=10, limit=1000, pause=12.5)

    assert short_of(shortage).endswith("the ledger grants nothing for a moment")


def test_a_reply_that_says_nothing_of_a_pause_has_none() -> None:
    reply = quota_pb2.QuotaReply(id=1)

    assert read_reply(reply).grants_after == 0.0
    reply.grants_after.FromMilliseconds(2500)
    assert read_reply(reply).grants_after == 2.5
