"""Builders of snapshots as the operator sends them. The models' names at the provider are the stub provider's."""

from collections.abc import Iterable, Sequence
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration

from pointsman_api.v1 import control_pb2, decision_pb2, snapshot_pb2, types_pb2

NOWHERE = "http://127.0.0.1:9/v1"
SEES = (types_pb2.MODALITY_TEXT, types_pb2.MODALITY_IMAGE)
SEES_AND_HEARS = (*SEES, types_pb2.MODALITY_AUDIO)
ALL_FEATURES = (types_pb2.FEATURE_TOOLS, types_pb2.FEATURE_JSON_SCHEMA, types_pb2.FEATURE_LOGPROBS)


def seconds(value: float) -> Duration:
    """A duration."""
    duration = Duration()
    duration.FromTimedelta(timedelta(seconds=value))
    return duration


def model(
    name: str,
    *,
    provider: str = "openai",
    provider_model: str = "gpt-4o-mini",
    prices: tuple[str, str, str] = ("0.15", "0.075", "0.60"),
    context_window: int = 128_000,
    modalities: Iterable[types_pb2.Modality.ValueType] = SEES,
) -> snapshot_pb2.Model:
    """A model; `prices` are of input, cached input and output."""
    return snapshot_pb2.Model(
        name=name,
        provider=provider,
        provider_model=provider_model,
        price=snapshot_pb2.Price(currency="USD", input=prices[0], cached_input=prices[1], output=prices[2]),
        context_window=context_window,
        max_output_tokens=16_384,
        input_modalities=modalities,
        features=ALL_FEATURES,
    )


def mini(*, provider: str = "openai") -> snapshot_pb2.Model:
    """The cheap model; it does not hear."""
    return model("mini", provider=provider)


def flagship(*, provider: str = "openai") -> snapshot_pb2.Model:
    """The dear model, which hears."""
    return model(
        "flagship",
        provider=provider,
        provider_model="gpt-4o",
        prices=("2.50", "1.25", "10.00"),
        modalities=SEES_AND_HEARS,
    )


def embed(*, name: str = "embed") -> snapshot_pb2.Model:
    """A model that gives embeddings."""
    made = model(name, provider_model="text-embedding-3-small", prices=("0.02", "0.02", "0"), context_window=8192)
    made.max_output_tokens = 1
    del made.features[:]
    made.features.append(types_pb2.FEATURE_EMBEDDINGS)
    return made


def severity_route(name: str = "risky", *, to: str = "flagship") -> snapshot_pb2.Route:
    """A route that sends High and Critical to a model."""
    severity = snapshot_pb2.SeverityMatcher(**{"in": [types_pb2.SEVERITY_HIGH, types_pb2.SEVERITY_CRITICAL]})
    return snapshot_pb2.Route(
        name=name,
        when=snapshot_pb2.Condition(all=[snapshot_pb2.Matcher(severity=severity)]),
        arms=[snapshot_pb2.Arm(model=to, weight=1)],
    )


def snapshot(
    *,
    base_url: str = NOWHERE,
    providers: Sequence[snapshot_pb2.Provider] | None = None,
    models: Sequence[snapshot_pb2.Model] | None = None,
    routes: Sequence[snapshot_pb2.Route] | None = None,
    fallbacks: Sequence[str] = ("flagship",),
    default_model: str = "mini",
    allow_pinning: bool = False,
    connect: float = 2.0,
    first_token: float = 5.0,
    attempt: float = 5.0,
    total: float = 10.0,
    max_request_bytes: int = 4 * 1024 * 1024,
    max_output_tokens: int = 0,
    generation: int = 3,
    between_tokens: float | None = None,
    retries: snapshot_pb2.Retries | None = None,
    circuit_breaker: snapshot_pb2.CircuitBreaker | None = None,
    hedging: snapshot_pb2.Hedging | None = None,
    concurrency: snapshot_pb2.Concurrency | None = None,
    escalation: snapshot_pb2.Escalation | None = None,
) -> snapshot_pb2.Snapshot:
    """The policy shop/support: mini by default, flagship for what is severe and where mini fails.

    No model is called again and none left alone, unless it is said.
    """
    return snapshot_pb2.Snapshot(
        policy=decision_pb2.PolicyRef(namespace="shop", name="support", uid="u-1", generation=generation),
        inputs=[
            snapshot_pb2.ObjectVersion(
                kind="ModelRoutingPolicy", namespace="shop", name="support", uid="u-1", generation=generation
            ),
            snapshot_pb2.ObjectVersion(kind="ModelProvider", name="openai", uid="u-2", generation=1),
        ],
        providers=[provider(base_url=base_url)] if providers is None else providers,
        models=[mini(), flagship()] if models is None else models,
        default_model=default_model,
        allow_pinning=allow_pinning,
        routes=[severity_route()] if routes is None else routes,
        fallbacks=fallbacks,
        timeouts=snapshot_pb2.Timeouts(
            connect=seconds(connect),
            first_token=seconds(first_token),
            attempt=seconds(attempt),
            total=seconds(total),
            between_tokens=None if between_tokens is None else seconds(between_tokens),
        ),
        limits=snapshot_pb2.Limits(max_request_bytes=max_request_bytes, max_output_tokens=max_output_tokens),
        retries=snapshot_pb2.Retries() if retries is None else retries,
        circuit_breaker=snapshot_pb2.CircuitBreaker() if circuit_breaker is None else circuit_breaker,
        hedging=hedging,
        concurrency=concurrency,
        escalation=escalation,
    )


def retrying(attempts: int = 2, *, budget_percent: int = 100) -> snapshot_pb2.Retries:
    """Calls a model again that failed."""
    return snapshot_pb2.Retries(attempts=attempts, budget_percent=budget_percent)


def breaking(*, error_percent: int = 50, min_requests: int = 2, open_for: float = 60.0) -> snapshot_pb2.CircuitBreaker:
    """Leaves a model alone that fails."""
    return snapshot_pb2.CircuitBreaker(
        error_percent=error_percent, min_requests=min_requests, open_for=seconds(open_for)
    )


def provider(*, name: str = "openai", base_url: str = NOWHERE) -> snapshot_pb2.Provider:
    """An endpoint that speaks OpenAI's API."""
    return snapshot_pb2.Provider(name=name, type=snapshot_pb2.PROVIDER_TYPE_OPENAI, base_url=base_url)


def update(
    content: snapshot_pb2.Snapshot, *, version: str = "sha256:1", nonce: str = "n-1", contract_version: int = 1
) -> control_pb2.SnapshotUpdate:
    """The snapshot as it travels."""
    return control_pb2.SnapshotUpdate(
        contract_version=contract_version,
        version=version,
        generation=content.policy.generation,
        nonce=nonce,
        snapshot=content,
    )
