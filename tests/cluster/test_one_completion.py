"""One completion, from kubectl to answer: real API server, operator, sidecars and provider."""

import base64
import json
import secrets
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from cluster.harness.apiserver import ApiServer
from cluster.harness.cluster import Cluster
from cluster.planes import Planes, Sidecar, Stub, eventually, free_address, otlp_receiver
from pointsman_api.v1 import control_pb2, control_pb2_grpc

PROVIDER = """
apiVersion: pointsman.dev/v1alpha1
kind: ModelProvider
metadata: {{name: {name}}}
spec:
  baseURL: {url}
  auth: [{{secretKeyRef: {{name: openai, key: api-key}}}}]
  allowedNamespaces: {{from: Selector, selector: {{matchLabels: {{ai: allowed}}}}}}
  models:
  - {{name: gpt-4o-mini, price: {{currency: USD, input: "0.15", output: "0.60"}}, contextWindow: 128000,
     maxOutputTokens: 16384}}
  - {{name: gpt-4o, price: {{currency: USD, input: "2.50", output: "10"}}, contextWindow: 128000,
     maxOutputTokens: 16384}}
"""
POLICY = """
apiVersion: pointsman.dev/v1alpha1
kind: ModelRoutingPolicy
metadata: {{name: support}}
spec:
  models:
  - {{name: mini, providerRef: {{name: {provider}}}, model: gpt-4o-mini}}
  - {{name: flagship, providerRef: {{name: {provider}}}, model: gpt-4o}}
  defaultModel: {default}
"""
SECRET = """
apiVersion: v1
kind: Secret
metadata: {{name: openai}}
data: {{api-key: {value}}}
"""
KEYS = ("key-one", "key-two")


@pytest.fixture
def planes(cluster: Cluster, crds: None, tmp_path: Path) -> Iterator[Planes]:
    """No process yet, and a namespace for the operator's Secrets with the provider's key in it."""
    del crds
    planes = Planes(
        cluster=cluster, folder=tmp_path, system=cluster.namespace("system"), operator_address=free_address()
    )
    set_key(planes, KEYS[0])
    try:
        yield planes
    finally:
        planes.stop()


@pytest.fixture
def stub(planes: Planes) -> Stub:
    """A provider that takes two keys."""
    return planes.stub(*(part for key in KEYS for part in ("--api-key", key)))


@pytest.fixture
def provider(planes: Planes, stub: Stub) -> str:
    """A ModelProvider for the stub, which namespaces with the label ai=allowed may use; its name."""
    name = planes.cluster.unique("openai")
    planes.cluster.delete_at_end(f"modelprovider/{name}")
    planes.cluster.apply(PROVIDER.format(name=name, url=stub.base_url))
    return name


@pytest.fixture
def shop(planes: Planes, provider: str) -> str:
    """A namespace with the policy `support`, whose default model is mini."""
    namespace = planes.cluster.namespace("shop", labels={"ai": "allowed"})
    apply_policy(planes.cluster, namespace, provider, default="mini")
    return namespace


@pytest.fixture
def sidecar(planes: Planes, shop: str) -> Sidecar:
    """An operator and one sidecar in `shop`, which answers by the policy."""
    planes.operator()
    sidecar = planes.sidecar(namespace=shop, state=planes.folder)
    eventually(lambda: sidecar.answer() == "mini", "the sidecar answers by the policy")
    return sidecar


def test_kubectl_get_shows_a_policy_that_is_in_force(planes: Planes, shop: str, sidecar: Sidecar) -> None:
    """`kubectl get mrp` answers the question that a person has: is it in force, and everywhere?"""
    assert sidecar.process.exit_code() is None
    eventually(lambda: status(planes.cluster, shop)["sidecars"]["summary"] == "1/1", "the sidecar is counted")

    heading, row = planes.cluster.kubectl("get", "mrp", "-n", shop).stdout.splitlines()

    assert heading.split() == ["NAME", "DEFAULT", "READY", "PROGRAMMED", "SIDECARS", "AGE"]
    assert row.split()[:-1] == ["support", "mini", "True", "True", "1/1"]


def test_a_completion_follows_a_change_of_the_policy(
    planes: Planes, shop: str, provider: str, sidecar: Sidecar
) -> None:
    """What kubectl applies decides the next completions, and the decision names the generation."""
    apply_policy(planes.cluster, shop, provider, default="flagship")

    eventually(lambda: sidecar.answer() == "flagship", "completions follow the change")

    assert sidecar.complete().policy.generation == 2
    eventually(lambda: status(planes.cluster, shop).get("observedGeneration") == 2, "the status speaks of the change")


def test_a_deleted_policy_is_no_longer_in_force(planes: Planes, shop: str, sidecar: Sidecar) -> None:
    """An app is told that no policy is for it any more, and is not served by one that is gone."""
    planes.cluster.kubectl("delete", "mrp", "support", "-n", shop)

    eventually(lambda: sidecar.answer() == "FAILED_PRECONDITION", "the deletion reaches the sidecar")

    assert "no ModelRoutingPolicy" in sidecar.error()


def test_what_changes_while_the_operator_is_away_is_followed_when_it_is_back(
    planes: Planes, shop: str, provider: str
) -> None:
    """A killed operator loses nothing: sidecars go on meanwhile, and the next operator brings what changed."""
    operator = planes.operator()
    sidecar = planes.sidecar(namespace=shop)
    eventually(lambda: sidecar.answer() == "mini", "the sidecar answers by the policy")

    operator.kill()
    apply_policy(planes.cluster, shop, provider, default="flagship")
    answered_meanwhile = sidecar.answer()
    planes.operator()

    assert answered_meanwhile == "mini"
    eventually(lambda: sidecar.answer() == "flagship", "the change of meanwhile is followed")
    eventually(lambda: status(planes.cluster, shop)["sidecars"]["summary"] == "1/1", "the sidecar is counted again")


def test_a_restarted_sidecar_has_its_policy_and_waits_for_its_keys(planes: Planes, shop: str) -> None:
    """The snapshot outlives a restart, a credential does not: without an operator the app is told to try again."""
    operator = planes.operator()
    first = planes.sidecar(namespace=shop, state=planes.folder)
    eventually(lambda: first.answer() == "mini", "the sidecar answers by the policy")
    operator.kill()
    first.process.kill()

    second = planes.sidecar(namespace=shop, state=planes.folder)
    alone = second.error()
    planes.operator()

    assert "no model answered: mini: the operator gives no access to provider" in alone
    eventually(lambda: second.answer() == "mini", "the operator's return brings the key")


def test_a_policy_that_cannot_be_programmed_says_why_and_the_last_good_one_stays(
    planes: Planes, shop: str, provider: str, sidecar: Sidecar
) -> None:
    """A mistake that no schema can see becomes a condition, and no outage."""
    apply_policy(planes.cluster, shop, "no-such-provider", default="flagship")

    eventually(lambda: condition(planes.cluster, shop, "Ready")["status"] == "False", "the condition says so")

    ready = condition(planes.cluster, shop, "Ready")
    assert ready["reason"] == "ProviderNotFound"
    assert "there is no ModelProvider no-such-provider" in ready["message"]
    assert sidecar.complete().model == "mini"
    assert sidecar.complete().policy.generation == 1

    apply_policy(planes.cluster, shop, provider, default="flagship")
    eventually(lambda: sidecar.answer() == "flagship", "the mended policy is followed")


def test_a_nack_appears_in_the_status_with_its_reason(planes: Planes, shop: str) -> None:
    """A sidecar that cannot obey says why, and kubectl shows it."""
    planes.operator()
    with rejecting_sidecar(planes, namespace=shop, pod="old-0", reason="matchers of 2031 are beyond me"):
        eventually(
            lambda: status(planes.cluster, shop).get("sidecars", {}).get("rejected") == 1, "the rejection is counted"
        )
        found = status(planes.cluster, shop)

    assert found["sidecars"]["summary"] == "0/1"
    assert found["sidecars"]["rejections"] == [{"sidecar": "old-0", "reason": "matchers of 2031 are beyond me"}]
    programmed = next(each for each in found["conditions"] if each["type"] == "Programmed")
    assert (programmed["status"], programmed["reason"]) == ("False", "Rejected")
    assert "matchers of 2031 are beyond me" in programmed["message"]


def test_a_namespace_that_a_provider_no_longer_allows_is_cut_off(planes: Planes, shop: str, sidecar: Sidecar) -> None:
    """Taking the label away closes the door at once, though the last good policy stays."""
    planes.cluster.kubectl("label", "namespace", shop, "ai-")

    eventually(lambda: sidecar.answer() == "UNAVAILABLE", "access is withdrawn")

    assert "gives no access" in sidecar.error()
    assert sidecar.process.exit_code() is None
    eventually(
        lambda: condition(planes.cluster, shop, "Ready")["reason"] == "NamespaceNotAllowed", "the condition says why"
    )


def test_a_rotated_key_is_used_without_a_restart(planes: Planes, stub: Stub, sidecar: Sidecar) -> None:
    """Changing the Secret is all that it takes."""

    def last_key() -> str:
        return str(stub.requests()[-1]["key"]["fingerprint"])

    before = last_key()

    set_key(planes, KEYS[1])

    eventually(lambda: sidecar.answer() == "mini" and last_key() != before, "the new key is sent")
    assert stub.requests()[-1]["key"]["fits"] is True


def test_changes_are_followed_after_the_api_server_was_away(
    planes: Planes, api_server: ApiServer, shop: str, provider: str, sidecar: Sidecar
) -> None:
    """A watch that broke is taken up again."""
    api_server.restart()

    apply_policy(planes.cluster, shop, provider, default="flagship")

    eventually(lambda: sidecar.answer() == "flagship", "completions follow a change after the outage")


def test_each_namespace_follows_its_own_policy_and_its_traces_are_whole(
    planes: Planes, shop: str, provider: str
) -> None:
    """Two apps in two namespaces: each gets its own model, and each trace hangs together from the app's span down."""
    office = planes.cluster.namespace("office", labels={"ai": "allowed"})
    apply_policy(planes.cluster, office, provider, default="flagship")
    planes.operator()
    with otlp_receiver() as (receiver, endpoint):
        environment = {"OTEL_EXPORTER_OTLP_ENDPOINT": endpoint, "OTEL_BSP_SCHEDULE_DELAY": "50"}
        in_shop = planes.sidecar(namespace=shop, environment=environment)
        in_office = planes.sidecar(namespace=office, environment=environment)
        eventually(lambda: in_shop.answer() == "mini", "shop follows its policy")
        eventually(lambda: in_office.answer() == "flagship", "office follows its policy")

        for sidecar, namespace, model, stream in (
            (in_shop, shop, "gpt-4o-mini", False),
            (in_office, office, "gpt-4o", False),
            (in_shop, shop, "gpt-4o-mini", True),
        ):
            trace_id, app_span = secrets.token_hex(16), secrets.token_hex(8)
            decision = sidecar.complete(traceparent=f"00-{trace_id}-{app_span}-01", stream=stream)
            eventually(lambda trace_id=trace_id: len(receiver.trace(trace_id)) == 2, "both spans arrive")  # type: ignore[misc] # a default binds it

            completion, attempt = sorted(receiver.trace(trace_id), key=lambda span: span.kind)
            assert completion.parent_span_id.hex() == app_span
            assert attempt.parent_span_id == completion.span_id
            assert attempt.name == f"chat {model}"
            assert attributes(completion)["pointsman.decision.id"] == decision.id
            assert attributes(completion)["k8s.namespace.name"] == namespace
            assert attributes(attempt)["gen_ai.request.model"] == model
            assert attributes(attempt)["gen_ai.usage.output_tokens"] == decision.usage.output_tokens


def apply_policy(cluster: Cluster, namespace: str, provider: str, *, default: str) -> None:
    """Apply the policy `support` to a namespace."""
    cluster.apply(POLICY.format(provider=provider, default=default), namespace=namespace)


def set_key(planes: Planes, key: str) -> None:
    """Put the provider's API key into its Secret."""
    planes.cluster.apply(SECRET.format(value=base64.b64encode(key.encode()).decode()), namespace=planes.system)


def status(cluster: Cluster, namespace: str) -> dict[str, Any]:
    """The status of the policy `support`, as kubectl gives it."""
    found = json.loads(cluster.kubectl("get", "mrp", "support", "-n", namespace, "-o", "json").stdout)
    return dict(found.get("status", {"sidecars": {"summary": ""}}))


def condition(cluster: Cluster, namespace: str, type_: str) -> dict[str, Any]:
    """One condition of the policy `support`."""
    conditions = status(cluster, namespace).get("conditions", [])
    return next((each for each in conditions if each["type"] == type_), {"status": "Unknown", "reason": ""})


def attributes(span: Any) -> dict[str, Any]:
    """A span's attributes as plain values."""
    return {each.key: getattr(each.value, each.value.WhichOneof("value")) for each in span.attributes}


class rejecting_sidecar:  # noqa: N801 - used as a context manager
    """A sidecar too old for its policy, played by the test: it answers every snapshot with a NACK."""

    def __init__(self, planes: Planes, *, namespace: str, pod: str, reason: str) -> None:
        self._channel = grpc.insecure_channel(planes.operator_address)
        self._identity = control_pb2.ClaimedIdentity(namespace=namespace, pod=pod)
        self._reason = reason
        self._nonces: list[str] = []
        self._arrived = threading.Condition()
        self._ended = False

    def __enter__(self) -> None:
        self._call = control_pb2_grpc.ControlStub(self._channel).Connect(self._say())
        self._reader = threading.Thread(target=self._read)
        self._reader.start()

    def __exit__(self, *exception: object) -> None:
        with self._arrived:
            self._ended = True
            self._arrived.notify()
        self._call.cancel()
        self._reader.join()
        self._channel.close()

    def _say(self) -> Iterator[control_pb2.ConnectRequest]:
        hello = control_pb2.Hello(contract_version=1, claimed_identity=self._identity)
        yield control_pb2.ConnectRequest(hello=hello)
        while True:
            with self._arrived:
                self._arrived.wait_for(lambda: self._nonces or self._ended)
                if self._ended:
                    return
                nonce = self._nonces.pop(0)
            yield control_pb2.ConnectRequest(nack=control_pb2.Nack(nonce=nonce, reason=self._reason))

    def _read(self) -> None:
        try:
            for response in self._call:
                if response.WhichOneof("message") == "snapshot":
                    with self._arrived:
                        self._nonces.append(response.snapshot.nonce)
                        self._arrived.notify()
        except grpc.RpcError:
            return
