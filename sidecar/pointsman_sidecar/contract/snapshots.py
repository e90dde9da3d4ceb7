"""From a snapshot, as the operator sends it, to the policy that the routing reads.

A sidecar never routes by half a policy: what it cannot read in full it rejects, and keeps what it had.
"""

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal, InvalidOperation
from urllib.parse import urlsplit

from google.protobuf.descriptor import FieldDescriptor
from google.protobuf.message import Message
from google.protobuf.unknown_fields import UnknownFieldSet

from pointsman_api.v1 import control_pb2, snapshot_pb2, types_pb2
from pointsman_sidecar.contract.rejections import SnapshotRejectedError, at_least
from pointsman_sidecar.contract.snapshot_escalation import escalation
from pointsman_sidecar.contract.snapshot_matchers import inquiry, known, one
from pointsman_sidecar.contract.snapshot_resilience import circuit_breaker, concurrency, hedging, retries, timeouts
from pointsman_sidecar.contract.snapshot_risk import p50, risk
from pointsman_sidecar.routing.policy import (
    AllOf,
    Arm,
    Condition,
    Feature,
    InputTokens,
    Matcher,
    MetadataExists,
    MetadataIn,
    Modality,
    ModalityIn,
    Model,
    Policy,
    Price,
    Priority,
    Provider,
    Route,
    Severity,
    SeverityIn,
    StickyBy,
)

CONTRACT_VERSION = 1

MODALITIES: Mapping[int, Modality] = {
    types_pb2.MODALITY_TEXT: Modality.TEXT,
    types_pb2.MODALITY_IMAGE: Modality.IMAGE,
    types_pb2.MODALITY_AUDIO: Modality.AUDIO,
}
SEVERITIES: Mapping[int, Severity] = {
    types_pb2.SEVERITY_LOW: Severity.LOW,
    types_pb2.SEVERITY_MEDIUM: Severity.MEDIUM,
    types_pb2.SEVERITY_HIGH: Severity.HIGH,
    types_pb2.SEVERITY_CRITICAL: Severity.CRITICAL,
}
PRIORITIES: Mapping[int, Priority] = {
    types_pb2.PRIORITY_LOW: Priority.LOW,
    types_pb2.PRIORITY_NORMAL: Priority.NORMAL,
    types_pb2.PRIORITY_HIGH: Priority.HIGH,
}
_FEATURES: Mapping[int, Feature] = {
    types_pb2.FEATURE_TOOLS: Feature.TOOLS,
    types_pb2.FEATURE_JSON_SCHEMA: Feature.JSON_SCHEMA,
    types_pb2.FEATURE_LOGPROBS: Feature.LOGPROBS,
    types_pb2.FEATURE_EMBEDDINGS: Feature.EMBEDDINGS,
}
_STICKY_BY: Mapping[int, StickyBy] = {
    snapshot_pb2.STICKY_BY_UNSPECIFIED: StickyBy.REQUEST,
    snapshot_pb2.STICKY_BY_USER: StickyBy.USER,
    snapshot_pb2.STICKY_BY_SESSION: StickyBy.SESSION,
    snapshot_pb2.STICKY_BY_REQUEST: StickyBy.REQUEST,
}


def read_snapshot(update: control_pb2.SnapshotUpdate) -> Policy:
    """The policy of an update.

    Raises:
        SnapshotRejectedError: it is of another contract, holds what this build does not know, or contradicts itself.
    """
    if update.contract_version != CONTRACT_VERSION:
        raise SnapshotRejectedError(
            f"the snapshot is written in version {update.contract_version} of the contract; "
            f"this sidecar reads version {CONTRACT_VERSION}"
        )
    if unknown := _unknown_field(update):
        raise SnapshotRejectedError(
            f"{unknown} holds a field that this sidecar does not know: it is older than the policy"
        )
    snapshot = update.snapshot
    _check_twice("providers", [each.name for each in snapshot.providers])
    _check_twice("models", [each.name for each in snapshot.models])
    at_least("limits.max_request_bytes", snapshot.limits.max_request_bytes, 1)
    at_least("limits.max_output_tokens", snapshot.limits.max_output_tokens, 0)
    policy = Policy(
        namespace=snapshot.policy.namespace,
        name=snapshot.policy.name,
        uid=snapshot.policy.uid,
        generation=snapshot.policy.generation,
        version=update.version,
        providers={each.name: _provider(each) for each in snapshot.providers},
        models={each.name: _model(each) for each in snapshot.models},
        default_model=snapshot.default_model,
        allow_pinning=snapshot.allow_pinning,
        routes=tuple(_route(each) for each in snapshot.routes),
        fallbacks=tuple(snapshot.fallbacks),
        timeouts=timeouts(snapshot.timeouts),
        max_request_bytes=snapshot.limits.max_request_bytes,
        max_output_tokens=snapshot.limits.max_output_tokens or None,
        retries=retries(snapshot),
        circuit_breaker=circuit_breaker(snapshot),
        hedging=hedging(snapshot),
        concurrency=concurrency(snapshot),
        risk=risk(snapshot, SEVERITIES),
        p50=p50(snapshot),
        escalation=escalation(snapshot),
    )
    _check_names(policy)
    return policy


def _check_twice(what: str, names: Sequence[str]) -> None:
    for name in names:
        if names.count(name) > 1:
            raise SnapshotRejectedError(f"two {what} are named {name}")


def _check_names(policy: Policy) -> None:
    for model in policy.models.values():
        if model.provider not in policy.providers:
            raise SnapshotRejectedError(
                f"model {model.name} names provider {model.provider}, which is not in the snapshot"
            )
    for place, name in _named_models(policy):
        if name not in policy.models:
            raise SnapshotRejectedError(f"{place} names model {name}, which is not in the snapshot")


def _named_models(policy: Policy) -> Iterable[tuple[str, str]]:
    yield "the default", policy.default_model
    yield from (("a fallback", name) for name in policy.fallbacks)
    if policy.escalation is not None:
        yield "escalation", policy.escalation.model
    for route in policy.routes:
        yield from ((f"route {route.name}", arm.model) for arm in route.arms)
        yield from ((f"a fallback of route {route.name}", name) for name in route.fallbacks or ())


def _provider(provider: snapshot_pb2.Provider) -> Provider:
    if provider.type != snapshot_pb2.PROVIDER_TYPE_OPENAI:
        raise SnapshotRejectedError(
            f"provider {provider.name} is of type {provider.type}, which this sidecar does not speak"
        )
    if not _is_url(provider.base_url):
        raise SnapshotRejectedError(
            f"provider {provider.name} has the base URL {provider.base_url!r}, which is no http or https URL"
        )
    return Provider(name=provider.name, base_url=provider.base_url)


def _is_url(text: str) -> bool:
    try:
        endpoint = urlsplit(text)
        # A port is read, and can be wrong, only when it is asked for.
        return endpoint.scheme in {"http", "https"} and bool(endpoint.hostname) and endpoint.port != 0
    except ValueError:
        return False


def _model(model: snapshot_pb2.Model) -> Model:
    where = f"model {model.name}"
    at_least(f"{where}: context_window", model.context_window, 1)
    at_least(f"{where}: max_output_tokens", model.max_output_tokens, 1)
    return Model(
        name=model.name,
        provider=model.provider,
        provider_model=model.provider_model,
        price=Price(
            currency=model.price.currency,
            input=_amount(where, model.price.input),
            cached_input=_amount(where, model.price.cached_input),
            output=_amount(where, model.price.output),
        ),
        context_window=model.context_window,
        max_output_tokens=model.max_output_tokens,
        input_modalities=known(where, model.input_modalities, MODALITIES),
        features=known(where, model.features, _FEATURES),
    )


def _amount(where: str, text: str) -> Decimal:
    try:
        amount = Decimal(text)
    except InvalidOperation:
        amount = Decimal("NaN")
    if not (amount.is_finite() and amount >= 0):
        raise SnapshotRejectedError(f"{where} has a price that is not a decimal number of 0 or more")
    return amount


def _route(route: snapshot_pb2.Route) -> Route:
    where = f"route {route.name}"
    arms = tuple(Arm(model=arm.model, weight=arm.weight) for arm in route.arms)
    if any(arm.weight < 0 for arm in arms):
        raise SnapshotRejectedError(f"{where} has an arm with a weight below 0")
    if not any(arm.weight > 0 for arm in arms):
        raise SnapshotRejectedError(f"{where} has no arm with a weight above 0")
    return Route(
        name=route.name,
        when=Condition(
            all=_matchers(where, route.when.all),
            any=_matchers(where, route.when.any),
            none=_matchers(where, route.when.none),
        ),
        arms=arms,
        sticky_by=one(where, route.sticky_by, _STICKY_BY),
        fallbacks=tuple(route.fallbacks) if route.overrides_fallbacks else None,
        protected=route.protected,
        split=route.split,
    )


def _matchers(where: str, matchers: Iterable[snapshot_pb2.Matcher]) -> tuple[Matcher, ...]:
    return tuple(_matcher(where, each) for each in matchers)


def _matcher(where: str, matcher: snapshot_pb2.Matcher) -> Matcher:
    match matcher.WhichOneof("matcher"):
        case "severity":
            return SeverityIn(severities=known(where, getattr(matcher.severity, "in"), SEVERITIES))
        case "metadata":
            return _metadata(where, matcher.metadata)
        case "modality":
            return ModalityIn(modalities=known(where, getattr(matcher.modality, "in"), MODALITIES))
        case "estimated_input_tokens":
            tokens = matcher.estimated_input_tokens
            return InputTokens(
                at_least=tokens.at_least if tokens.HasField("at_least") else None,
                less_than=tokens.less_than if tokens.HasField("less_than") else None,
            )
        case "all_of":
            return AllOf(matchers=_matchers(where, matcher.all_of.matchers))
        case _:
            if (test := inquiry(where, matcher)) is not None:
                return test
            raise SnapshotRejectedError(
                f"{where} has a matcher that this sidecar does not know: it is older than the policy"
            )


def _metadata(where: str, metadata: snapshot_pb2.MetadataMatcher) -> Matcher:
    match metadata.WhichOneof("test"):
        case "exists":
            return MetadataExists(key=metadata.key, exists=metadata.exists)
        case "in":
            return MetadataIn(key=metadata.key, values=frozenset(getattr(metadata, "in").values))
        case None:
            raise SnapshotRejectedError(f"{where} does not say what metadata {metadata.key} must be")


def _unknown_field(message: Message) -> str | None:
    """The name of the first message that holds a field which this build's protos do not have."""
    if len(UnknownFieldSet(message)):
        return message.DESCRIPTOR.name
    for field, value in message.ListFields():
        if field.type == FieldDescriptor.TYPE_MESSAGE:
            for each in value if isinstance(value, Iterable) else (value,):
                if unknown := _unknown_field(each):
                    return unknown
    return None
