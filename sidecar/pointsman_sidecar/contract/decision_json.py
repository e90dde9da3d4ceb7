"""A decision as JSON, for clients that have no protobuf: the contract's names, with numbers as numbers."""

from typing import Any

from google.protobuf.duration_pb2 import Duration

from pointsman_api.v1 import completions_pb2, decision_pb2, types_pb2


def decision_json(decision: decision_pb2.Decision) -> dict[str, Any]:
    """All that the decision says. What is not known yet is left out."""
    policy = decision.policy
    said: dict[str, Any] = {
        "id": decision.id,
        "policy": {"namespace": policy.namespace, "name": policy.name, "generation": policy.generation},
        "snapshot_version": decision.snapshot_version,
        "route": decision.route,
        "model": decision.model,
        "provider": decision.provider,
        "provider_model": decision.provider_model,
        "reason": reason_name(decision),
        "message": decision.message,
        "attempts": [_attempt(attempt) for attempt in decision.attempts],
        "changes": [
            {"field": each.field, "requested": each.requested, "sent": each.sent, "message": each.message}
            for each in decision.changes
        ],
    }
    if decision.passed_over:
        said["passed_over"] = [{"model": each.model, "message": each.message} for each in decision.passed_over]
    if decision.HasField("queued"):
        said["queued_ms"] = _milliseconds(decision.queued)
    if decision.HasField("usage"):
        said["usage"] = _usage(decision.usage)
    if decision.HasField("cost"):
        said["cost"] = {"amount": decision.cost.amount, "currency": decision.cost.currency}
    if decision.HasField("complexity"):
        complexity = decision.complexity
        said["complexity"] = {"score": round(complexity.score, 4), "threshold": round(complexity.threshold, 4)}
    if decision.HasField("escalation"):
        escalation = decision.escalation
        said["escalation"] = {
            "cause": decision_pb2.Reason.Name(escalation.cause).removeprefix("REASON_"),
            "model": escalation.model,
            "done": escalation.done,
            "message": escalation.message,
        }
    if decision.HasField("arm"):
        said["arm"] = _arm(decision.arm)
    if decision.HasField("quota"):
        said["quota"] = quota_json(decision.quota)
    if decision.HasField("risk"):
        said["risk"] = _risk(decision.risk)
    return said


def _arm(arm: decision_pb2.SplitArm) -> dict[str, Any]:
    said: dict[str, Any] = {"model": arm.model, "weight": arm.weight, "total_weight": arm.total_weight}
    return said | {"rolled_back": arm.rolled_back} if arm.rolled_back else said


def quota_json(quota: decision_pb2.QuotaLevel) -> dict[str, Any]:
    """How a budget stands."""
    said: dict[str, Any] = {
        "quota": quota.quota,
        "unit": quota.unit,
        "used": quota.used,
        "limit": quota.limit,
    }
    if quota.HasField("resets_at"):
        said["resets_at"] = quota.resets_at.ToJsonString()
    return said


def usage_json(usage: completions_pb2.GetUsageResponse) -> dict[str, Any]:
    """How all budgets stand."""
    return {
        "object": "list",
        "data": [
            {
                **quota_json(each.level),
                "held": each.held,
                "left": each.left,
                "reached_percent": each.reached_percent if each.HasField("reached_percent") else None,
                "told": each.told,
            }
            for each in usage.quotas
        ],
    }


def reason_name(decision: decision_pb2.Decision) -> str:
    """Its reason without the enum's prefix, such as ROUTE."""
    return decision_pb2.Reason.Name(decision.reason).removeprefix("REASON_")


def _risk(risk: decision_pb2.DecisionRisk) -> dict[str, Any]:
    return {
        "domains": [types_pb2.Domain.Name(each).removeprefix("DOMAIN_").lower() for each in risk.domains],
        "severity": types_pb2.Severity.Name(risk.severity).removeprefix("SEVERITY_").lower() if risk.severity else "",
        "found": risk.found,
    }


def _attempt(attempt: decision_pb2.Attempt) -> dict[str, Any]:
    said: dict[str, Any] = {
        "model": attempt.model,
        "provider": attempt.provider,
        "provider_model": attempt.provider_model,
        "outcome": decision_pb2.Outcome.Name(attempt.outcome).removeprefix("OUTCOME_"),
        "message": attempt.message,
        "latency_ms": _milliseconds(attempt.latency),
        "charge": decision_pb2.Charge.Name(attempt.charge).removeprefix("CHARGE_"),
    }
    if attempt.retry:
        said["retry"] = attempt.retry
    if attempt.hedge:
        said["hedge"] = True
    if attempt.HasField("confidence"):
        said["confidence"] = round(attempt.confidence, 4)
    if attempt.HasField("judged"):
        said["judged"] = round(attempt.judged, 4)
    if attempt.unused:
        said["unused"] = attempt.unused
    for name in ("usage", "most"):
        if attempt.HasField(name):
            said[name] = _usage(getattr(attempt, name))
    if attempt.HasField("time_to_first_token"):
        said["time_to_first_token_ms"] = _milliseconds(attempt.time_to_first_token)
    if attempt.http_status:
        said["http_status"] = attempt.http_status
    return said


def _usage(usage: decision_pb2.Usage) -> dict[str, int]:
    return {
        "input_tokens": usage.input_tokens,
        "cached_input_tokens": usage.cached_input_tokens,
        "output_tokens": usage.output_tokens,
        "reasoning_tokens": usage.reasoning_tokens,
    }


def _milliseconds(duration: Duration) -> float:
    return round(duration.ToTimedelta().total_seconds() * 1000, 3)
