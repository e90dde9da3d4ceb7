"""Resources as people write them into files: no defaults, no more metadata than a name and a namespace."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import yaml

from pointsman.manifests import Manifests, judge
from pointsman.worlds import Generations, Secret, world_of
from pointsman_operator.schema import definitions, documents
from pointsman_operator.world import World

Json = dict[str, Any]


def offered(name: str, *, costs: str = "0.15", modalities: Sequence[str] = ("Text", "Image")) -> Json:
    """A model of a provider. `costs` is the price of its input and output."""
    return {
        "name": name,
        "price": {"currency": "USD", "input": costs, "output": costs},
        "contextWindow": 128_000,
        "maxOutputTokens": 16_384,
        "inputModalities": list(modalities),
        "features": ["Tools"],
    }


def provider(name: str = "openai", **spec: Any) -> Json:
    """A provider of the two models that the stub provider has, open to all namespaces and without a key."""
    return {
        "apiVersion": "pointsman.dev/v1alpha1",
        "kind": "ModelProvider",
        "metadata": {"name": name},
        "spec": {
            "allowedNamespaces": {"from": "All"},
            "models": [offered("gpt-4o-mini"), offered("gpt-4o", costs="2.50")],
            **spec,
        },
    }


def quota(name: str = "month", **spec: Any) -> Json:
    """A quota for every pod."""
    return {
        "apiVersion": "pointsman.dev/v1alpha1",
        "kind": "TokenQuota",
        "metadata": {"name": name, "namespace": "shop"},
        "spec": {"window": "Month", "limit": {"tokens": 1_000_000}, **spec},
    }


def policy(name: str = "support", *, namespace: str | None = "shop", **spec: Any) -> Json:
    """A policy of two models for every pod: mini by default, flagship for what is severe."""
    return {
        "apiVersion": "pointsman.dev/v1alpha1",
        "kind": "ModelRoutingPolicy",
        "metadata": {"name": name} if namespace is None else {"name": name, "namespace": namespace},
        "spec": {
            "models": [used("mini", "gpt-4o-mini"), used("flagship", "gpt-4o")],
            "defaultModel": "mini",
            "routes": [{"name": "severe", "when": {"severity": {"in": ["High", "Critical"]}}, "model": "flagship"}],
            **spec,
        },
    }


def used(name: str, model: str, *, provider: str = "openai") -> Json:
    """A model of a policy."""
    return {"name": name, "providerRef": {"name": provider}, "model": model}


def namespace(name: str, **labels: Any) -> Json:
    """A Namespace."""
    return {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}}


def secret(name: str, *, in_namespace: str | None = None, **fields: Any) -> Json:
    """A Secret; `fields` are its data and stringData."""
    place = {} if in_namespace is None else {"namespace": in_namespace}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, **place}, **fields}


def text(*resources: Any) -> str:
    """A file of these resources."""
    return yaml.safe_dump_all(resources, sort_keys=False)


def judged(files: Mapping[str, str], *, namespace: str = "default") -> Manifests:
    """The verdict on files, given by their names."""
    found = [document for name, content in files.items() for document in documents(content, source=name)]
    return judge(found, definitions=definitions(), namespace=namespace)


def world(
    *resources: Json, secrets: Iterable[Secret] = (), generations: Generations | None = None, version: int = 1
) -> World:
    """The world of one good file."""
    manifests = judged({"all.yaml": text(*resources)})
    assert manifests.refused == ()
    return world_of(manifests, secrets=secrets, generations=generations or Generations(), version=version)
