"""What may happen to an operator, its cluster and its sidecars, while apps ask for completions and must not notice."""

import json
from collections.abc import Iterator
from dataclasses import replace
from itertools import count

import pytest
import yaml

from cluster.harness.node.own import OwnNode
from cluster.harness.node.pods import container, pod, python
from cluster.harness.processes import wait_until
from node.chart import KEY, Installed
from node.traffic import Traffic, start_app

AWAY_SECONDS = 60
# What a drill may take beside the time that something is away.
pytestmark = pytest.mark.timeout(300)
# Says, whenever it changes, how a call ends: its model, or the status and the reason.
ASKS = python("""
    import os, time, grpc
    from pointsman_api.v1 import completions_pb2 as api, completions_pb2_grpc

    message = api.Message(role=api.ROLE_USER, content=[api.ContentPart(text="May I return it?")])
    said = ""
    with grpc.insecure_channel(os.environ["POINTSMAN_ADDRESS"]) as channel:
        completions = completions_pb2_grpc.CompletionsStub(channel)
        while True:
            try:
                now = completions.Complete(api.CompleteRequest(messages=[message]), timeout=10).decision.model
            except grpc.RpcError as error:
                now = f"{error.code().name} {error.details()}"
            if now != said:
                said = now
                print(said, flush=True)
            time.sleep(0.1)
""")
# Makes one call, which is to be cut off, and says how it ended and how soon another was answered.
HANGS = python("""
    import os, signal, time, grpc
    from pointsman_api.v1 import completions_pb2 as api, completions_pb2_grpc

    message = api.Message(role=api.ROLE_USER, content=[api.ContentPart(text="Is anybody there?")])
    request = api.CompleteRequest(messages=[message])
    # As docs/injection.md advises: by itself a channel waits longer and longer before it tries again.
    options = (("grpc.initial_reconnect_backoff_ms", 100), ("grpc.max_reconnect_backoff_ms", 500))
    with grpc.insecure_channel(os.environ["POINTSMAN_ADDRESS"], options=options) as channel:
        completions = completions_pb2_grpc.CompletionsStub(channel)
        print("asks", flush=True)
        try:
            completions.Complete(request, timeout=60)
        except grpc.RpcError as error:
            print(error.code().name, flush=True)
        began = time.monotonic()
        while True:
            try:
                completions.Complete(request, timeout=10)
                break
            except grpc.RpcError as error:
                assert error.code() == grpc.StatusCode.UNAVAILABLE, error
                time.sleep(0.05)
        print("answered within 5 s" if time.monotonic() - began < 5 else "answered late", flush=True)
    signal.sigwait([signal.SIGTERM])
""")
TOKENS = count(1)


@pytest.fixture
def routed(installed: Installed, stub_url: str) -> Installed:
    """The charts, with a provider that answers."""
    return replace(installed, provider=installed.provide(url=stub_url, key=KEY))


@pytest.fixture
def traffic(routed: Installed, own_node: OwnNode, images: dict[str, str]) -> Iterator[Traffic]:
    """An app that is at it, and two operators that work."""
    namespace = routed.app("steady")
    start_app(routed, namespace, image=images["sidecar"])
    started = Traffic(installed=routed, node=own_node, namespace=namespace)
    wait_for_replicas(started)
    yield started
    routed.cluster.kubectl("delete", "replicasets,pods", "--all", "-n", namespace, "--force", "--grace-period=0")


def wait_for_replicas(traffic: Traffic) -> None:
    """Wait until two operators work, and one of them holds the Lease."""
    wait_until(
        lambda: traffic.ready_replicas() == len(traffic.replicas()) == 2 and traffic.holder() in traffic.replicas(),
        seconds=90,
        what="two operators are ready, and one of them holds the Lease",
    )


def wait_until_changes_arrive(traffic: Traffic) -> None:
    """Change the policy, and wait until the sidecar has it and the status says so."""
    traffic.installed.wait_until_applied(traffic.namespace, max_output_tokens=100 + next(TOKENS))


def kill_operators(traffic: Traffic, *names: str) -> None:
    for name in names:
        traffic.node.kill_container(traffic.installed.namespace, name, "operator")


@pytest.mark.parametrize("holds_the_lease", [True, False], ids=["the-holder", "the-other"])
def test_either_operator_may_be_killed(traffic: Traffic, *, holds_the_lease: bool) -> None:
    holder = traffic.holder()
    (victim,) = [name for name in traffic.replicas() if (name == holder) == holds_the_lease]

    with traffic.unharmed():
        kill_operators(traffic, victim)
        wait_until_changes_arrive(traffic)
    wait_for_replicas(traffic)


def test_both_operators_may_be_away_for_a_minute(
    traffic: Traffic, routed: Installed, own_node: OwnNode, images: dict[str, str]
) -> None:
    cluster, release = routed.cluster, routed.namespace
    deployment = f"deployment/{release}"
    start_app(routed, traffic.namespace, image=images["sidecar"], code=ASKS, name="restarts")

    def said(name: str) -> str:
        return (own_node.said(traffic.namespace, name, "app") or [""])[-1]

    wait_until(lambda: said("restarts") == "mini", seconds=20, what="the other app is answered")
    with traffic.unharmed():
        kill_operators(traffic, *traffic.replicas())
        # For a crashed container would be back within seconds.
        cluster.kubectl("scale", deployment, "-n", release, "--replicas=0")
        cluster.kubectl("delete", "pods", "-n", release, "--all", "--force", "--grace-period=0")
        own_node.kill_container(traffic.namespace, "restarts", "pointsman-sidecar")
        wait_until(
            lambda: said("restarts").startswith("UNAVAILABLE") and "operator" in said("restarts"),
            seconds=30,
            what=f"the restarted sidecar says that it waits for the operator; it says {said('restarts')}",
        )
        traffic.wait("away", seconds=AWAY_SECONDS)
        late = pod("late", "containers:\n" + container("app", images["sidecar"], ASKS))
        cluster.apply(replicated(late), namespace=traffic.namespace)
        wait_until(
            lambda: "failed calling webhook" in events(traffic, "late"), seconds=30, what="an Event says why it waits"
        )
        cluster.kubectl("scale", deployment, "-n", release, "--replicas=2")
        cluster.kubectl("rollout", "status", deployment, "-n", release, "--timeout=90s", seconds=95)
        wait_until(lambda: said("restarts") == "mini", seconds=40, what="the restarted sidecar is well again")
        cluster.kubectl(
            *("wait", "--for=jsonpath={.status.readyReplicas}=1", "replicaset/late", "-n", traffic.namespace),
            "--timeout=90s",
            seconds=95,
        )
        wait_until_changes_arrive_at_all(traffic)


def test_the_api_server_may_be_away_for_a_minute(traffic: Traffic, own_node: OwnNode) -> None:
    with traffic.unharmed():
        own_node.kill("kube-apiserver")
        traffic.wait("without the API server", seconds=AWAY_SECONDS)
        own_node.start("kube-apiserver")
        # Elsewhere they lose their Leases and start anew; here they would wait out their own long pauses.
        for part in ("kube-controller-manager", "kube-scheduler"):
            own_node.restart(part)
        wait_until_changes_arrive(traffic)
    wait_for_replicas(traffic)


def test_etcd_may_restart(traffic: Traffic, own_node: OwnNode) -> None:
    with traffic.unharmed():
        own_node.restart("etcd")
        wait_until_changes_arrive(traffic)


def test_operators_may_be_restarted_one_by_one(traffic: Traffic, routed: Installed) -> None:
    deployment = ("deployment", routed.namespace, "-n", routed.namespace)
    before = set(traffic.replicas())

    with traffic.unharmed():
        routed.cluster.kubectl("rollout", "restart", *deployment)
        routed.cluster.kubectl("rollout", "status", *deployment, "--timeout=120s", seconds=125)
        wait_until_changes_arrive(traffic)
    wait_for_replicas(traffic)

    assert not before & set(traffic.replicas())


def test_the_chart_may_be_upgraded_and_rolled_back(traffic: Traffic, routed: Installed) -> None:
    with traffic.unharmed():
        routed.upgrade("--set=logLevel=debug")
        wait_until_changes_arrive(traffic)
        routed.helm("rollback", routed.namespace, f"--namespace={routed.namespace}", "--wait", "--timeout=120s")
        wait_until_changes_arrive(traffic)
    wait_for_replicas(traffic)


def test_the_ca_may_be_replaced(traffic: Traffic, routed: Installed, images: dict[str, str]) -> None:
    cluster, release = routed.cluster, routed.namespace

    def bundle() -> str:
        path = "jsonpath={.webhooks[0].clientConfig.caBundle}"
        return cluster.kubectl("get", "mutatingwebhookconfiguration", release, "-o", path).stdout

    before = bundle()
    with traffic.unharmed():
        cluster.kubectl("delete", "secret", "pointsman-ca", "-n", release)
        wait_until(lambda: bundle() != before, seconds=60, what="the webhooks are given another CA")
        start_app(routed, traffic.namespace, image=images["sidecar"], code=ASKS, name="younger")
        # The sidecar that began with the old CA knows its replicas by the new one, too.
        kill_operators(traffic, *traffic.replicas())
        wait_for_replicas(traffic)
        wait_until_changes_arrive_at_all(traffic)


def test_a_killed_sidecar_is_back_within_seconds(
    routed: Installed, own_node: OwnNode, stub_url: str, images: dict[str, str]
) -> None:
    stub = stub_url.removesuffix("/v1") + "/stub"
    namespace = routed.app("hangs")

    def asked(*arguments: str) -> str:
        done = own_node.inside(["curl", "-sf", *arguments], network_only=True)
        assert done.returncode == 0, done
        return done.stdout

    def said() -> list[str]:
        return own_node.said(namespace, "hangs", "app")

    asked("-X", "PUT", f"{stub}/faults", "-d", json.dumps([{"latency": 60}]))
    start_app(routed, namespace, image=images["sidecar"], code=HANGS, name="hangs")
    # Among the calls of other tests' apps, which go on.
    wait_until(lambda: "Is anybody there?" in asked(f"{stub}/requests"), seconds=20, what="the call is under way")
    asked("-X", "PUT", f"{stub}/faults", "-d", "[]")  # for those that come after it
    own_node.kill_container(namespace, "hangs", "pointsman-sidecar")

    wait_until(lambda: len(said()) == 3, seconds=30, what="another call is answered")
    assert said() == ["asks", "UNAVAILABLE", "answered within 5 s"]


def wait_until_changes_arrive_at_all(traffic: Traffic) -> None:
    """Change the policy, and wait until each sidecar of the namespace has it."""
    policy = ("mrp", "support", "-n", traffic.namespace)
    patch = json.dumps({"spec": {"limits": {"maxOutputTokens": 200 + next(TOKENS)}}})
    cluster = traffic.installed.cluster
    cluster.kubectl("patch", *policy, "--type=merge", "-p", patch)
    pods = cluster.kubectl("get", "pods", "-n", traffic.namespace, "-o", "name").stdout.split()

    def applied() -> bool:
        value = json.loads(cluster.kubectl("get", *policy, "-o", "json").stdout)
        sidecars = value["status"]["sidecars"]
        current = value["status"]["observedGeneration"] == value["metadata"]["generation"]
        return bool(current and sidecars["summary"] == f"{len(pods)}/{len(pods)}")

    wait_until(applied, seconds=60, what=f"all of {pods} have applied the change")


def replicated(manifest: str) -> str:
    """A ReplicaSet of one such pod."""
    value = yaml.safe_load(manifest)
    name = value["metadata"]["name"]
    template = {"metadata": {"labels": value["metadata"]["labels"]}, "spec": {**value["spec"]}}
    spec = {"replicas": 1, "selector": {"matchLabels": value["metadata"]["labels"]}, "template": template}
    return json.dumps({"apiVersion": "apps/v1", "kind": "ReplicaSet", "metadata": {"name": name}, "spec": spec})


def events(traffic: Traffic, name: str) -> str:
    """What Kubernetes says of an object."""
    which = f"--field-selector=involvedObject.name={name}"
    path = "jsonpath={.items[*].message}"
    return traffic.installed.cluster.kubectl("get", "events", "-n", traffic.namespace, which, "-o", path).stdout
