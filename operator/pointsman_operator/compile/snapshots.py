"""The snapshot of a policy that was found sound."""

from collections.abc import Mapping
from dataclasses import dataclass

from pointsman_api.v1 import decision_pb2 as decision
from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_api.v1 import types_pb2 as types
from pointsman_operator.compile.conditions import MODALITIES, condition
from pointsman_operator.compile.escalation import escalation
from pointsman_operator.compile.quantities import size
from pointsman_operator.compile.resilience import circuit_breaker, concurrency, hedging, retries, timeouts
from pointsman_operator.compile.risks import latency, risk
from pointsman_operator.compile.splits import first_weights, split_name
from pointsman_operator.resources.kinds import Kind
from pointsman_operator.resources.metadata import Metadata
from pointsman_operator.resources.policy import ModelRoutingPolicy, Route, UsedModel
from pointsman_operator.resources.provider import ModelProvider, OfferedModel

_FEATURES = {
    "Tools": types.FEATURE_TOOLS,
    "JSONSchema": types.FEATURE_JSON_SCHEMA,
    "Logprobs": types.FEATURE_LOGPROBS,
    "Embeddings": types.FEATURE_EMBEDDINGS,
}
_STICKY_BY = {
    "User": snapshot.STICKY_BY_USER,
    "Session": snapshot.STICKY_BY_SESSION,
    "Request": snapshot.STICKY_BY_REQUEST,
}
_TYPES = {"OpenAI": snapshot.PROVIDER_TYPE_OPENAI}


@dataclass(frozen=True, kw_only=True)
class Source:
    """Where a model comes from."""

    used: UsedModel
    provider: ModelProvider
    offered: OfferedModel


def build_snapshot(policy: ModelRoutingPolicy, sources: Mapping[str, Source]) -> snapshot.Snapshot:
    """Build it; `sources` has the policy's models by their local names. Raise ValueError where a quantity is none."""
    metadata, spec = policy.metadata, policy.spec
    providers = {source.provider.metadata.name: source.provider for source in sources.values()}
    used = [provider for _, provider in sorted(providers.items())]
    return snapshot.Snapshot(
        policy=decision.PolicyRef(
            namespace=metadata.namespace, name=metadata.name, uid=metadata.uid, generation=metadata.generation
        ),
        inputs=[
            _object_version(Kind.POLICY, metadata),
            *(_object_version(Kind.PROVIDER, provider.metadata) for provider in used),
        ],
        providers=[
            snapshot.Provider(
                name=provider.metadata.name,
                type=_TYPES[provider.spec.type],
                base_url=provider.spec.base_url,
            )
            for provider in used
        ],
        models=[_model(sources[model.name]) for model in spec.models],
        default_model=spec.default_model,
        allow_pinning=spec.allow_pinning,
        routes=[_route(route, split=split_name(policy, route)) for route in spec.routes],
        fallbacks=spec.resilience.fallbacks,
        timeouts=timeouts(spec.resilience.timeouts),
        limits=snapshot.Limits(
            max_request_bytes=size(spec.limits.max_request_bytes),
            max_output_tokens=spec.limits.max_output_tokens or 0,
        ),
        retries=retries(spec.resilience.retries),
        circuit_breaker=circuit_breaker(spec.resilience.circuit_breaker),
        hedging=hedging(spec.resilience.hedging),
        concurrency=concurrency(spec.resilience.concurrency),
        escalation=escalation(policy),
        risk=risk(spec.risk),
        latency=latency(spec.latency),
    )


def _object_version(kind: Kind, metadata: Metadata) -> snapshot.ObjectVersion:
    return snapshot.ObjectVersion(
        kind=kind,
        namespace=metadata.namespace,
        name=metadata.name,
        uid=metadata.uid,
        generation=metadata.generation,
    )


def _model(source: Source) -> snapshot.Model:
    offered, price = source.offered, source.offered.price
    return snapshot.Model(
        name=source.used.name,
        provider=source.provider.metadata.name,
        provider_model=offered.name,
        price=snapshot.Price(
            currency=price.currency,
            input=price.input,
            cached_input=price.input if price.cached_input is None else price.cached_input,
            output=price.output,
        ),
        context_window=offered.context_window,
        max_output_tokens=offered.max_output_tokens,
        input_modalities=sorted(MODALITIES[name] for name in offered.input_modalities),
        features=sorted(_FEATURES[name] for name in offered.features),
    )


def _route(route: Route, *, split: str) -> snapshot.Route:
    compiled = snapshot.Route(
        name=route.name,
        when=condition(route.when),
        overrides_fallbacks=route.fallbacks is not None,
        fallbacks=route.fallbacks or (),
        protected=route.protected,
        split=split,
    )
    if route.split is None:
        compiled.arms.add(model=route.model or "", weight=1)
    else:
        compiled.sticky_by = _STICKY_BY[route.split.sticky_by]
        for arm, weight in zip(route.split.arms, first_weights(route.split), strict=True):
            compiled.arms.add(model=arm.model, weight=weight)
    return compiled
