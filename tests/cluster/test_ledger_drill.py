"""Whole sidecars spend one budget from the cluster's own ledger; they are killed meanwhile, and so is who keeps it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.harness.cluster import Cluster
from cluster.operators import NAME, create_pod
from cluster.replicas import Operators
from support.drills.driving import drill, pods_named, report
from support.drills.pods import LIMIT, SECONDS, SIDECARS, pods, under_fire

SECRET = """
apiVersion: v1
kind: Secret
metadata: {name: openai}
stringData: {api-key: k}
"""
PROVIDER = """
apiVersion: pointsman.dev/v1alpha1
kind: ModelProvider
metadata: {{name: {name}}}
spec:
  baseURL: {url}
  auth: [{{secretKeyRef: {{name: openai, key: api-key}}}}]
  allowedNamespaces: {{from: All}}
  models:
  - {{name: gpt-4o-mini, price: {{currency: USD, input: "0.15", output: "0.60"}}, contextWindow: 128000,
     maxOutputTokens: 16384}}
"""
OF_THE_SHOP = """
apiVersion: pointsman.dev/v1alpha1
kind: ModelRoutingPolicy
metadata: {{name: support}}
spec:
  models: [{{name: mini, providerRef: {{name: {provider}}}, model: gpt-4o-mini}}]
  defaultModel: mini
---
apiVersion: pointsman.dev/v1alpha1
kind: TokenQuota
metadata: {{name: month}}
spec: {{scope: Namespace, window: Month, limit: {{tokens: {limit}}}}}
"""
REPLICAS = ("first", "second")


@pytest.fixture
def operators(cluster: Cluster, crds: None, tmp_path: Path) -> Iterator[Operators]:
    """None yet, in a namespace of their own."""
    del crds
    with Operators.none_yet(cluster, tmp_path) as made:
        yield made


def shop_of(cluster: Cluster, operators: Operators, *, provider_url: str) -> str:
    """A namespace with a policy, a provider that it may use, and a budget."""
    shop, provider = cluster.namespace("shop"), cluster.unique("openai")
    cluster.delete_at_end(f"modelprovider/{provider}")
    cluster.apply(SECRET, namespace=operators.namespace)
    cluster.apply(PROVIDER.format(name=provider, url=provider_url))
    cluster.apply(OF_THE_SHOP.format(provider=provider, limit=LIMIT), namespace=shop)
    return shop


def tokens_of(cluster: Cluster, namespace: str, pods: list[str], *, folder: Path) -> None:
    """Have these pods in the cluster, and what proves each in a file of its name."""
    folder.mkdir()
    account = create_pod(cluster, namespace, pods[0])
    head = {"apiVersion": "v1", "kind": "Pod"}
    spec = {"serviceAccountName": "app", "containers": [{"name": "app", "image": "app"}]}
    labels = {"pointsman.dev/injected": "true"}
    items = [{**head, "metadata": {"name": pod, "labels": labels}, "spec": spec} for pod in pods]
    cluster.apply(json.dumps({"apiVersion": "v1", "kind": "List", "items": items}), namespace=namespace)
    for pod in pods:
        (folder / pod).write_text(type(account)(cluster=cluster, namespace=namespace, name=pod).token())


@pytest.mark.timeout(SECONDS + 60)
async def test_nothing_is_overspent_though_sidecars_and_the_leases_holder_are_killed(
    operators: Operators, cluster: Cluster, tmp_path: Path
) -> None:
    names, tokens, ca = pods_named("pod", SIDECARS), tmp_path / "tokens", tmp_path / "ca.crt"
    async with asyncio.timeout(SECONDS), drill(tmp_path) as running:
        shop = shop_of(cluster, operators, provider_url=running.provider)
        for name in REPLICAS:
            operators.start(name)
        holder = operators.wait_for_holder(*REPLICAS)
        tokens_of(cluster, shop, names, folder=tokens)
        ca.write_bytes(operators.running[holder].ca())

        def options(pod: str) -> tuple[str, ...]:
            replica = REPLICAS[names.index(pod) % len(REPLICAS)]
            return (
                *("--operator", operators.running[replica].address, "--operator-name", NAME),
                *("--operator-ca", str(ca), "--token-file", str(tokens / pod)),
            )

        sidecars = pods(running, names, options)

        async def holder_is_killed() -> None:
            """As by kill -9; it comes back while the other takes over."""
            keeps = operators.holder()
            operators.running[keeps].process.kill()
            await asyncio.to_thread(operators.start, keeps)

        await under_fire(
            sidecars,
            (
                (0.15, lambda: sidecars.crash(first=0)),
                (0.3, holder_is_killed),
                (0.5, lambda: sidecars.crash(first=SIDECARS // 3)),
                (0.7, holder_is_killed),
            ),
        )
        used, kills, seconds = await running.used(), sidecars.kills + 2, sidecars.seconds

    line = report(
        store="ConfigMaps", sidecars=SIDECARS, limit=LIMIT, used=used, allowed=0, kills=kills, seconds=seconds
    )
    print(line)  # noqa: T201
    assert used <= LIMIT
    assert used >= 0.8 * LIMIT
