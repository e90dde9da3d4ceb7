"""Where a provider's key is, and where it must not be; and how another takes its place under apps that go on asking."""

import hashlib
import json
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace

import pytest

from cluster.harness.cluster import Cluster
from cluster.harness.node.own import OwnNode
from cluster.harness.node.pods import container, pod, python, wait_ready
from cluster.harness.processes import wait_until
from node.chart import KEY, LATER_KEY, Installed

CALLS = 20
# Asks again and again, and says how each call ended. What it asks is its own name, by which the provider knows it.
ASKS_ON = python("""
    import os, socket, time, grpc
    from pointsman_api.v1 import completions_pb2 as api, completions_pb2_grpc

    message = api.Message(role=api.ROLE_USER, content=[api.ContentPart(text=socket.gethostname())])
    with grpc.insecure_channel(os.environ["POINTSMAN_ADDRESS"]) as channel:
        completions = completions_pb2_grpc.CompletionsStub(channel)
        served = False
        while True:
            try:
                completions.Complete(api.CompleteRequest(messages=[message]), timeout=20)
                served = True
                print("OK", flush=True)
            except grpc.RpcError as error:
                if served:  # before the first answer there may be no policy yet
                    print(error.code().name, error.details(), flush=True)
            time.sleep(0.05)
""")
# Prints the places in a container where one of these texts is: in a file, or in a process's environment.
SEARCHES = """
import os, sys
wanted = [each.encode() for each in sys.argv[1:]]
places = [f"/proc/{each}/environ" for each in os.listdir("/proc") if each.isdigit() and int(each) != os.getpid()]
places += [f"/proc/{each}/cmdline" for each in os.listdir("/proc") if each.isdigit() and int(each) != os.getpid()]
for folder, folders, files in os.walk("/"):
    folders[:] = [each for each in folders if os.path.join(folder, each) not in ("/proc", "/sys", "/dev")]
    places += [os.path.join(folder, each) for each in files]
read = 0
for place in places:
    try:
        with open(place, "rb") as file:
            content = file.read()
    except OSError:
        continue
    read += 1
    if any(each in content for each in wanted):
        print(place)
print("places read:", read)
"""


@dataclass(frozen=True, kw_only=True)
class Apps:
    """Two pods of one namespace that ask without end."""

    cluster: Cluster
    own_node: OwnNode
    stub_url: str
    namespace: str
    provider: str
    pods: tuple[str, ...] = ("first", "second")

    def keys(self) -> dict[str, Counter[str]]:
        """How often each pod's requests came with which key, by its fingerprint at the stub, in order of the first."""
        url = f"{self.stub_url.removesuffix('/v1')}/stub/requests"
        code = f"import urllib.request as r; print(r.urlopen({url!r}, timeout=5).read().decode())"
        done = self.own_node.inside(["python3", "-c", code], network_only=True)
        seen: dict[str, Counter[str]] = {name: Counter() for name in self.pods}
        for record in json.loads(done.stdout)["requests"]:
            asked = record["body"]["messages"][-1]["content"] if record["body"] else ""
            # Not those of other tests' apps, which may still be ending.
            if asked in seen:
                seen[asked][record["key"]["fingerprint"]] += 1
        return seen

    def wait_for_calls(self, key: str, *, at_least: int, seconds: float) -> None:
        """Wait until each pod has been answered so often with this key."""
        wanted = fingerprint(key)
        wait_until(
            lambda: all(counts[wanted] >= at_least for counts in self.keys().values()),
            seconds=seconds,
            what=f"each app has called {at_least} times with the key",
        )

    def outcomes(self) -> set[str]:
        """How the calls of all pods ended, since each one's first answer."""
        logs = [self.cluster.kubectl("logs", name, "-c", "app", "-n", self.namespace).stdout for name in self.pods]
        return {line for text in logs for line in text.splitlines()}


def fingerprint(key: str) -> str:
    """What the stub tells of a key."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


@pytest.fixture
def apps(installed: Installed, own_node: OwnNode, stub_url: str, images: dict[str, str]) -> Iterator[Apps]:
    """The two pods, each answered several times with the first key."""
    cluster, provider = installed.cluster, installed.provide(url=stub_url, key=KEY)
    namespace = replace(installed, provider=provider).app("asking")
    made = Apps(cluster=cluster, own_node=own_node, stub_url=stub_url, namespace=namespace, provider=provider)
    for name in made.pods:
        spec = pod(name, "containers:\n" + container("app", images["sidecar"], ASKS_ON))
        cluster.apply(spec, namespace=namespace)
    for name in made.pods:
        wait_ready(cluster, namespace, name)
    made.wait_for_calls(KEY, at_least=CALLS, seconds=40)
    yield made
    cluster.kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0")


def test_another_key_reaches_every_sidecar_within_5_seconds_and_no_call_fails(installed: Installed, apps: Apps) -> None:
    installed.set_key(apps.provider, LATER_KEY)

    apps.wait_for_calls(LATER_KEY, at_least=1, seconds=5)
    apps.wait_for_calls(LATER_KEY, at_least=CALLS, seconds=40)
    assert apps.outcomes() == {"OK"}


def test_a_provider_key_is_in_no_object_of_an_apps_namespace_and_in_no_environment_file_or_log_of_its_pods(
    installed: Installed, apps: Apps
) -> None:
    cluster, here = installed.cluster, ("-n", apps.namespace)
    installed.set_key(apps.provider, LATER_KEY)  # so that there is an old one and a new one to be found
    apps.wait_for_calls(LATER_KEY, at_least=1, seconds=10)
    kinds = cluster.kubectl("api-resources", "--namespaced", "--verbs=list", "-o", "name").stdout.split()

    found = {"objects": cluster.kubectl("get", ",".join(kinds), *here, "-o", "yaml", seconds=60).stdout}
    for name in apps.pods:
        for each in ("app", "pointsman-sidecar"):
            found[f"log of {each} in {name}"] = cluster.kubectl("logs", name, "-c", each, *here).stdout
            search = ("--", "python3", "-c", SEARCHES, KEY, LATER_KEY)
            said = cluster.kubectl("exec", name, "-c", each, *here, *search, seconds=60).stdout.splitlines()
            # The search's own words are in no file: what it was given is in its own process, which it leaves out.
            assert said[:-1] == []
            assert int(said[-1].removeprefix("places read: ")) > 100

    assert [place for place, text in found.items() if KEY in text or LATER_KEY in text] == []
