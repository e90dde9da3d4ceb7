"""The decision in the headers of an answer."""

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.contract.decision_json import reason_name

_LONGEST = 512


def decision_headers(decision: decision_pb2.Decision) -> dict[str, str]:
    """What is decided so far; what is not known, or empty, has no header."""
    said = {
        "x-request-id": decision.id,
        "x-pointsman-decision-id": decision.id,
        "x-pointsman-policy": f"{decision.policy.namespace}/{decision.policy.name}",
        "x-pointsman-route": decision.route,
        "x-pointsman-model": decision.model,
        "x-pointsman-provider": decision.provider,
        "x-pointsman-provider-model": decision.provider_model,
        "x-pointsman-reason": reason_name(decision),
        "x-pointsman-message": decision.message,
        "x-pointsman-attempts": str(len(decision.attempts)) if decision.attempts else "",
        "x-pointsman-changes": ", ".join(change.field for change in decision.changes),
        "x-pointsman-cost": f"{decision.cost.amount} {decision.cost.currency}" if decision.HasField("cost") else "",
    }
    if decision.HasField("quota"):
        said |= quota_headers(decision.quota)
    return {name: _plain(text) for name, text in said.items() if text}


def quota_headers(quota: decision_pb2.QuotaLevel) -> dict[str, str]:
    """How the tightest budget stands."""
    return {
        "x-pointsman-quota": quota.quota,
        "x-pointsman-quota-unit": quota.unit,
        "x-pointsman-quota-used": str(quota.used),
        "x-pointsman-quota-limit": str(quota.limit),
        "x-pointsman-quota-reset": quota.resets_at.ToJsonString() if quota.HasField("resets_at") else "",
    }


def _plain(text: str) -> str:
    # A sentence may repeat what the request says of itself, and a header holds a line of ASCII.
    shown = (
        text
        if text.isascii() and text.isprintable()
        else "".join(letter if " " <= letter <= "~" else "?" for letter in text)
    )
    return shown if len(shown) <= _LONGEST else f"{shown[:_LONGEST]}..."
