"""An app that asks for completions without a pause, and what came of them."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from cluster.harness.node.own import OwnNode
from cluster.harness.node.pods import container, pod, python, wait_ready
from cluster.harness.processes import wait_until
from node.chart import Installed

_APP = python("""
    import json, os, time, grpc
    from pointsman_api.v1 import completions_pb2 as api, completions_pb2_grpc

    message = api.Message(role=api.ROLE_USER, content=[api.ContentPart(text="May I return it?")])
    request = api.CompleteRequest(messages=[message])
    began = time.monotonic()
    answered, failed, said = 0, [], 0.0
    with grpc.insecure_channel(os.environ["POINTSMAN_ADDRESS"]) as channel:
        completions = completions_pb2_grpc.CompletionsStub(channel)
        while True:
            try:
                if answered % 5 == 4:
                    events = list(completions.CompleteStream(request, timeout=10))
                    assert events[-1].HasField("finished"), "a stream without an end"
                else:
                    completions.Complete(request, timeout=10)
                answered += 1
            except grpc.RpcError as error:
                failed.append([round(time.monotonic() - began, 1), error.code().name, error.details()])
            if time.monotonic() - said > 0.25:
                said = time.monotonic()
                line = {"seconds": said - began, "answered": answered, "failures": len(failed), "last": failed[-3:]}
                print(json.dumps(line), flush=True)
            time.sleep(0.05)
""")
_ENOUGH = 20


@dataclass(frozen=True, kw_only=True)
class Traffic:
    """The app's pod, in a namespace of its own with a policy named `support`."""

    installed: Installed
    node: OwnNode
    namespace: str
    pod: str = "app"

    def now(self) -> dict[str, Any]:
        """What the app last said: for how long it runs, how many calls were answered, and which were not."""
        lines = self.node.said(self.namespace, self.pod, "app")
        found: dict[str, Any] = json.loads(lines[-1]) if lines else {"seconds": 0.0, "answered": 0, "failures": 0}
        return found

    def wait(self, what: str, *, answered: int = 0, seconds: float = 0.0, within: float = 60) -> None:
        """Wait until so many more calls were answered, and the app has run for so much longer."""
        before = self.now()

        def enough() -> bool:
            now = self.now()
            more, longer = now["answered"] - before["answered"], now["seconds"] - before["seconds"]
            return bool(more >= answered and longer >= seconds)

        wait_until(enough, seconds=seconds + within, what=f"{what}: the app goes on; it says {self.now()}")

    @contextmanager
    def unharmed(self) -> Iterator[None]:
        """Whatever is done within: calls go on before, meanwhile and after it, and none of them fails."""
        self.wait("before", answered=_ENOUGH)
        before = self.now()
        yield
        self.wait("after", answered=_ENOUGH)
        now = self.now()
        assert now["failures"] == before["failures"], now

    def replicas(self) -> list[str]:
        """The operator's pods that are there and not about to go."""
        return [each["metadata"]["name"] for each in self._operators() if "deletionTimestamp" not in each["metadata"]]

    def ready_replicas(self) -> int:
        """How many of the operator's pods say that they are ready."""
        return sum(
            condition["type"] == "Ready" and condition["status"] == "True"
            for each in self._operators()
            for condition in each["status"].get("conditions", ())
        )

    def _operators(self) -> list[dict[str, Any]]:
        selector = f"app.kubernetes.io/instance={self.installed.namespace}"
        found = self.installed.cluster.kubectl(
            "get", "pods", "-n", self.installed.namespace, "-l", selector, "-o", "json"
        )
        items: list[dict[str, Any]] = json.loads(found.stdout)["items"]
        return items

    def holder(self) -> str:
        """The operator's pod that holds the Lease; empty where none does."""
        release = self.installed.namespace
        path = "jsonpath={.spec.holderIdentity}"
        found = self.installed.cluster.kubectl("get", "lease", release, "-n", release, "-o", path, check=False)
        return found.stdout.partition("_")[0]


def start_app(installed: Installed, namespace: str, *, image: str, code: str = _APP, name: str = "app") -> None:
    """Run an app with a sidecar, and wait until it is ready."""
    installed.cluster.apply(pod(name, "containers:\n" + container("app", image, code)), namespace=namespace)
    wait_ready(installed.cluster, namespace, name)
