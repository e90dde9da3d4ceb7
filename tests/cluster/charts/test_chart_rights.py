"""The operator with the rights that the chart grants it: they are enough, and none is too many."""

import asyncio
import base64
import contextlib
import json
import os
import re
import sys
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import grpc
import pytest
import yaml

from cluster.charts.rendering import SETS, documents, golden_path
from cluster.charts.rights import Right, all_rights, rights
from cluster.harness.cluster import Cluster
from cluster.harness.processes import Process
from cluster.operators import create_token
from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import control_pb2_grpc
from pointsman_operator.settings import read_settings
from pointsman_operator.tls import secrets
from pointsman_operator.tls.certificates import make_authority
from pointsman_operator.tls.rotation import Authorities
from support.quota.exchanges import Sidecar, keep_streaming

AUDIENCE = "pointsman.dev"
CA = "pointsman-ca"
SECONDS = 40
RIGHTS = all_rights()
ROTATION = Right(role="Role", group="", resource="secrets", verb="patch")


@dataclass(frozen=True, kw_only=True)
class Scene:
    """A namespace that is both the operator's and an app's, with all that makes the operator use its rights."""

    cluster: Cluster
    namespace: str
    kubeconfig: Path
    log: Path

    def said(self, sentence: str) -> bool:
        """Whether the log has it, whose quotes are JSON's."""
        return sentence in self.log.read_text().replace("\\", "")

    def resources(self) -> None:
        """A provider, a policy and quotas, whose status is to be written, and webhooks that are to get a caBundle.

        One of the quotas has nothing to spend, which is announced.
        """
        provider = self.cluster.unique("openai")
        (spec,) = SETS["providers"].values["providers"].values()
        policy = {
            "models": [{"name": "mini", "providerRef": {"name": provider}, "model": "gpt-4o-mini"}],
            "defaultModel": "mini",
        }
        self._apply("pointsman.dev/v1alpha1", "ModelProvider", provider, spec=spec)
        self._apply("pointsman.dev/v1alpha1", "ModelRoutingPolicy", "support", spec=policy)
        self._apply("pointsman.dev/v1alpha1", "TokenQuota", "none", spec={"window": "Day", "limit": {"tokens": 0}})
        self._apply("pointsman.dev/v1alpha1", "TokenQuota", "some", spec={"window": "Day", "limit": {"tokens": 100}})
        rule = {"operations": ["CREATE"], "apiGroups": ["nobody.example"], "apiVersions": ["v1"], "resources": ["none"]}
        webhook = {
            "name": "none.nobody.example",
            "clientConfig": {"url": "https://127.0.0.1:1/"},
            "rules": [rule],
            "sideEffects": "None",
            "admissionReviewVersions": ["v1"],
        }
        for kind in ("Mutating", "Validating"):
            configuration = f"{kind}WebhookConfiguration"
            self._apply("admissionregistration.k8s.io/v1", configuration, self.namespace, webhooks=[webhook])
            self.cluster.delete_at_end(f"{configuration.lower()}/{self.namespace}")
        self.cluster.delete_at_end(f"modelprovider/{provider}")

    def ageing_ca(self) -> None:
        """A CA that is to be rotated at once."""
        began = datetime.now(UTC) - timedelta(days=9)
        pair = make_authority(now=began, lifetime=timedelta(days=10))
        data = {name: value for name, value in secrets.written(Authorities(signing=pair)).items() if value}
        self._apply("v1", "Secret", CA, data=data)

    def token(self) -> str:
        """The token of a pod that the operator does not watch, so that it has to ask for it."""
        container = {"name": "app", "image": "app"}
        self._apply("v1", "Pod", "app", spec={"serviceAccountName": "operator", "containers": [container]})
        bound = {"apiVersion": "v1", "kind": "Pod", "name": "app"}
        request = {
            "apiVersion": "authentication.k8s.io/v1",
            "kind": "TokenRequest",
            "spec": {"audiences": [AUDIENCE], "boundObjectRef": bound},
        }
        answer = self.cluster.kubectl(
            *("create", "--raw", f"/api/v1/namespaces/{self.namespace}/serviceaccounts/operator/token", "-f", "-"),
            stdin=json.dumps(request),
        )
        token: str = json.loads(answer.stdout)["status"]["token"]
        return token

    @contextlib.asynccontextmanager
    async def operator(self) -> AsyncIterator[Process]:
        """The operator as the chart starts it, but for its addresses and names."""
        arguments = {name: value for name, _, value in (each.partition("=") for each in chart_arguments("default"))}
        configurations = arguments["--webhook-configurations"].replace("/pointsman", f"/{self.namespace}")
        listeners = ("--listen", "--metrics-listen", "--webhook-listen")
        local = {**dict.fromkeys(listeners, "127.0.0.1:0"), "--advertise": "127.0.0.1:1", "--drain": "0s"}
        token_file = self.log.with_name("token")
        token_file.write_text(create_token(self.cluster, self.namespace, account="operator"))
        own = {
            "--kubeconfig": str(self.kubeconfig),
            "--namespace": self.namespace,
            "--lease": self.namespace,
            "--replica-token-file": str(token_file),
        }
        given = {**arguments, **local, **own, "--webhook-configurations": configurations}
        process = Process(
            "pointsman-operator",
            [sys.executable, "-m", "pointsman_operator", *(f"{name}={value}" for name, value in given.items())],
            log=self.log,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        )
        try:
            yield process
        finally:
            process.stop()

    async def connected(self, token: str) -> str:
        """Connect a sidecar once the operator listens, and return what it is answered: news, or an error's details."""
        async with await self._channel() as channel:
            call = control_pb2_grpc.ControlStub(channel).Connect()
            await call.write(control.ConnectRequest(hello=control.Hello(contract_version=1, token=token)))
            try:
                answer = await asyncio.wait_for(call.read(), SECONDS)
            except grpc.aio.AioRpcError as error:
                return error.details() or ""
        return str(answer)

    async def spend(self, token: str) -> None:
        """Have a sidecar spend from the quota that has something, and settle that."""
        sidecar = Sidecar.fresh("a")
        wire = await self._channel()
        task = asyncio.create_task(keep_streaming(sidecar, lambda: wire, token=token))
        try:
            assert await sidecar.spend(10) is None
            await sidecar.settle_all()
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _channel(self) -> grpc.aio.Channel:
        await until(lambda: self.said('"event": "ready"'))
        (ready,) = [json.loads(line) for line in self.log.read_text().splitlines() if '"event": "ready"' in line]
        secret = self.cluster.kubectl("get", "secret", CA, "-n", self.namespace, "-o", "json").stdout
        trusted = base64.b64decode(json.loads(secret)["data"]["ca.crt"])
        name = (("grpc.ssl_target_name_override", "localhost"),)
        return grpc.aio.secure_channel(ready["listen"], grpc.ssl_channel_credentials(trusted), name)

    def _apply(self, api_version: str, kind: str, name: str, **content: object) -> None:
        value = {"apiVersion": api_version, "kind": kind, "metadata": {"name": name}, **content}
        self.cluster.apply(json.dumps(value), namespace=self.namespace)


async def until(expected: Callable[[], bool], *, seconds: float = SECONDS) -> None:
    """Wait until it is so."""
    async with asyncio.timeout(seconds):
        while not expected():  # noqa: ASYNC110 - another process brings it about
            await asyncio.sleep(0.05)


def chart_arguments(name: str) -> list[str]:
    """What the chart has the operator told, by a set of values."""
    found = documents(golden_path(name).read_text(encoding="utf-8"))
    (deployment,) = [part for part in found.values() if "kind: Deployment" in part]
    arguments: list[str] = yaml.safe_load(deployment)["spec"]["template"]["spec"]["containers"][0]["args"]
    return arguments


def scene(cluster: Cluster, folder: Path, *, without: Right | None) -> Scene:
    """A scene whose operator lacks one right, or none."""
    namespace = cluster.namespace("pointsman-system")
    kubeconfig = cluster.kubeconfig_for("operator", namespace=namespace)
    cluster.apply(rights(namespace=namespace, without=without))
    cluster.delete_at_end(f"clusterrole/{namespace}", f"clusterrolebinding/{namespace}")
    log = folder / "operator.log"
    log.touch()
    return Scene(cluster=cluster, namespace=namespace, kubeconfig=kubeconfig, log=log)


@pytest.mark.parametrize("name", [name for name in SETS if "kind: Deployment" in golden_path(name).read_text()])
def test_the_operator_understands_what_the_chart_tells_it(name: str) -> None:
    arguments = chart_arguments(name)

    settings = read_settings(arguments, environ={}, own_namespace_file=Path(os.devnull))

    assert not settings.insecure_claimed_identity
    assert (settings.webhooks is None) == (name == "no-webhooks")


@pytest.mark.parametrize("name", SETS)
def test_no_set_of_values_grants_a_right_that_is_not_tried_here(name: str) -> None:
    assert set(all_rights(name)) <= set(RIGHTS)


async def test_the_charts_rights_are_enough(cluster: Cluster, crds: None, tmp_path: Path) -> None:  # noqa: ARG001 - served first
    stage = scene(cluster, tmp_path, without=None)
    stage.resources()
    stage.ageing_ca()

    def policy() -> str:
        return cluster.kubectl("get", "mrp", "support", "-n", stage.namespace, "-o", "json").stdout

    def announced() -> str:
        regarding = "--field-selector=involvedObject.kind=TokenQuota,involvedObject.name=none"
        return cluster.kubectl("get", "events", regarding, "-n", stage.namespace, "-o=jsonpath={..reason}").stdout

    def bundles() -> str:
        configurations = "mutatingwebhookconfiguration,validatingwebhookconfiguration"
        path = "-o=jsonpath={.items[*].webhooks[*].clientConfig.caBundle}"
        names = f"--field-selector=metadata.name={stage.namespace}"
        return cluster.kubectl("get", configurations, names, path).stdout

    async with stage.operator():
        token = stage.token()
        answer = await stage.connected(token)
        await stage.spend(token)
        await until(lambda: "NamespaceNotAllowed" in policy())
        await until(lambda: announced() == "Exhausted")
        await until(lambda: len(bundles().split()) == 2)
    # Given up at the end, so that another replica need not wait for it.
    lease = json.loads(cluster.kubectl("get", "lease", stage.namespace, "-n", stage.namespace, "-o", "json").stdout)

    assert not lease["spec"].get("holderIdentity")
    assert answer.startswith("trust"), answer  # which only a sidecar that is known is told
    assert not re.search(r"forbidden|cannot \w+ resource", stage.log.read_text())


@pytest.mark.parametrize("right", RIGHTS, ids=str)
async def test_without_any_one_right_the_operator_says_which_it_lacks(
    cluster: Cluster,
    crds: None,  # noqa: ARG001 - served before it is needed
    tmp_path: Path,
    right: Right,
) -> None:
    stage = scene(cluster, tmp_path, without=right)
    stage.resources()
    if right == ROTATION:
        stage.ageing_ca()
    lacking = f'cannot {right.verb} resource "{right.resource}"'

    async with stage.operator():
        if right.resource == "tokenreviews" or (right.resource, right.verb) == ("pods", "get"):
            assert lacking in await stage.connected(stage.token())
        elif right.resource == "configmaps" and right.verb != "list":
            spending = asyncio.create_task(stage.spend(stage.token()))
            await until(lambda: stage.said(lacking))
            spending.cancel()
            await asyncio.gather(spending, return_exceptions=True)
        else:
            await until(lambda: stage.said(lacking))
