"""50 sidecars spend one budget from the cluster's own ledger; they are killed meanwhile, and so is who keeps it."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.harness.cluster import Cluster
from cluster.operators import NAME, create_pod
from cluster.replicas import Operators
from support.drills.driving import drill, pods_named, report

LIMIT = 60_000
BOUND = 60


@pytest.fixture
def operators(cluster: Cluster, crds: None, tmp_path: Path) -> Iterator[Operators]:
    """None yet, in a namespace of their own."""
    del crds
    with Operators.none_yet(cluster, tmp_path) as made:
        yield made


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


@pytest.mark.timeout(180)
async def test_nothing_is_overspent_though_sidecars_and_the_leases_holder_are_killed(
    operators: Operators, cluster: Cluster, tmp_path: Path
) -> None:
    shop = cluster.namespace("shop")
    head = {"apiVersion": "pointsman.dev/v1alpha1", "kind": "TokenQuota", "metadata": {"name": "month"}}
    spec = {"scope": "Namespace", "window": "Month", "limit": {"tokens": LIMIT}}
    cluster.apply(json.dumps({**head, "spec": spec}), namespace=shop)
    for name in ("first", "second"):
        operators.start(name)
    holder = operators.wait_for_holder("first", "second")
    groups = [pods_named(f"fleet{at}", 17) for at in range(3)]
    tokens_of(cluster, shop, [pod for group in groups for pod in group], folder=tmp_path / "tokens")
    ca = tmp_path / "ca.crt"
    ca.write_bytes(operators.running[holder].ca())

    async with asyncio.timeout(90), drill(tmp_path) as running:
        takes = await running.each_call_takes()
        options = ["--bound", str(BOUND), "--ca", str(ca), "--name", NAME, "--tokens", str(tmp_path / "tokens")]
        # As behind a Service: whoever cannot reach one replica is brought to the other.
        addresses = [operators.running[name].address for name in ("first", "second")]
        ways = ["ipv4:" + ",".join(each) for each in (addresses, addresses[::-1], addresses)]
        fleets = [
            await running.fleet(group, *options, "--operator", way) for group, way in zip(groups, ways, strict=True)
        ]
        for share, victim in ((0.2, fleets[0]), (0.6, fleets[1])):
            await running.until_used(int(LIMIT * share))
            await victim.kill()
            await victim.start()
        await running.until_used(int(LIMIT * 0.7))
        operators.running[holder].process.kill()
        await running.until_spent()
        used = await running.used() - takes

    print(report(store="ConfigMaps", limit=LIMIT, used=used, allowed=0, kills=3))  # noqa: T201
    assert used <= LIMIT
    assert used >= 0.8 * LIMIT
