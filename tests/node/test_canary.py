"""A new model at 5 %: the share holds, users stay where they are, and where it fails it is rolled back by itself."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest

from cluster.harness.cluster import Cluster
from cluster.harness.node.own import OwnNode
from cluster.harness.node.pods import python
from cluster.harness.processes import wait_until
from node.chart import KEY, Installed
from node.traffic import start_app

pytestmark = pytest.mark.timeout(420)
REQUESTS, USERS = 10_000, 10_000
PODS = ("one", "two")
NEXT = "gpt-4o"
# Each pod asks for its half of the users, then for a part of them again, and says who was answered by which model. From
# then on it goes on asking, and says how calls end whenever that changes.
ASKS = python(f"""
    import asyncio, json, os, grpc
    from pointsman_api.v1 import completions_pb2 as api, completions_pb2_grpc

    message = api.Message(role=api.ROLE_USER, content=[api.ContentPart(text="May I return it?")])
    first = 0 if os.environ["HOSTNAME"] == "{PODS[0]}" else 1
    users = [f"user-{{number}}" for number in range(first, {USERS}, {len(PODS)})]

    async def main():
        async with grpc.aio.insecure_channel(os.environ["POINTSMAN_ADDRESS"]) as channel:
            completions = completions_pb2_grpc.CompletionsStub(channel)

            async def ask(user):
                request = api.CompleteRequest(messages=[message], hints=api.RoutingHints(user=user))
                return (await completions.Complete(request, timeout=30)).decision

            async def ask_all(users):
                asked, found = iter(users), {{}}

                async def work():
                    for user in asked:
                        found[user] = (await ask(user)).arm.model

                await asyncio.gather(*(work() for _ in range(16)))
                return found

            arms = await ask_all(users)
            again = await ask_all(users[:1000])
            moved = sum(arms[user] != arm for user, arm in again.items())
            canary = sum(arm == "next" for arm in arms.values())
            print(json.dumps({{"asked": len(arms), "canary": canary, "moved": moved}}), flush=True)
            said = None
            while True:
                for user in users:
                    decision = await ask(user)
                    arm = decision.arm
                    now = [arm.weight, arm.total_weight, arm.rolled_back] if arm.rolled_back else "split"
                    if now != said:
                        said = now
                        print(json.dumps({{"now": now, "model": decision.model, "why": decision.message}}), flush=True)
                    await asyncio.sleep(0.002)

    asyncio.run(main())
""")


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A namespace whose policy splits, and two apps in it."""

    cluster: Cluster
    node: OwnNode
    namespace: str
    stub: str

    def said(self, pod: str) -> list[dict[str, Any]]:
        """What an app said."""
        lines = self.node.said(self.namespace, pod, "app")
        return [json.loads(each) for each in lines if each.startswith("{")]

    def split(self) -> dict[str, Any]:
        """Where the split stands, by `kubectl get mrp -o yaml`."""
        value = json.loads(self.cluster.kubectl("get", "mrp", "support", "-n", self.namespace, "-o", "json").stdout)
        splits = value.get("status", {}).get("splits", [])
        found: dict[str, Any] = splits[0] if splits else {}
        return found

    def wide(self) -> str:
        """The policy's row of `kubectl get mrp -o wide`."""
        return self.cluster.kubectl("get", "mrp", "support", "-n", self.namespace, "-o", "wide").stdout

    def events(self) -> dict[str, str]:
        """The policy's Events: the note of each, by its reason."""
        found = json.loads(
            self.cluster.kubectl(
                *("get", "events", "-n", self.namespace, "-o", "json"),
                "--field-selector=involvedObject.kind=ModelRoutingPolicy",
            ).stdout
        )
        return {each["reason"]: each["message"] for each in found["items"]}

    def break_canary(self) -> None:
        """From now on the provider fails for the new model."""
        faults = json.dumps([{"model": NEXT, "status": 500}])
        done = self.node.inside(["curl", "-sf", "-X", "PUT", f"{self.stub}/faults", "-d", faults], network_only=True)
        assert done.returncode == 0, done


@pytest.fixture
def shop(installed: Installed, own_node: OwnNode, stub_url: str) -> Iterator[Shop]:
    """95 % on the old model and 5 % on the new one, whose failures the old one makes up for."""
    provider = installed.provide(url=stub_url, key=KEY)
    cluster = installed.cluster
    model = {
        "name": NEXT,
        "price": {"currency": "USD", "input": "2.50", "output": "10.00"},
        "contextWindow": 128000,
        "maxOutputTokens": 16384,
    }
    patch = json.dumps([{"op": "add", "path": "/spec/models/-", "value": model}])
    cluster.kubectl("patch", "modelprovider", provider, "--type=json", "-p", patch)
    namespace = replace(installed, provider=provider).app("canary")
    route = {
        "name": "new-mini",
        "when": {"user": {"exists": True}},
        "split": {
            "stickyBy": "User",
            "arms": [{"model": "mini", "weight": 95}, {"model": "next", "weight": 5}],
            "guard": {"minSamples": 100, "maxErrorPercent": 5},
        },
        "fallbacks": ["mini"],
    }
    used = {"name": "next", "providerRef": {"name": provider}, "model": NEXT}
    policy = [
        {"op": "add", "path": "/spec/models/-", "value": used},
        {"op": "add", "path": "/spec/routes", "value": [route]},
    ]
    cluster.kubectl("patch", "mrp", "support", "-n", namespace, "--type=json", "-p", json.dumps(policy))
    yield Shop(cluster=cluster, node=own_node, namespace=namespace, stub=stub_url.removesuffix("/v1") + "/stub")
    cluster.kubectl("delete", "pods", "--all", "-n", namespace, "--force", "--grace-period=0")


def test_a_new_model_gets_its_share_and_is_rolled_back_where_it_fails(
    installed: Installed, shop: Shop, images: dict[str, str]
) -> None:
    for name in PODS:
        start_app(installed, shop.namespace, image=images["sidecar"], code=ASKS, name=name)
    wait_until(lambda: all(map(shop.said, PODS)), seconds=180, what="both apps have had their answers")
    counted = [shop.said(name)[0] for name in PODS]
    asked, canary = (sum(each[what] for each in counted) for what in ("asked", "canary"))
    healthy = shop.split()

    assert asked == REQUESTS
    assert abs(100 * canary / asked - 5) < 1, counted
    assert [each["moved"] for each in counted] == [0, 0]
    assert (healthy["phase"], healthy["weight"]) == ("Progressing", 5)

    shop.break_canary()
    wait_until(
        lambda: shop.split().get("phase") == "RolledBack",
        seconds=150,
        what=f"the new model is rolled back; the status says {shop.split()}",
    )
    for name in PODS:
        wait_until(
            lambda name=name: shop.said(name)[-1].get("now") == [100, 100, "next"],
            seconds=30,
            what=f"the sidecar of {name} draws by it; its app says {shop.said(name)[-1]}",
        )
    wait_until(lambda: "SplitRolledBack" in shop.events(), seconds=20, what="an Event says so")
    rolled_back = shop.split()

    assert rolled_back["reason"] == "ErrorRate"
    assert rolled_back["weight"] == 0
    assert rolled_back["message"].startswith("next was rolled back at weight 5 of 100: it failed ")
    assert rolled_back["message"].endswith("more than 5 %; it stays so until the split changes")
    assert rolled_back["message"] in shop.events()["SplitRolledBack"]
    assert "new-mini RolledBack" in shop.wide()

    # Another holder of the Lease, and a sidecar that was not there before, know it as well.
    holder = installed.cluster.kubectl(
        *("get", "lease", installed.namespace, "-n", installed.namespace, "-o", "jsonpath={.spec.holderIdentity}")
    ).stdout.partition("_")[0]
    shop.cluster.kubectl("delete", "pod", holder, "-n", installed.namespace, "--force", "--grace-period=0")
    shop.node.kill_container(shop.namespace, PODS[0], "pointsman-sidecar")
    start_app(installed, shop.namespace, image=images["sidecar"], code=LATE, name="late")
    wait_until(lambda: len(shop.said("late")) == 1, seconds=60, what="the late app has had its answers")

    assert shop.said("late") == [{"models": ["mini"]}]
    assert shop.split() == rolled_back


# Asks for a hundred users, and says who answered. A sidecar that is just there may have no key yet.
LATE = python("""
    import json, os, signal, time, grpc
    from pointsman_api.v1 import completions_pb2 as api, completions_pb2_grpc

    message = api.Message(role=api.ROLE_USER, content=[api.ContentPart(text="May I return it?")])
    models, answered = set(), 0
    with grpc.insecure_channel(os.environ["POINTSMAN_ADDRESS"]) as channel:
        completions = completions_pb2_grpc.CompletionsStub(channel)
        while answered < 100:
            request = api.CompleteRequest(messages=[message], hints=api.RoutingHints(user=f"user-{answered}"))
            try:
                models.add(completions.Complete(request, timeout=30).decision.arm.model)
                answered += 1
            except grpc.RpcError as error:
                assert error.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.FAILED_PRECONDITION), error
                time.sleep(0.1)
    print(json.dumps({"models": sorted(models)}), flush=True)
    signal.sigwait([signal.SIGTERM])
""")
