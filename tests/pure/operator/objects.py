"""Resources as the API server gives them: defaults filled in, metadata complete."""

import base64
from collections.abc import Mapping, Sequence
from typing import Any

from pointsman_operator.resources import (
    Key,
    Kind,
    ModelProvider,
    ModelRoutingPolicy,
    TokenQuota,
    Unreadable,
    parse_policy,
    parse_provider,
    parse_quota,
)
from pointsman_operator.world import World

Json = dict[str, Any]

CREATED = "2026-03-01T10:00:00Z"
OPERATOR_NAMESPACE = "pointsman-system"


def metadata(name: str, *, namespace: str = "", version: int = 1, generation: int = 1, **more: Any) -> Json:
    value: Json = {
        "name": name,
        "uid": f"uid-of-{namespace}-{name}",
        "generation": generation,
        "resourceVersion": str(version),
        "creationTimestamp": CREATED,
        **more,
    }
    return {**value, "namespace": namespace} if namespace else value


def offered(name: str, **more: Any) -> Json:
    return {
        "name": name,
        "price": {"currency": "USD", "input": "0.15", "output": "0.60"},
        "contextWindow": 128000,
        "maxOutputTokens": 16384,
        "inputModalities": ["Text"],
        "features": [],
        **more,
    }


def provider(
    name: str = "openai",
    *,
    models: Sequence[Json] | None = None,
    auth: Sequence[Json] = (),
    allowed: Json | None = None,
    version: int = 1,
    generation: int = 1,
    **more: Any,
) -> Json:
    return {
        "apiVersion": "pointsman.dev/v1alpha1",
        "kind": "ModelProvider",
        "metadata": metadata(name, version=version, generation=generation),
        "spec": {
            "type": "OpenAI",
            "baseURL": "https://api.openai.com/v1",
            "auth": list(auth),
            "allowedNamespaces": allowed or {"from": "All"},
            "models": [offered("gpt-4o-mini"), offered("gpt-4o")] if models is None else list(models),
            **more,
        },
    }


def used(name: str, model: str, *, provider: str = "openai") -> Json:
    return {"name": name, "providerRef": {"kind": "ModelProvider", "name": provider}, "model": model}


def policy(
    name: str = "support",
    *,
    namespace: str = "shop",
    version: int = 1,
    generation: int = 1,
    created: str = CREATED,
    uid: str | None = None,
    **spec: Any,
) -> Json:
    identity = metadata(name, namespace=namespace, version=version, generation=generation, creationTimestamp=created)
    return {
        "apiVersion": "pointsman.dev/v1alpha1",
        "kind": "ModelRoutingPolicy",
        "metadata": identity if uid is None else {**identity, "uid": uid},
        "spec": {
            "models": [used("mini", "gpt-4o-mini"), used("flagship", "gpt-4o")],
            "defaultModel": "mini",
            "allowPinning": False,
            "resilience": {"timeouts": {"connect": "2s", "firstToken": "15s", "attempt": "60s", "total": "120s"}},
            "limits": {"maxRequestBytes": "4Mi"},
            **spec,
        },
    }


def quota(
    name: str = "month",
    *,
    namespace: str = "shop",
    version: int = 1,
    generation: int = 1,
    status: Json | None = None,
    **spec: Any,
) -> Json:
    return {
        "apiVersion": "pointsman.dev/v1alpha1",
        "kind": "TokenQuota",
        "metadata": metadata(name, namespace=namespace, version=version, generation=generation),
        "spec": {
            "scope": "Namespace",
            "window": "Day",
            "timeZone": "UTC",
            "limit": {"tokens": 1000},
            "whenExhausted": "Refuse",
            **spec,
        },
        **({} if status is None else {"status": status}),
    }


def counted(model: str = "gpt-4o", *, provider: str = "openai") -> Json:
    return {"providerRef": {"kind": "ModelProvider", "name": provider}, "model": model}


def route(name: str = "urgent", *, when: Json | None = None, **more: Any) -> Json:
    choice = {} if "split" in more else {"model": "flagship"}
    return {"name": name, "when": when or {"severity": {"in": ["High"]}}, **choice, **more}


def namespace(name: str = "shop", *, labels: Mapping[str, str] | None = None, version: int = 1) -> Json:
    return {"metadata": metadata(name, version=version, labels=dict(labels or {}))}


def secret(name: str, *, version: int = 1, **data: str) -> Json:
    encoded = {key: base64.b64encode(value.encode()).decode() for key, value in data.items()}
    return {"metadata": metadata(name, namespace=OPERATOR_NAMESPACE, version=version), "data": encoded}


def pod(
    name: str = "app-1",
    *,
    namespace: str = "shop",
    labels: Mapping[str, str] | None = None,
    annotations: Mapping[str, str] | None = None,
    uid: str | None = None,
    version: int = 1,
) -> Json:
    identity = metadata(name, namespace=namespace, version=version, labels=dict(labels or {}))
    if annotations is not None:
        identity["annotations"] = dict(annotations)
    return {"metadata": identity if uid is None else {**identity, "uid": uid}}


def read_policy(value: Json) -> ModelRoutingPolicy:
    parsed = parse_policy(value)
    assert isinstance(parsed, ModelRoutingPolicy), parsed
    return parsed


def read_quota(value: Json) -> TokenQuota:
    parsed = parse_quota(value)
    assert isinstance(parsed, TokenQuota), parsed
    return parsed


def read_providers(*values: Json) -> dict[Key, ModelProvider | Unreadable]:
    parsed = [parse_provider(value) for value in values]
    return {each.metadata.key: each for each in parsed}


def world(
    *,
    policies: Sequence[Json] = (),
    providers: Sequence[Json] = (),
    quotas: Sequence[Json] = (),
    namespaces: Sequence[Json] = (),
    secrets: Sequence[Json] = (),
    version: int = 1,
) -> World:
    """A world that is ready."""
    listed = {
        Kind.POLICY: policies,
        Kind.PROVIDER: providers,
        Kind.QUOTA: quotas,
        Kind.NAMESPACE: namespaces,
        Kind.SECRET: secrets,
    }
    made = World()
    for kind, values in listed.items():
        made = made.relist(kind, values, resource_version=str(version))
    return made
