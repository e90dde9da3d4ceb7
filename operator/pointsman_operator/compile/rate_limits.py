"""From the providers that a namespace may use to the budgets of their rate limits, which all sidecars share."""

from collections.abc import Iterator, Mapping

from pointsman_operator.compile.budgets import Amount, Budget, WhenExhausted, windows_ahead
from pointsman_operator.compile.providers import allows
from pointsman_operator.compile.quotas import Providers
from pointsman_operator.compile.zones import UTC
from pointsman_operator.ledger.windows import Kind as WindowKind
from pointsman_operator.ledger.windows import zone
from pointsman_operator.resources.kinds import Kind
from pointsman_operator.resources.provider import ModelProvider


def rate_limits_for(namespace_labels: Mapping[str, str], *, providers: Providers, now: float) -> tuple[Budget, ...]:
    """The budgets of all providers that a namespace with these labels may use, by name."""
    return tuple(
        budget
        for _, provider in sorted(providers.items())
        if isinstance(provider, ModelProvider) and allows(provider, namespace_labels)
        for budget in _budgets(provider, now=now)
    )


def _budgets(provider: ModelProvider, *, now: float) -> Iterator[Budget]:
    limit = provider.spec.rate_limit
    if limit is None:
        return
    name = provider.metadata.name
    amounts = {"requests": ("Requests", limit.requests_per_minute), "tokens": ("Tokens", limit.tokens_per_minute)}
    windows = windows_ahead(WindowKind.MINUTE, zone(UTC), now=now)
    for counted, (unit, value) in amounts.items():
        if value is None:
            continue
        amount = Amount(unit=unit, value=value)
        yield Budget(
            name=f"{Kind.PROVIDER}/{name}/{counted}",
            shown=f"the rate limit of {Kind.PROVIDER} {name}",
            limit=amount,
            windows=windows.told,
            subject="",
            models=frozenset((name, model.name) for model in provider.spec.models),
            cached_input_percent=100,
            steps=(),
            when_exhausted=WhenExhausted.NEXT_MODEL,
            terms=windows.terms(amount, subject=""),
        )
