"""Attempts to be served as somebody else, with the chart's operator and tokens that a kubelet projected: none succeeds.

What needs another clock or another API server is in tests/cluster/test_identity.py: fresh tokens, an API server that is
away, a deleted CA. Of ends of tokens there is more in tests/process/operator/test_proven_identity.py.
"""

import base64
import hashlib
import json
from dataclasses import dataclass, replace
from typing import Any

import pytest

from cluster.harness.cluster import Cluster
from cluster.harness.node.own import OwnNode
from cluster.harness.node.pods import container, pod, python, wait_ready
from node.attacks import FOR_ANOTHER, FOR_API, OWN, Attempt, Heard, attack, signed_anew, token_of_a_pod
from node.chart import Installed
from process.operator.proofs import authority

KEYS = {"shop": "the-key-of-the-shop", "lab": "the-key-of-the-lab"}


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Two namespaces, each with a policy, a provider that only it may use, and that provider's key."""

    installed: Installed
    cluster: Cluster
    image: str
    ca: str
    shop: str
    lab: str

    def attempt(self, **more: Any) -> Attempt:
        """An attempt as a sidecar would make it, but for what is said."""
        host = f"{self.installed.namespace}.{self.installed.namespace}.svc"
        return Attempt(operator=f"{host}:9443", **{"ca": self.ca, **more})

    def attack(self, *attempts: Attempt, name: str) -> list[Heard]:
        """Try each from a pod of the lab."""
        return attack(self.cluster, self.lab, self.image, *attempts, name=name)

    def entitled(self, namespace: str) -> tuple[str, list[str]]:
        """What pods of a namespace are to be given: the policy, and hashes of keys."""
        (key,) = [KEYS[name] for name in KEYS if namespace.startswith(f"{name}-")]
        return f"{namespace}/support", [hashlib.sha256(key.encode()).hexdigest()]


@pytest.fixture(scope="module")
def scene(installed: Installed, images: dict[str, str]) -> Scene:
    """The two namespaces. A pod of the shop runs with its sidecar; the lab is where attackers are."""
    cluster = installed.cluster
    secret = cluster.kubectl("get", "secret", "pointsman-ca", "-n", installed.namespace, "-o", "json").stdout
    namespaces = {}
    for name, key in KEYS.items():
        team = cluster.unique(name)
        selector = {"from": "Selector", "selector": {"matchLabels": {"team": team}}}
        provider = installed.provide(url="http://127.0.0.1:9/v1", key=key, allowed=selector)
        namespaces[name] = replace(installed, provider=provider).app(name)
        cluster.kubectl("label", "namespace", namespaces[name], f"team={team}")
    waits = python("import signal; signal.sigwait([signal.SIGTERM])")
    cluster.apply(
        pod("victim", "containers:\n" + container("app", images["sidecar"], waits)), namespace=namespaces["shop"]
    )
    wait_ready(cluster, namespaces["shop"], "victim")
    ca = base64.b64decode(json.loads(secret)["data"]["ca.crt"]).decode()
    return Scene(installed=installed, cluster=cluster, image=images["sidecar"], ca=ca, **namespaces)


def test_an_app_that_mounts_a_token_of_ours_gets_what_its_own_namespace_is_entitled_to(scene: Scene) -> None:
    claims = {"namespace": scene.shop, "pod": "victim", "labels": {"app": "victim"}}

    plain, claiming = scene.attack(
        scene.attempt(file=OWN), scene.attempt(file=OWN, claims=claims), name="mounts-a-token"
    )

    assert (plain.policy, plain.keys) == scene.entitled(scene.lab)
    # The token of another namespace with the shop claimed, and a pod that asks for another's policy.
    assert claiming == plain


def test_a_pod_gets_the_policy_for_its_own_labels_and_not_the_one_that_it_asks_for(scene: Scene) -> None:
    special = scene.cluster.kubectl("get", "mrp", "support", "-n", scene.lab, "-o", "json").stdout
    spec = {**json.loads(special)["spec"], "selector": {"matchLabels": {"app": "special"}}}
    value = {"apiVersion": "pointsman.dev/v1alpha1", "kind": "ModelRoutingPolicy", "metadata": {"name": "special"}}
    scene.cluster.apply(json.dumps({**value, "spec": spec}), namespace=scene.lab)
    claims = {"namespace": scene.lab, "pod": "special", "labels": {"app": "special"}}

    (heard,) = scene.attack(scene.attempt(file=OWN, claims=claims), name="not-special")

    assert heard.policy == f"{scene.lab}/support"
    scene.cluster.kubectl("delete", "mrp", "special", "-n", scene.lab)


def test_without_a_token_for_the_operator_nothing_is_given(scene: Scene) -> None:
    claims = {"namespace": scene.shop, "pod": "victim", "labels": {"app": "victim"}}

    none, for_another, for_the_api, made_up = scene.attack(
        scene.attempt(claims=claims),
        scene.attempt(file=FOR_ANOTHER),
        scene.attempt(file=FOR_API),
        scene.attempt(token="e30.e30.c2ln"),
        name="no-token-of-ours",
    )

    assert [each.refused for each in (none, for_another, for_the_api, made_up)] == [True] * 4
    assert "the hello has no token" in none.details
    for each in (for_another, for_the_api):
        assert "the API server does not accept the token" in each.details


def test_the_token_of_a_deleted_pod_is_worth_nothing(scene: Scene) -> None:
    token = token_of_a_pod(scene.cluster, scene.shop, scene.image, name="gone")
    scene.cluster.kubectl("delete", "pod", "gone", "-n", scene.shop, "--wait")

    (heard,) = scene.attack(scene.attempt(token=token), name="has-a-dead-ones")

    assert heard.refused
    assert "is gone" in heard.details or "does not accept" in heard.details


def test_plain_text_and_a_ca_that_is_not_the_operators_get_no_connection(scene: Scene) -> None:
    other_ca = authority().certificate.decode()

    plain, unknown = scene.attack(
        scene.attempt(file=OWN, ca=""), scene.attempt(file=OWN, ca=other_ca), name="no-tls-of-ours"
    )

    assert [each.code for each in (plain, unknown)] == ["UNAVAILABLE"] * 2
    assert [(each.policy, each.keys) for each in (plain, unknown)] == [("", [])] * 2


def test_a_token_that_has_expired_is_refused_and_a_stream_ends_with_its_token(scene: Scene, own_node: OwnNode) -> None:
    # Both are properly signed, which an API server would do for ten minutes at the least.
    token = token_of_a_pod(scene.cluster, scene.lab, scene.image, name="sleeper")
    key = own_node.signing_key()

    expired, kept_open = scene.attack(
        scene.attempt(token=signed_anew(token, key=key, lives=-30)),
        scene.attempt(token=signed_anew(token, key=key, lives=20), until_end=True),
        name="out-of-time",
    )

    assert expired.refused
    assert "has expired" in expired.details
    assert (kept_open.policy, kept_open.keys) == scene.entitled(scene.lab)
    assert kept_open.code == "UNAUTHENTICATED"
    assert "the token has expired, and no fresh one that could be checked came before" in kept_open.details
