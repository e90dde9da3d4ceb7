"""The operator as a real process on a real API server, and a sidecar that a test plays."""

import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import grpc
import pytest

from cluster.charts.rights import rights
from cluster.harness.apiserver import ApiServer
from cluster.harness.cluster import Cluster
from cluster.harness.processes import Process
from process.operator.streams import Stream
from pure.operator.objects import Json

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Operator:
    """A running operator."""

    process: Process
    namespace: str
    address: str

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[grpc.aio.Channel]:
        """A channel to it."""
        async with grpc.aio.insecure_channel(self.address) as channel:
            yield channel


@dataclass(frozen=True, kw_only=True)
class App:
    """A namespace with a policy of its own on a provider of its own, on the cluster and for the test to change."""

    cluster: Cluster
    namespace: str
    provider: str

    def policy(self, name: str = "support", *, model: str = "gpt-4o-mini", **spec: object) -> None:
        """Apply a policy."""
        models = [{"name": "mini", "providerRef": {"name": self.provider}, "model": model}]
        self.apply("ModelRoutingPolicy", name, {"models": models, "defaultModel": "mini", **spec})

    def apply_provider(self, **spec: object) -> None:
        """Apply the provider."""
        price = {"currency": "USD", "input": "0.15", "output": "0.60"}
        offered = {"name": "gpt-4o-mini", "price": price, "contextWindow": 128000, "maxOutputTokens": 16384}
        self.apply("ModelProvider", self.provider, {"allowedNamespaces": {"from": "All"}, "models": [offered], **spec})
        self.cluster.delete_at_end(f"modelprovider/{self.provider}")

    def get(self, name: str = "support") -> Json:
        """The policy as it stands."""
        text = self.cluster.kubectl("get", "mrp", name, "-n", self.namespace, "-o", "json").stdout
        value: Json = json.loads(text)
        return value

    def delete(self, name: str = "support") -> None:
        """Delete a policy."""
        self.cluster.kubectl("delete", "mrp", name, "-n", self.namespace)

    def condition(self, type_: str, name: str = "support") -> tuple[str, str, str]:
        """A condition of the policy: status, reason, message."""
        return condition(self.get(name), type_)

    def provider_condition(self) -> tuple[str, str, str]:
        """Ready, of the provider."""
        return condition(json.loads(self.cluster.kubectl("get", "mp", self.provider, "-o", "json").stdout), "Ready")

    def apply(self, kind: str, name: str, spec: object) -> None:
        """Apply one of our resources."""
        value = {"apiVersion": "pointsman.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        self.cluster.apply(json.dumps(value), namespace=self.namespace)


def condition(value: Json, type_: str) -> tuple[str, str, str]:
    """A condition of an object, while there is none, empty: status, reason, message."""
    status = value.get("status", {})
    if status.get("observedGeneration") != value["metadata"]["generation"]:
        return "", "", ""
    (found,) = [each for each in status["conditions"] if each["type"] == type_]
    return found["status"], found["reason"], found["message"]


def eventually(look: Callable[[], T], expected: Callable[[T], bool], *, seconds: float = 15) -> T:
    """Look until what is seen is as expected."""
    deadline = time.monotonic() + seconds
    while not expected(seen := look()):
        assert time.monotonic() < deadline, f"still {seen} after {seconds:g} s"
        time.sleep(0.02)
    return seen


@pytest.fixture(scope="module")
def service_account(cluster: Cluster, crds: None) -> tuple[str, Path]:  # noqa: ARG001 - served before it is needed
    """The operator's namespace, and a kubeconfig with the rights that the chart grants and no other."""
    namespace = cluster.namespace("pointsman-system")
    kubeconfig = cluster.kubeconfig_for("operator", namespace=namespace)
    cluster.apply(rights(namespace=namespace))
    cluster.delete_at_end(f"clusterrole/{namespace}", f"clusterrolebinding/{namespace}")
    return namespace, kubeconfig


def started(service_account: tuple[str, Path], folder: Path) -> Operator:
    """An operator that has read the cluster."""
    namespace, kubeconfig = service_account
    log = folder / "operator.log"
    process = Process(
        "pointsman-operator",
        [
            sys.executable,
            "-m",
            "pointsman_operator",
            f"--kubeconfig={kubeconfig}",
            f"--namespace={namespace}",
            "--listen=127.0.0.1:0",
            "--metrics-listen=127.0.0.1:0",
            "--insecure-claimed-identity",
        ],
        log=log,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
    )
    process.wait_until_ready(lambda: '"event": "ready"' in log.read_text(), seconds=20)
    (ready,) = [json.loads(line) for line in log.read_text().splitlines() if '"event": "ready"' in line]
    return Operator(process=process, namespace=namespace, address=ready["listen"])


@pytest.fixture(scope="module")
def operator(service_account: tuple[str, Path], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Operator]:
    """An operator for the tests that leave it as it was."""
    running = started(service_account, tmp_path_factory.mktemp("operator"))
    yield running
    running.process.stop()


@pytest.fixture
def app(cluster: Cluster, crds: None) -> App:  # noqa: ARG001 - served before it is needed
    """A namespace with a sound policy."""
    made = App(cluster=cluster, namespace=cluster.namespace("shop"), provider=cluster.unique("openai"))
    made.apply_provider()
    made.policy()
    return made


async def test_kubectl_shows_a_policy_ready_once_its_sidecar_has_applied_it(operator: Operator, app: App) -> None:
    eventually(lambda: app.condition("Programmed"), lambda seen: seen[:2] == ("True", "NoSidecars"))

    async with operator.channel() as channel:
        stream = await Stream.connect(channel, namespace=app.namespace)
        update = await stream.snapshot()
        eventually(lambda: app.condition("Programmed"), lambda seen: seen[:2] == ("False", "Pending"))
        await stream.ack(update.nonce)
        eventually(lambda: app.condition("Ready"), lambda seen: seen[:2] == ("True", "InForce"))
        line = app.cluster.kubectl("get", "mrp", "-n", app.namespace, "--no-headers").stdout.split()

    assert line[:5] == ["support", "mini", "True", "True", "1/1"]
    assert app.condition("Conflict")[:2] == ("False", "NoConflict")


async def test_a_change_and_a_deletion_reach_the_sidecar(operator: Operator, app: App) -> None:
    async with operator.channel() as channel:
        stream = await Stream.connect(channel, namespace=app.namespace)
        await stream.ack((await stream.snapshot()).nonce)

        app.policy(limits={"maxOutputTokens": 7})
        update = await stream.snapshot()
        await stream.ack(update.nonce)
        app.delete()
        gone = await stream.no_policy()

    assert (update.generation, update.snapshot.limits.max_output_tokens) == (2, 7)
    assert "no ModelRoutingPolicy" in gone.reason


async def test_a_policy_that_cannot_be_programmed_says_why_and_the_last_good_one_stays(
    operator: Operator, app: App
) -> None:
    async with operator.channel() as channel:
        stream = await Stream.connect(channel, namespace=app.namespace)
        await stream.ack((await stream.snapshot()).nonce)
        app.policy(model="gpt-5")
        broken = eventually(lambda: app.condition("Programmed"), lambda seen: seen[0] == "False")
        later = await Stream.connect(channel, namespace=app.namespace, pod="app-2")

        assert (await later.snapshot()).generation == 1
        app.policy(limits={"maxOutputTokens": 9})
        assert (await stream.snapshot()).generation == 3

    assert broken[1] == "ModelNotFound"
    assert f"ModelProvider {app.provider} has no model gpt-5; it has gpt-4o-mini" in broken[2]
    assert "Generation 1 stays in force" in broken[2]


async def test_a_rejection_appears_in_the_status_with_its_reason(operator: Operator, app: App) -> None:
    async with operator.channel() as channel:
        stream = await Stream.connect(channel, namespace=app.namespace)
        await stream.nack((await stream.snapshot()).nonce, "I know no such matcher")

        seen = eventually(lambda: app.condition("Ready"), lambda seen: seen[1] == "Rejected")
        sidecars = app.get()["status"]["sidecars"]

    assert "I know no such matcher" in seen[2]
    assert (sidecars["connected"], sidecars["applied"], sidecars["rejected"]) == (1, 0, 1)
    assert sidecars["rejections"] == [{"sidecar": "app-1", "reason": "I know no such matcher"}]


async def test_a_missing_secret_is_named_and_the_key_arrives_when_it_does(operator: Operator, app: App) -> None:
    name = app.cluster.unique("openai")
    app.apply_provider(auth=[{"secretKeyRef": {"name": name, "key": "api-key"}}])
    missing = eventually(app.provider_condition, lambda seen: seen[0] == "False")
    eventually(lambda: app.condition("Ready"), lambda seen: seen[1] == "SecretNotFound")

    async with operator.channel() as channel:
        stream = await Stream.connect(channel, namespace=app.namespace)
        assert await stream.access() == {}
        await stream.ack((await stream.snapshot()).nonce)
        app.cluster.kubectl(
            "create", "secret", "generic", name, "-n", operator.namespace, "--from-literal=api-key=sk-test"
        )
        assert await stream.access() == {app.provider: "sk-test"}
        app.cluster.kubectl("delete", "secret", name, "-n", operator.namespace)
        assert await stream.access() == {}

    assert missing[1] == "SecretNotFound"
    assert f"Secret {name} in namespace {operator.namespace} does not exist" in missing[2]
    assert "sk-test" not in operator.process.log.read_text()


async def test_a_namespace_that_loses_its_label_loses_access_at_once(operator: Operator, app: App) -> None:
    selective = {"from": "Selector", "selector": {"matchLabels": {"ai": "allowed"}}}
    app.cluster.kubectl("label", "namespace", app.namespace, "ai=allowed")
    app.apply_provider(allowedNamespaces=selective)
    eventually(lambda: app.condition("Ready"), lambda seen: seen[0] == "True")

    async with operator.channel() as channel:
        stream = await Stream.connect(channel, namespace=app.namespace)
        assert await stream.access() == {app.provider: ""}
        await stream.ack((await stream.snapshot()).nonce)
        app.cluster.kubectl("label", "namespace", app.namespace, "ai-")
        assert await stream.access() == {}

    eventually(lambda: app.condition("Ready"), lambda seen: seen[1] == "NamespaceNotAllowed")


async def test_of_two_policies_for_a_pod_the_loser_says_so(operator: Operator, app: App) -> None:
    app.policy("special", selector={"matchLabels": {"app": "a"}})
    async with operator.channel() as channel:
        stream = await Stream.connect(channel, namespace=app.namespace, labels={"app": "a"})
        update = await stream.snapshot()
        await stream.ack(update.nonce)

        lost = eventually(lambda: app.condition("Conflict"), lambda seen: seen[0] == "True")

        assert update.snapshot.policy.name == "special"
        assert lost[2] == "ModelRoutingPolicy special has pod app-1"
        assert app.condition("Ready")[:2] == ("False", "Conflict")
        assert app.condition("Conflict", "special")[0] == "False"


@pytest.mark.usefixtures("operator")
def test_a_status_once_written_is_left_alone(app: App) -> None:
    eventually(lambda: app.condition("Ready"), lambda seen: seen[0] == "True")
    written = app.get()["metadata"]["resourceVersion"]

    # Whatever the write of one status brings about is over when a later one of the same namespace is there.
    for name in ("later", "last"):
        app.policy(name, selector={"matchLabels": {"app": name}})
        eventually(lambda: app.condition("Ready", name), lambda seen: seen[0] == "True")  # noqa: B023 - used at once

    assert app.get()["metadata"]["resourceVersion"] == written


async def test_an_operator_that_was_killed_loses_nothing(
    service_account: tuple[str, Path], app: App, tmp_path: Path
) -> None:
    first = started(service_account, tmp_path)
    async with first.channel() as channel:
        stream = await Stream.connect(channel, namespace=app.namespace)
        update = await stream.snapshot()
        await stream.ack(update.nonce)
        eventually(lambda: app.condition("Ready"), lambda seen: seen[0] == "True")
        first.process.kill()
        app.policy("while-away", selector={"matchLabels": {"app": "x"}})

    (tmp_path / "again").mkdir()
    second = started(service_account, tmp_path / "again")
    async with second.channel() as channel:
        stream = await Stream.connect(
            channel, namespace=app.namespace, holds=update.version, known=update.snapshot.inputs
        )
        assert await stream.access() == {app.provider: ""}
        app.policy(limits={"maxOutputTokens": 5})
        assert (await stream.snapshot()).generation == 2
        eventually(lambda: app.condition("Ready", "while-away"), lambda seen: seen[0] == "True")
    second.process.stop()


async def test_a_stopping_operator_sends_its_sidecars_away_and_ends_within_five_seconds(
    service_account: tuple[str, Path], app: App, tmp_path: Path
) -> None:
    running = started(service_account, tmp_path)
    async with running.channel() as channel:
        stream = await Stream.connect(channel, namespace=app.namespace)
        await stream.snapshot()
        os.kill(running.process.pid, 15)

        assert (await stream.end())[0] == grpc.StatusCode.UNAVAILABLE
    assert running.process.exit_code(within=5) == 0
    assert "Traceback" not in running.process.log.read_text()
    running.process.stop()


async def test_after_the_api_server_was_away_changes_arrive_again(
    operator: Operator, app: App, api_server: ApiServer
) -> None:
    async with operator.channel() as channel:
        stream = await Stream.connect(channel, namespace=app.namespace)
        await stream.ack((await stream.snapshot()).nonce)

        api_server.restart()
        app.policy(limits={"maxOutputTokens": 3})
        update = await stream.snapshot()
        await stream.ack(update.nonce)
        app.delete()
        await stream.no_policy()

    assert update.generation == 2


def test_kubectl_shows_a_quota_and_an_event_says_when_nothing_is_left(operator: Operator, app: App) -> None:
    del operator
    app.apply("TokenQuota", "month", {"window": "Month", "timeZone": "Europe/Berlin", "limit": {"tokens": 50_000_000}})
    app.apply("TokenQuota", "none", {"window": "Day", "limit": {"cost": {"amount": "0", "currency": "USD"}}})

    def shown() -> list[list[str]]:
        listed = app.cluster.kubectl("get", "tq", "-n", app.namespace, "--no-headers").stdout
        # Columns are three spaces apart; the limit holds one.
        return [re.split(r" {2,}", line)[:5] for line in listed.splitlines()]

    expected = [
        ["month", "Namespace", "Month", "0%", "50000000 tokens"],
        ["none", "Namespace", "Day", "100%", "0.00 USD"],
    ]
    eventually(shown, lambda found: found == expected)

    def events() -> str:
        which = "--field-selector=involvedObject.kind=TokenQuota"
        path = "-o=jsonpath={range .items[*]}{.involvedObject.name}: {.reason}: {.message}{end}"
        return app.cluster.kubectl("get", "events", which, path, "-n", app.namespace).stdout

    said = "none: Exhausted: Its limit is 0.00 USD: nothing may be spent; raise it; requests are refused"
    eventually(events, lambda found: found == said)
    quota = json.loads(app.cluster.kubectl("get", "tq", "none", "-n", app.namespace, "-o", "json").stdout)
    assert condition(quota, "Ready")[:2] == ("True", "InForce")
    assert condition(quota, "Exhausted")[:2] == ("True", "NothingToSpend")
