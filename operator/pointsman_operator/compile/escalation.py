"""When a stronger model answers: what a snapshot says of it, and what can be wrong with that."""

from collections.abc import Iterator, Mapping

from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_operator.compile.amounts import TWO_CURRENCIES
from pointsman_operator.compile.zones import UNKNOWN_TIME_ZONE, zone_named
from pointsman_operator.ledger.windows import UnknownTimeZoneError
from pointsman_operator.resources.kinds import Kind
from pointsman_operator.resources.metadata import Key
from pointsman_operator.resources.parse import INVALID_SPEC
from pointsman_operator.resources.policy import Confidence, ModelRoutingPolicy
from pointsman_operator.resources.problem import Problem
from pointsman_operator.resources.provider import Price

_FAULTS = {
    "InvalidOutput": snapshot.ANSWER_FAULT_INVALID_OUTPUT,
    "Refusal": snapshot.ANSWER_FAULT_REFUSAL,
    "Truncation": snapshot.ANSWER_FAULT_TRUNCATION,
}

_WHEN_STREAMING = {
    "Off": snapshot.WHEN_STREAMING_UNSPECIFIED,
    "FirstTokens": snapshot.WHEN_STREAMING_FIRST_TOKENS,
    "Buffer": snapshot.WHEN_STREAMING_BUFFER,
    "BufferAll": snapshot.WHEN_STREAMING_BUFFER_ALL,
}
_BUFFER_TOKENS = 256


def limit_name(key: Key) -> str:
    """What the ledger calls the budget of a policy's escalations."""
    return f"{Kind.POLICY}/{key.namespace}/{key.name}"


def escalation(policy: ModelRoutingPolicy) -> snapshot.Escalation | None:
    """When the policy's requests go up."""
    said = policy.spec.escalation
    if said is None:
        return None
    return snapshot.Escalation(
        model=said.model,
        on=sorted(_FAULTS[name] for name in said.on_answer),
        when_streaming=_WHEN_STREAMING[said.when_streaming],
        buffer_tokens=(said.buffer_tokens or _BUFFER_TOKENS) if said.when_streaming == "Buffer" else 0,
        complexity_threshold="" if said.complexity is None else said.complexity.threshold or "",
        complexity_share=0 if said.complexity is None else said.complexity.target_share or 0,
        confidence_below="" if said.confidence is None else said.confidence.below,
        self_check_within=_self_check(said.confidence),
        daily_limit="" if said.daily_limit is None else limit_name(policy.metadata.key),
    )


def _self_check(said: Confidence | None) -> str:
    return "" if said is None or said.self_check is None else said.self_check.within


def escalation_problems(policy: ModelRoutingPolicy, *, prices: Mapping[str, Price]) -> Iterator[Problem]:
    """What is wrong with it that the CRD cannot say. `prices` are the models', by their local names."""
    said = policy.spec.escalation
    if said is None:
        return
    if said.model == policy.spec.default_model:
        yield Problem(
            path="spec.escalation.model",
            reason=INVALID_SPEC,
            message="escalation's model must be another than defaultModel, which it is to be stronger than",
        )
    limit = said.daily_limit
    if limit is None:
        return
    try:
        zone_named(limit.time_zone)
    except UnknownTimeZoneError as error:
        yield Problem(path="spec.escalation.dailyLimit.timeZone", reason=UNKNOWN_TIME_ZONE, message=str(error))
    priced = prices[said.model].currency
    if limit.cost is not None and limit.cost.currency != priced:
        yield Problem(
            path="spec.escalation.dailyLimit.cost.currency",
            reason=TWO_CURRENCIES,
            message=f"{said.model} is priced in {priced} and the limit is in {limit.cost.currency}: "
            f"give the limit in {priced}",
        )
