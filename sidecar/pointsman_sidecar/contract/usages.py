"""How budgets stand, in the contract's words: on a decision, and for `GetUsage`."""

from collections.abc import Iterable

from google.protobuf.timestamp_pb2 import Timestamp

from pointsman_api.v1 import completions_pb2, decision_pb2
from pointsman_sidecar.quota.degrading import Level


def quota_level(level: Level) -> decision_pb2.QuotaLevel:
    """What is used of a budget."""
    return decision_pb2.QuotaLevel(
        quota=level.budget.shown,
        unit=level.budget.account_unit,
        used=level.used,
        limit=level.limit,
        resets_at=None if level.resets_at is None else Timestamp(seconds=level.resets_at),
    )


def standing(levels: Iterable[Level]) -> completions_pb2.GetUsageResponse:
    """How each budget stands, in the order in which people look for them."""
    return completions_pb2.GetUsageResponse(
        quotas=[
            completions_pb2.QuotaUsage(
                level=quota_level(level),
                held=level.held,
                left=level.left,
                reached_percent=level.reached_percent,
                told=level.told,
            )
            for level in sorted(levels, key=lambda level: level.budget.shown)
        ]
    )
