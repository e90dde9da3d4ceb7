"""Builders of the routing's own values, for tests of the pure core."""

from decimal import Decimal

from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import (
    Arm,
    Condition,
    Escalation,
    Feature,
    Matcher,
    Modality,
    Model,
    Policy,
    Price,
    Provider,
    Route,
    Severity,
    StickyBy,
    Timeouts,
)

EVERY_MODALITY = frozenset(Modality)
EVERY_FEATURE = frozenset(Feature) - {Feature.EMBEDDINGS}


def price(*, input_: str = "1", cached_input: str = "0.5", output: str = "2") -> Price:
    """A price in dollars."""
    return Price(currency="USD", input=Decimal(input_), cached_input=Decimal(cached_input), output=Decimal(output))


def model(
    name: str,
    *,
    provider_model: str | None = None,
    costs: str = "1",
    context_window: int = 128_000,
    max_output_tokens: int = 16_384,
    modalities: frozenset[Modality] = EVERY_MODALITY,
    features: frozenset[Feature] = EVERY_FEATURE,
) -> Model:
    """A model that can do everything, unless told otherwise. `costs` is its input price, and half its output price."""
    return Model(
        name=name,
        provider="openai",
        provider_model=provider_model or f"gpt-{name}",
        price=price(input_=costs, output=str(Decimal(costs) * 2)),
        context_window=context_window,
        max_output_tokens=max_output_tokens,
        input_modalities=modalities,
        features=features,
    )


def route(
    name: str,
    *,
    arms: dict[str, int],
    all_: tuple[Matcher, ...] = (),
    any_: tuple[Matcher, ...] = (),
    none: tuple[Matcher, ...] = (),
    sticky_by: StickyBy = StickyBy.REQUEST,
    fallbacks: tuple[str, ...] | None = None,
    protected: bool = False,
) -> Route:
    """A route to weighted arms; without a matcher it matches everything."""
    return Route(
        name=name,
        when=Condition(all=all_, any=any_, none=none),
        arms=tuple(Arm(model=name, weight=weight) for name, weight in arms.items()),
        sticky_by=sticky_by,
        fallbacks=fallbacks,
        protected=protected,
    )


def policy(
    *models: Model,
    routes: tuple[Route, ...] = (),
    fallbacks: tuple[str, ...] = (),
    allow_pinning: bool = False,
    max_request_bytes: int = 1_000_000,
    max_output_tokens: int | None = None,
    escalation: Escalation | None = None,
) -> Policy:
    """A policy of these models; the first is the default one."""
    return Policy(
        namespace="shop",
        name="support",
        uid="u-1",
        generation=3,
        version="v-1",
        providers={"openai": Provider(name="openai", base_url="http://127.0.0.1:9/v1")},
        models={each.name: each for each in models},
        default_model=models[0].name,
        allow_pinning=allow_pinning,
        routes=routes,
        fallbacks=fallbacks,
        timeouts=Timeouts(connect=1.0, first_token=2.0, attempt=3.0, total=4.0),
        max_request_bytes=max_request_bytes,
        max_output_tokens=max_output_tokens,
        escalation=escalation,
    )


def features(
    *,
    tokens: int = 100,
    request_bytes: int = 400,
    modalities: frozenset[Modality] = frozenset({Modality.TEXT}),
    needs: frozenset[Feature] = frozenset(),
    max_output_tokens: int | None = None,
    model: str = "",
    is_wish: bool = False,
    user: str = "",
    session: str = "",
    severity: Severity | None = None,
    metadata: dict[str, str] | None = None,
) -> Features:
    """A small plain request, unless told otherwise."""
    return Features(
        request_bytes=request_bytes,
        estimated_input_tokens=tokens,
        modalities=modalities,
        needs=needs,
        max_output_tokens=max_output_tokens,
        model=model,
        is_wish=is_wish,
        user=user,
        session=session,
        severity=severity,
        metadata=metadata or {},
    )
