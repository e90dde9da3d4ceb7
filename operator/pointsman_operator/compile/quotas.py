"""Quotas: whether they are sound, and which models' calls they count."""

from collections.abc import Iterable, Iterator, Mapping
from zoneinfo import ZoneInfo

from pointsman_operator.compile.amounts import TWO_CURRENCIES
from pointsman_operator.compile.policy import MODEL_NOT_FOUND, PROVIDER_NOT_FOUND, listed
from pointsman_operator.compile.selectors import selector_problems
from pointsman_operator.compile.zones import UNKNOWN_TIME_ZONE, zone_named, zone_or_utc
from pointsman_operator.ledger.windows import UnknownTimeZoneError
from pointsman_operator.resources.metadata import Key
from pointsman_operator.resources.policy import ModelRoutingPolicy
from pointsman_operator.resources.problem import Problem
from pointsman_operator.resources.provider import ModelProvider
from pointsman_operator.resources.quota import CountedModel, QuotaLimit, TokenQuota
from pointsman_operator.resources.unreadable import Unreadable

NOT_COUNTED = "NotCounted"
DEFAULT_MODEL_COUNTED = "DefaultModelCounted"

Providers = Mapping[Key, ModelProvider | Unreadable]
Policies = Mapping[Key, ModelRoutingPolicy | Unreadable]


def check_quota(
    quota: TokenQuota | Unreadable, *, providers: Providers, policies: Iterable[ModelRoutingPolicy | Unreadable]
) -> tuple[Problem, ...]:
    """What is wrong with the quota that its CRD cannot say. `policies` are its namespace's."""
    if isinstance(quota, Unreadable):
        return quota.problems
    spec = quota.spec
    problems: list[Problem] = []
    if spec.selector is not None:
        problems += selector_problems(spec.selector, path="spec.selector")
    try:
        zone_named(spec.time_zone)
    except UnknownTimeZoneError as error:
        problems.append(Problem(path="spec.timeZone", reason=UNKNOWN_TIME_ZONE, message=str(error)))
    if spec.models is None:
        problems += _uncounted(spec.limit, providers)
    else:
        for index, counted in enumerate(spec.models):
            problems += _model_problems(counted, spec.limit, providers, path=f"spec.models[{index}]")
    if spec.when_exhausted == "DefaultModel":
        problems += _default_problems(quota, policies)
    return tuple(problems)


def zone_of(quota: TokenQuota) -> ZoneInfo:
    """The zone that the quota names; UTC where there is none of that name, so that it holds all the same."""
    return zone_or_utc(quota.spec.time_zone)


def counted_models(quota: TokenQuota, providers: Providers) -> frozenset[tuple[str, str]] | None:
    """The (provider, model) pairs that the quota counts; None for all.

    Money of another currency cannot be added: models that are known to be priced in one are left out, and
    `check_quota` says so.
    """
    spec = quota.spec
    if spec.models is None:
        if not any(_uncounted(spec.limit, providers)):
            return None
        return frozenset(
            (provider, model) for provider, model, currency in _prices(providers) if currency == _currency(spec.limit)
        )
    return frozenset(
        (each.provider_ref.name, each.model)
        for each in spec.models
        if _foreign_currency(each, spec.limit, providers) is None
    )


def _currency(limit: QuotaLimit) -> str | None:
    return None if limit.cost is None else limit.cost.currency


def _prices(providers: Providers) -> Iterator[tuple[str, str, str]]:
    for key, provider in sorted(providers.items()):
        if isinstance(provider, ModelProvider):
            yield from ((key.name, model.name, model.price.currency) for model in provider.spec.models)


def _uncounted(limit: QuotaLimit, providers: Providers) -> Iterator[Problem]:
    """Of a quota for all models: those whose price is in another currency."""
    if limit.cost is None:
        return
    currency = limit.cost.currency
    others = [f"{provider} {model} ({price})" for provider, model, price in _prices(providers) if price != currency]
    if others:
        yield Problem(
            path="spec.limit.cost.currency",
            reason=NOT_COUNTED,
            message=f"calls of models that are priced in another currency than {currency} are not counted: "
            f"{listed(others)}; name in models those that are meant, and give the others a quota of their own",
        )


def _model_problems(counted: CountedModel, limit: QuotaLimit, providers: Providers, *, path: str) -> Iterator[Problem]:
    name = counted.provider_ref.name
    provider = providers.get(Key("", name))
    if provider is None:
        yield Problem(
            path=f"{path}.providerRef",
            reason=PROVIDER_NOT_FOUND,
            message=f"there is no ModelProvider {name}; create it, or name one that `kubectl get modelproviders` lists",
        )
    elif isinstance(provider, ModelProvider) and all(each.name != counted.model for each in provider.spec.models):
        yield Problem(
            path=f"{path}.model",
            reason=MODEL_NOT_FOUND,
            message=f"ModelProvider {name} has no model {counted.model}; "
            f"it has {listed([each.name for each in provider.spec.models])}",
        )
    elif foreign := _foreign_currency(counted, limit, providers):
        yield Problem(
            path=path,
            reason=TWO_CURRENCIES,
            message=f"ModelProvider {name} prices {counted.model} in {foreign} and the limit is in "
            f"{_currency(limit)}: money in two currencies cannot be added; give the model a quota of its own",
        )


def _foreign_currency(counted: CountedModel, limit: QuotaLimit, providers: Providers) -> str | None:
    """The currency of the model's price where it is known, and not the limit's."""
    provider = providers.get(Key("", counted.provider_ref.name))
    if limit.cost is None or not isinstance(provider, ModelProvider):
        return None
    found = next((each.price.currency for each in provider.spec.models if each.name == counted.model), None)
    return None if found == limit.cost.currency else found


def _default_problems(quota: TokenQuota, policies: Iterable[ModelRoutingPolicy | Unreadable]) -> Iterator[Problem]:
    counted = {(each.provider_ref.name, each.model) for each in quota.spec.models or ()}
    for policy in policies:
        if isinstance(policy, Unreadable) or policy.metadata.namespace != quota.metadata.namespace:
            continue
        spec = policy.spec
        default = next((each for each in spec.models if each.name == spec.default_model), None)
        if default is not None and (default.provider_ref.name, default.model) in counted:
            yield Problem(
                path="spec.whenExhausted",
                reason=DEFAULT_MODEL_COUNTED,
                message=f"the default model of ModelRoutingPolicy {policy.metadata.name}, {default.model}, is one that "
                "this quota counts: its requests will be refused; take the model out of models to keep to it",
            )
