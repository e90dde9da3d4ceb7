"""The status of a provider: pure."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from pointsman_operator.compile import check_provider, secret_problems
from pointsman_operator.resources import Key, ModelProvider, Secret, Unreadable
from pointsman_operator.status.conditions import Condition, failed, merged


def provider_status(
    provider: ModelProvider | Unreadable,
    *,
    secrets: Mapping[Key, Secret],
    secrets_namespace: str,
    before: Mapping[str, Any],
    now: datetime,
) -> dict[str, Any]:
    """The status that should stand there; `before` is what does."""
    problems = check_provider(provider)
    if not problems and isinstance(provider, ModelProvider):
        problems = tuple(secret_problems(provider, secrets=secrets, secrets_namespace=secrets_namespace))
    if problems:
        ready = failed("Ready", problems)
    else:
        ready = Condition(
            type="Ready",
            status=True,
            reason="Available",
            message="The sidecars of the namespaces that it allows can be given it",
        )
    generation = provider.metadata.generation
    return {
        "observedGeneration": generation,
        "conditions": merged((ready,), before=before, generation=generation, now=now),
    }
