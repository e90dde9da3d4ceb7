"""How budgets stand, in the contract's words: on a decision, and for `GetUsage`."""

from collections.abc import Iterable

from pointsman_api.v1 import completions_pb2, decision_pb2
from pointsman_sidecar.quota.degrading import Level, Standing


def write_level(level: Level, into: decision_pb2.QuotaLevel) -> None:
    """Say what is used of a budget. In place: a message that goes into another is encoded and read again."""
    budget, used, limit, resets_at = level
    into.quota = budget.shown
    into.unit = budget.account_unit
    into.used = used
    into.limit = limit
    if resets_at is not None:
        into.resets_at.seconds = resets_at


def standing(standings: Iterable[Standing]) -> completions_pb2.GetUsageResponse:
    """How each budget stands, in the order in which people look for them."""
    response = completions_pb2.GetUsageResponse()
    for each in sorted(standings, key=lambda each: each.level.budget.shown):
        usage = response.quotas.add(
            held=each.held, left=each.left, reached_percent=each.level.reached_percent, told=each.told
        )
        write_level(each.level, usage.level)
    return response
