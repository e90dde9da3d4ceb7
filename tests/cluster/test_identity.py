"""Identities and the attempts to forge them, on a real API server: real TokenReviews of real tokens of real pods."""

import base64
import json
import os
import sys
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest

from cluster.harness.apiserver import ApiServer
from cluster.harness.cluster import Cluster
from cluster.harness.processes import Process, wait_until
from cluster.operators import NAME, Operator, Pod, create_pod, create_token, start_operator
from process.operator.proofs import authority, channel
from process.operator.streams import Stream

REFUSED = grpc.StatusCode.UNAUTHENTICATED


@pytest.fixture(scope="module")
def operator(cluster: Cluster, crds: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator that wants proof."""
    del crds
    running = start_operator(cluster, tmp_path_factory.mktemp("operator"))
    yield running
    running.process.stop()


@pytest.fixture
def shop(cluster: Cluster, operator: Operator) -> str:
    """A namespace with a policy for every pod, and another for those with app=a."""
    del operator
    namespace, provider = cluster.namespace("shop"), cluster.unique("openai")
    price = {"currency": "USD", "input": "0.15", "output": "0.60"}
    offered = {"name": "gpt-4o-mini", "price": price, "contextWindow": 128000, "maxOutputTokens": 16384}
    cluster.delete_at_end(f"modelprovider/{provider}")
    apply(cluster, "", "ModelProvider", provider, {"allowedNamespaces": {"from": "All"}, "models": [offered]})
    used = {"name": "mini", "providerRef": {"name": provider}, "model": "gpt-4o-mini"}
    spec: dict[str, object] = {"models": [used], "defaultModel": "mini"}
    apply(cluster, namespace, "ModelRoutingPolicy", "general", spec)
    apply(cluster, namespace, "ModelRoutingPolicy", "special", {**spec, "selector": {"matchLabels": {"app": "a"}}})
    return namespace


@pytest.fixture
def pod(cluster: Cluster, shop: str) -> Pod:
    """A pod of that namespace, with app=a."""
    return create_pod(cluster, shop, app="a")


def apply(cluster: Cluster, namespace: str, kind: str, name: str, spec: dict[str, object]) -> None:
    value = {"apiVersion": "pointsman.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
    cluster.apply(json.dumps(value), namespace=namespace or None)


@asynccontextmanager
async def connected(operator: Operator, *, trusted: bytes = b"", name: str = NAME) -> AsyncIterator[grpc.aio.Channel]:
    """A channel as a sidecar's."""
    async with channel(operator.address, trusted=trusted or operator.ca(), name=name) as opened:
        yield opened


async def refusal(operator: Operator, token: str, **claims: str) -> tuple[grpc.StatusCode, str]:
    """How a stream that begins with this token ends."""
    async with connected(operator) as wire:
        return await (await Stream.connect(wire, token=token, **claims)).end()  # type: ignore[arg-type] # names only


async def test_a_pods_token_is_served_by_the_policy_of_its_namespace_and_labels(operator: Operator, pod: Pod) -> None:
    async with connected(operator) as wire:
        stream = await Stream.connect(wire, token=pod.token())
        update = await stream.snapshot()

        assert (update.snapshot.policy.namespace, update.snapshot.policy.name) == (pod.namespace, "special")


async def test_what_a_sidecar_claims_beside_its_token_is_worth_nothing(
    operator: Operator, cluster: Cluster, pod: Pod
) -> None:
    other = create_pod(cluster, cluster.namespace("lab"))

    async with connected(operator) as wire:
        stream = await Stream.connect(
            wire, token=other.token(), namespace=pod.namespace, pod=pod.name, labels={"app": "a"}
        )

        assert f"no ModelRoutingPolicy of namespace {other.namespace}" in (await stream.no_policy()).reason


async def test_a_pod_cannot_ask_for_the_policy_of_another_in_its_namespace(
    operator: Operator, cluster: Cluster, pod: Pod
) -> None:
    neighbour = create_pod(cluster, pod.namespace, "app-2", app="b")

    async with connected(operator) as wire:
        stream = await Stream.connect(wire, token=neighbour.token(), namespace=pod.namespace, pod=pod.name)

        assert (await stream.snapshot()).snapshot.policy.name == "general"


async def test_a_pod_without_a_sidecar_of_ours_gets_what_its_namespace_is_entitled_to(
    operator: Operator, pod: Pod
) -> None:
    token = pod.token()
    pod.label("pointsman.dev/injected-", "app=b")

    async with connected(operator) as wire:
        stream = await Stream.connect(wire, token=token)

        assert (await stream.snapshot()).snapshot.policy.name == "general"


async def test_without_a_token_nobody_is_served(operator: Operator, pod: Pod) -> None:
    code, details = await refusal(operator, "", namespace=pod.namespace, pod=pod.name)

    assert code == REFUSED
    assert "the hello has no token; this operator believes no claim" in details


async def test_a_token_for_another_audience_is_refused(operator: Operator, pod: Pod) -> None:
    code, details = await refusal(operator, pod.token(audience="vault"))

    assert code == REFUSED
    assert "the API server does not accept the token" in details


async def test_a_token_for_the_api_server_is_refused(operator: Operator, pod: Pod, cluster: Cluster) -> None:
    code, details = await refusal(operator, create_token(cluster, pod.namespace))

    assert code == REFUSED
    assert "the API server does not accept the token" in details


async def test_a_token_that_is_bound_to_no_pod_is_refused(operator: Operator, pod: Pod, cluster: Cluster) -> None:
    code, details = await refusal(operator, create_token(cluster, pod.namespace, "--audience=pointsman.dev"))

    assert (code, details) == (
        REFUSED,
        "the token is bound to no pod; mount it as a projected service-account token",
    )


async def test_an_expired_token_is_refused_and_so_is_one_whose_end_was_moved(operator: Operator, pod: Pod) -> None:
    head, payload, signature = pod.token().split(".")
    claims = json.loads(base64.urlsafe_b64decode(payload + "=="))

    async def ending(seconds: float) -> tuple[grpc.StatusCode, str]:
        moved = json.dumps({**claims, "exp": int(time.time() + seconds)}).encode()
        text = base64.urlsafe_b64encode(moved).decode().rstrip("=")
        return await refusal(operator, f"{head}.{text}.{signature}")

    expired, forged = await ending(-10), await ending(100_000)

    assert expired == (REFUSED, "the token has expired; the kubelet writes a fresh one well before that")
    assert forged[0] == REFUSED
    assert "the API server does not accept the token" in forged[1]


async def test_a_deleted_pods_token_is_refused_and_its_stream_is_cut(operator: Operator, pod: Pod) -> None:
    token = pod.token()
    async with connected(operator) as wire:
        stream = await Stream.connect(wire, token=token)
        await stream.ack((await stream.snapshot()).nonce)

        pod.delete()

        assert await stream.end() == (REFUSED, f"the pod {pod.namespace}/{pod.name} is gone")
    code, details = await refusal(operator, token)
    assert code == REFUSED
    assert "is gone" in details or "does not accept" in details


async def test_the_token_of_a_pod_that_was_made_again_is_not_the_new_ones(
    operator: Operator, cluster: Cluster, pod: Pod
) -> None:
    token = pod.token()
    pod.delete()
    create_pod(cluster, pod.namespace, app="a")

    assert (await refusal(operator, token))[0] == REFUSED


async def test_a_fresh_token_of_another_pod_ends_the_stream(operator: Operator, cluster: Cluster, pod: Pod) -> None:
    other = create_pod(cluster, cluster.namespace("lab"))
    async with connected(operator) as wire:
        stream = await Stream.connect(wire, token=pod.token())
        await stream.ack((await stream.snapshot()).nonce)
        await stream.renew(pod.token())

        await stream.renew(other.token())

        code, details = await stream.end()
    assert code == REFUSED
    assert f"the fresh token is of pod {other.namespace}/{other.name}" in details


async def test_a_label_binds_a_pod_to_another_policy(operator: Operator, pod: Pod) -> None:
    async with connected(operator) as wire:
        stream = await Stream.connect(wire, token=pod.token())
        await stream.ack((await stream.snapshot()).nonce)

        pod.label("app=b")

        assert (await stream.snapshot()).snapshot.policy.name == "general"


async def test_plain_text_another_ca_and_another_name_get_no_connection(operator: Operator, pod: Pod) -> None:
    async def code(wire: grpc.aio.Channel) -> grpc.StatusCode:
        async with wire:
            try:
                return (await (await Stream.connect(wire, token=pod.token())).end())[0]
            except grpc.aio.AioRpcError as error:
                return error.code()

    unavailable = grpc.StatusCode.UNAVAILABLE
    assert await code(grpc.aio.insecure_channel(operator.address)) == unavailable
    assert await code(channel(operator.address, trusted=authority().certificate, name=NAME)) == unavailable
    assert await code(channel(operator.address, trusted=operator.ca(), name="elsewhere.example.com")) == unavailable


async def test_while_the_api_server_is_away_streams_go_on_and_tokens_must_wait(
    operator: Operator, pod: Pod, cluster: Cluster, api_server: ApiServer
) -> None:
    token, unknown = pod.token(), create_pod(cluster, pod.namespace, "app-2").token()
    async with connected(operator) as wire:
        stream = await Stream.connect(wire, token=token)
        await stream.ack((await stream.snapshot()).nonce)

        async with connected(operator) as other:
            with api_server.away():
                code, details = await (await Stream.connect(other, token=unknown)).end()

        pod.label("app=b")
        assert (await stream.snapshot()).snapshot.policy.name == "general"
    assert code == grpc.StatusCode.UNAVAILABLE
    assert "the token cannot be checked now" in details


async def test_a_deleted_ca_is_replaced_and_those_who_are_connected_hear_of_it(
    cluster: Cluster, crds: None, tmp_path: Path, pod: Pod
) -> None:
    del crds
    running = start_operator(cluster, tmp_path)
    async with connected(running) as wire:
        stream = await Stream.connect(wire, token=pod.token())
        first = await stream.trust()
        await stream.ack((await stream.snapshot()).nonce)

        cluster.kubectl("delete", "secret", "pointsman-ca", "-n", running.namespace)
        second = await stream.trust()

    assert second not in {first, b""}
    async with connected(running, trusted=second) as wire:
        assert await (await Stream.connect(wire, token=pod.token())).trust() == second
    assert "PRIVATE KEY" not in running.process.log.read_text()
    running.process.stop()


def test_a_real_sidecar_proves_itself_with_the_token_that_is_mounted(
    operator: Operator, pod: Pod, tmp_path: Path
) -> None:
    (tmp_path / "token").write_text(pod.token())
    (tmp_path / "ca.crt").write_bytes(operator.ca())
    log = tmp_path / "sidecar.log"
    sidecar = Process(
        "pointsman-sidecar",
        [
            *(sys.executable, "-m", "pointsman_sidecar", "--listen=127.0.0.1:0"),
            *("--http-listen=127.0.0.1:0", "--status-listen=127.0.0.1:0"),
            *(f"--operator={operator.address}", f"--operator-name={NAME}", f"--operator-ca={tmp_path}/ca.crt"),
            *(f"--token-file={tmp_path}/token", f"--state-dir={tmp_path}"),
        ],
        log=log,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    try:
        sidecar.wait_until_ready(lambda: '"snapshot in force"' in log.read_text(), seconds=20)
        assert f"{pod.namespace}/special" in log.read_text()

        pod.delete()

        wait_until(lambda: "is gone" in log.read_text(), seconds=10, what="the sidecar is told why it is cut off")
    finally:
        sidecar.stop()
    assert (tmp_path / "token").read_text() not in log.read_text()
