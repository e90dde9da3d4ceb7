"""Several operators on a real API server: one writes, all serve, and none is missed for long."""

import json
import os
import signal
from collections.abc import Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest

from cluster.harness.cluster import Cluster
from cluster.harness.processes import wait_until
from cluster.operators import NAME, Operator, Pod, create_pod
from cluster.replicas import SECONDS, Operators
from process.operator.proofs import channel
from process.operator.streams import Stream


@pytest.fixture
def operators(cluster: Cluster, crds: None, tmp_path: Path) -> Iterator[Operators]:
    """None yet, in a namespace of their own."""
    del crds
    with Operators.none_yet(cluster, tmp_path) as made:
        yield made


@pytest.fixture
def shop(cluster: Cluster) -> str:
    """A namespace with a policy for every pod."""
    namespace, provider = cluster.namespace("shop"), cluster.unique("openai")
    price = {"currency": "USD", "input": "0.15", "output": "0.60"}
    offered = {"name": "gpt-4o-mini", "price": price, "contextWindow": 128000, "maxOutputTokens": 16384}
    cluster.delete_at_end(f"modelprovider/{provider}")
    used = {"name": "mini", "providerRef": {"name": provider}, "model": "gpt-4o-mini"}
    for kind, name, spec, where in (
        ("ModelProvider", provider, {"allowedNamespaces": {"from": "All"}, "models": [offered]}, None),
        ("ModelRoutingPolicy", "support", {"models": [used], "defaultModel": "mini"}, namespace),
    ):
        head = {"apiVersion": "pointsman.dev/v1alpha1", "kind": kind, "metadata": {"name": name}}
        cluster.apply(json.dumps({**head, "spec": spec}), namespace=where)
    return namespace


def summary(cluster: Cluster, namespace: str) -> str:
    """What the policy's status says of its sidecars."""
    path = "-o=jsonpath={.status.sidecars.summary}"
    return cluster.kubectl("get", "mrp", "support", "-n", namespace, path).stdout


def wait_for_summary(cluster: Cluster, namespace: str, expected: str) -> None:
    """Wait until the status says so."""
    wait_until(
        lambda: summary(cluster, namespace) == expected,
        seconds=SECONDS,
        what=f"the status says {expected}; it says {summary(cluster, namespace)}",
    )


@dataclass
class Sidecars:
    """Streams as sidecars open them, each with the proof of its pod."""

    stack: AsyncExitStack

    async def connect(self, operator: Operator, pod: Pod) -> Stream:
        """One that has what its policy says in force."""
        wire = await self.stack.enter_async_context(channel(operator.address, trusted=operator.ca(), name=NAME))
        stream = await Stream.connect(wire, token=pod.token())
        await stream.ack((await stream.snapshot()).nonce)
        return stream


async def test_the_holder_of_the_lease_writes_for_all_and_another_takes_over_when_it_is_killed(
    operators: Operators, cluster: Cluster, shop: str
) -> None:
    for name in ("first", "second"):
        operators.start(name)
    holder = operators.wait_for_holder("first", "second")
    other = "second" if holder == "first" else "first"
    pods = {name: create_pod(cluster, shop, f"app-{name}") for name in (holder, other)}
    async with AsyncExitStack() as stack:
        sidecars = Sidecars(stack)
        for name, pod in pods.items():
            await sidecars.connect(operators.running[name], pod)
        wait_for_summary(cluster, shop, "2/2")

        operators.running[holder].process.kill()
        assert operators.wait_for_holder(other) == other
        # The killed one's sidecar comes to the other replica, as they all do.
        await sidecars.connect(operators.running[other], pods[holder])
        cluster.kubectl("patch", "mrp", "support", "-n", shop, "--type=merge", "-p", '{"spec":{"limits":{}}}')
        wait_for_summary(cluster, shop, "2/2")


async def test_a_replica_that_stops_gives_up_the_lease_and_sends_its_sidecars_on(
    operators: Operators, cluster: Cluster, shop: str
) -> None:
    operators.start("first", "--drain=1s")
    operators.wait_for_holder("first")
    second = operators.start("second", "--drain=1s")
    wait_until(
        lambda: operators.said("second", "reporting to the holder of the Lease"),
        seconds=SECONDS,
        what="the second replica reports",
    )
    pod = create_pod(cluster, shop)
    async with AsyncExitStack() as stack:
        sidecars = Sidecars(stack)
        stream = await sidecars.connect(operators.running["first"], pod)
        wait_for_summary(cluster, shop, "1/1")

        os.kill(operators.running["first"].process.pid, signal.SIGTERM)
        assert await stream.end() == (grpc.StatusCode.UNAVAILABLE, "the operator is stopping; connect again")
        operators.wait_for_holder("second")
        await sidecars.connect(second, pod)
        wait_for_summary(cluster, shop, "1/1")

    assert operators.running["first"].process.exit_code(within=SECONDS) == 0
