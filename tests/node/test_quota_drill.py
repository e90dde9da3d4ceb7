"""A namespace runs into its limit by steps that `kubectl` shows, and is freed by a higher one."""

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

pytestmark = pytest.mark.timeout(300)
LIMIT, RAISED = 20_000, 10_000_000
LONG, SHORT = 120, 20
# Says, whenever it changes, how a call ends: the model, whether its answer was cut short and by whom; or the refusal.
# One call of ten is of a dispute, for which there is a protected route.
ASKS = python(f"""
    import itertools, json, os, time, grpc
    from pointsman_api.v1 import completions_pb2 as api, completions_pb2_grpc, types_pb2

    message = api.Message(role=api.ROLE_USER, content=[api.ContentPart(text="May I return it?")])
    plain = api.RoutingHints(severity=types_pb2.SEVERITY_HIGH)
    dispute = api.RoutingHints(metadata={{"dispute": "yes"}})
    before = {{}}
    with grpc.insecure_channel(os.environ["POINTSMAN_ADDRESS"]) as channel:
        completions = completions_pb2_grpc.CompletionsStub(channel)
        for turn in itertools.count():
            hints = plain if turn % 10 else dispute
            request = api.CompleteRequest(messages=[message], max_tokens={LONG}, hints=hints)
            try:
                decision = completions.Complete(request, timeout=10).decision
                said = {{"model": decision.model, "reason": decision.message}}
                said["changes"] = [f"{{each.sent}}: {{each.message}}" for each in decision.changes]
                said["short"] = decision.usage.output_tokens <= {SHORT}
            except grpc.RpcError as error:
                said = {{"code": error.code().name, "details": error.details()}}
            # How much is used changes with each refusal, and how it ends does not.
            key = {{name: said[name] for name in said if name != "details"}}
            kind = "plain" if turn % 10 else "dispute"
            if key != before.get(kind):
                before[kind] = key
                print(json.dumps({{"kind": kind, **said}}), flush=True)
            time.sleep(0.05)
""")


@dataclass(frozen=True, kw_only=True)
class Shop:
    """A namespace with a budget and an app that spends it as fast as it is answered."""

    cluster: Cluster
    node: OwnNode
    namespace: str

    def said(self, kind: str = "plain") -> list[dict[str, Any]]:
        """What came of the app's calls of a kind, each time that it changed."""
        lines = self.node.said(self.namespace, "app", "app")
        return [said for said in map(json.loads, (each for each in lines if each[0] == "{")) if said["kind"] == kind]

    def wait(self, what: str, **wanted: object) -> dict[str, Any]:
        """Wait until the last call ended like this."""

        def ended() -> bool:
            said = self.said()
            return bool(said) and all(said[-1].get(name) == value for name, value in wanted.items())

        wait_until(ended, seconds=90, what=f"{what}; the app says {self.said()}")
        return self.said()[-1]

    def quota(self) -> dict[str, Any]:
        """The quota as the API server has it."""
        found: dict[str, Any] = json.loads(self.kubectl("get", "tq", "month", "-o", "json"))
        return found

    def limit(self, tokens: int) -> None:
        """Change the limit."""
        self.kubectl("patch", "tq", "month", "--type=merge", "-p", json.dumps({"spec": {"limit": {"tokens": tokens}}}))

    def kubectl(self, *arguments: str) -> str:
        """What kubectl prints, in the namespace."""
        return self.cluster.kubectl(*arguments, "-n", self.namespace).stdout

    def events(self) -> set[str]:
        """The reasons of the quota's Events."""
        found = json.loads(
            self.kubectl("get", "events", "--field-selector=involvedObject.kind=TokenQuota", "-o", "json")
        )
        return {each["reason"] for each in found["items"]}


@pytest.fixture
def shop(installed: Installed, own_node: OwnNode, stub_url: str) -> Iterator[Shop]:
    """A namespace whose severe requests go to the flagship, with a budget that takes an app half a minute."""
    provider = installed.provide(url=stub_url, key=KEY)
    cluster = installed.cluster
    flagship = {
        "name": "gpt-4o",
        "price": {"currency": "USD", "input": "2.50", "output": "10.00"},
        "contextWindow": 128000,
        "maxOutputTokens": 16384,
    }
    patch = json.dumps([{"op": "add", "path": "/spec/models/-", "value": flagship}])
    cluster.kubectl("patch", "modelprovider", provider, "--type=json", "-p", patch)
    namespace = replace(installed, provider=provider).app("budget")
    severe = {"name": "severe", "when": {"severity": {"in": ["High"]}}, "model": "flagship"}
    disputes = {
        "name": "disputes",
        "when": {"metadata": {"key": "dispute", "exists": True}},
        "model": "flagship",
        "protected": True,
    }
    policy = [
        {
            "op": "add",
            "path": "/spec/models/-",
            "value": {"name": "flagship", "providerRef": {"name": provider}, "model": "gpt-4o"},
        },
        {"op": "add", "path": "/spec/routes", "value": [disputes, severe]},
    ]
    cluster.kubectl("patch", "mrp", "support", "-n", namespace, "--type=json", "-p", json.dumps(policy))
    quota = {
        "apiVersion": "pointsman.dev/v1alpha1",
        "kind": "TokenQuota",
        "metadata": {"name": "month"},
        "spec": {
            "window": "Month",
            "limit": {"tokens": LIMIT},
            "steps": [{"atPercent": 40, "maxOutputTokens": SHORT}, {"atPercent": 60, "only": "DefaultModel"}],
        },
    }
    cluster.apply(json.dumps(quota), namespace=namespace)
    return Shop(cluster=cluster, node=own_node, namespace=namespace)


def test_a_namespace_runs_into_its_limit_step_by_step_and_is_freed_by_a_higher_one(
    installed: Installed, shop: Shop, images: dict[str, str]
) -> None:
    start_app(installed, shop.namespace, image=images["sidecar"], code=ASKS)

    refused = shop.wait("the budget is used up", code="RESOURCE_EXHAUSTED")
    wait_until(
        lambda: condition(shop.quota(), "Exhausted") == "True", seconds=60, what="the quota says that it is exhausted"
    )
    shown = shop.kubectl("get", "tq", "month")
    wait_until(
        lambda: shop.events() >= {"Reached40Percent", "Reached60Percent", "Exhausted"},
        seconds=30,
        what=f"an Event for each step; there are {shop.events()}",
    )
    quota = shop.quota()
    shop.limit(RAISED)
    shop.wait("a higher limit frees the namespace", model="flagship", short=False)
    wait_until(lambda: condition(shop.quota(), "Exhausted") == "False", seconds=60, what="the quota says so, too")

    steps = [(said["model"], said["short"]) for said in shop.said() if "model" in said]
    assert steps == [("flagship", False), ("flagship", True), ("mini", True), ("flagship", False)]
    shorter, cheaper = shop.said()[1:3]
    name = f"TokenQuota {shop.namespace}/month"
    assert shorter["changes"] == [f"{SHORT}: {name} is so far spent that an answer has at most {SHORT} tokens"]
    assert cheaper["reason"] == f"{name} is so far spent that only the default model is used"
    assert refused["details"].startswith(f"{name} has too little left")
    assert "it resets at " in refused["details"]
    # A protected route's answers are whole and the flagship's up to the end, and then there are none.
    disputes = [(said["model"], said["short"]) if "model" in said else said["code"] for said in shop.said("dispute")]
    assert disputes[:2] == [("flagship", False), "RESOURCE_EXHAUSTED"]
    header, row = shown.splitlines()
    assert header.split() == ["NAME", "SCOPE", "WINDOW", "USED", "LIMIT", "RESETS", "AGE"]
    used = int(row.split()[3].removesuffix("%"))
    assert 99 <= used <= 100
    # What was used never passed the limit: no call used more than was reserved for it.
    assert int(quota["status"]["used"]) + int(quota["status"]["held"]) <= LIMIT


def test_an_app_team_that_edits_policies_cannot_edit_the_quota(shop: Shop) -> None:
    cluster, namespace = shop.cluster, shop.namespace
    team = cluster.kubectl_as(cluster.kubeconfig_for("team", namespace=namespace))
    cluster.kubectl(
        "create", "rolebinding", "team", "--clusterrole=edit", f"--serviceaccount={namespace}:team", "-n", namespace
    )
    here = ("-n", namespace, "--type=merge", "-p")

    def patched(kind: str, name: str, spec: dict[str, Any]) -> Any:
        return team("patch", kind, name, *here, json.dumps({"spec": spec}), check=False)

    wait_until(
        lambda: patched("mrp", "support", {"limits": {"maxOutputTokens": 500}}).returncode == 0,
        seconds=30,
        what="the team edits its policy",
    )
    denied = patched("tq", "month", {"limit": {"tokens": RAISED}})
    deleted = team("delete", "tq", "month", "-n", namespace, check=False)

    for each in (denied, deleted):
        assert each.returncode != 0
        assert "Forbidden" in each.stderr or "forbidden" in each.stderr
    assert shop.quota()["spec"]["limit"] == {"tokens": LIMIT}


def condition(quota: dict[str, Any], kind: str) -> str:
    """A condition's status; empty where there is none of this type."""
    found = quota.get("status", {}).get("conditions", ())
    return next((each["status"] for each in found if each["type"] == kind), "")
