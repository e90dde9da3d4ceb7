"""Which keys of which Secrets the providers refer to, so that nothing else of a Secret has to be kept: pure."""

from collections.abc import Iterable, Mapping
from typing import Any

from pointsman_operator.resources import ModelProvider, Unreadable


def referenced_keys(providers: Iterable[ModelProvider | Unreadable]) -> frozenset[tuple[str, str]]:
    """The Secrets' names and keys that providers refer to."""
    return frozenset(
        (auth.secret_key_ref.name, auth.secret_key_ref.key)
        for provider in providers
        if isinstance(provider, ModelProvider)
        for auth in provider.spec.auth
    )


def trimmed(secret: Mapping[str, Any], *, to: frozenset[tuple[str, str]]) -> dict[str, Any]:
    """The Secret with these keys and no other."""
    metadata = secret.get("metadata") or {}
    data = secret.get("data") or {}
    kept = {key: value for key, value in data.items() if (metadata.get("name"), key) in to}
    return {"metadata": metadata, "data": kept}
