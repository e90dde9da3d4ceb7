"""Calls to the Kubernetes API, and what becomes of its refusals."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pointsman_operator.resources import Key, Kind
from pointsman_operator.status import EventError, StatusConflictError, StatusUnavailableError
from pointsman_operator.watch import Cluster, ClusterError, Connector, NoConnectionError
from pointsman_operator.world import Change
from process.operator.fake_api import EVENTS, GROUP, NAMESPACES, PODS, POLICIES, PROVIDERS, QUOTAS, SECRETS, FakeApi
from pure.operator.objects import OPERATOR_NAMESPACE, Json, namespace, pod, policy, provider, quota, secret
from support.waiting import until

SUPPORT = Key("shop", "support")


@pytest.fixture
async def api() -> AsyncIterator[FakeApi]:
    async with FakeApi.running() as running:
        yield running


@pytest.fixture
async def cluster(api: FakeApi, tmp_path: Path) -> AsyncIterator[Cluster]:
    connector = Connector(kubeconfig=api.kubeconfig(tmp_path))
    async with Cluster(connector, secrets_namespace=OPERATOR_NAMESPACE) as made:
        yield made


async def written_once_watched(
    api: FakeApi, watch: AsyncIterator[tuple[Change | None, Json]]
) -> tuple[Change | None, Json]:
    """The first event of a watch, which is made once the watch is there."""
    task = asyncio.ensure_future(anext(watch))
    await until(lambda: api.watched(SECRETS))
    api.write(SECRETS, secret("openai", key="sk"))
    return await task


async def test_the_pages_of_a_list_are_one_list(api: FakeApi, cluster: Cluster) -> None:
    for name in "abcde":
        api.write(NAMESPACES, namespace(name))
    api.page_size = 2

    listing = await cluster.list(Kind.NAMESPACE, read=dict)

    assert [item["metadata"]["name"] for item in listing.items] == list("abcde")
    assert listing.resource_version == "105"


async def test_each_kind_has_its_place(api: FakeApi, cluster: Cluster) -> None:
    api.write(POLICIES, policy())
    api.write(PROVIDERS, provider())
    api.write(NAMESPACES, namespace())
    api.write(QUOTAS, quota())
    api.write(SECRETS, secret("openai", key="sk"))

    api.write(PODS, pod())

    names = {kind: (await cluster.list(kind, read=dict)).items[0]["metadata"]["name"] for kind in Kind}

    assert names == {
        Kind.POLICY: "support",
        Kind.PROVIDER: "openai",
        Kind.QUOTA: "month",
        Kind.NAMESPACE: "shop",
        Kind.SECRET: "openai",
        Kind.POD: "app-1",
    }


async def test_of_pods_only_what_is_looked_at_is_kept(api: FakeApi, cluster: Cluster) -> None:
    looked_at = {"pointsman.dev/injection": "abc", "kubernetes.io/config.mirror": "x"}
    whole = pod(annotations={**looked_at, "kubectl.kubernetes.io/last-applied-configuration": "{}"})
    owners = [{"kind": "StatefulSet", "name": "db", "controller": True}]
    more = {"managedFields": [{}], "ownerReferences": owners, "deletionTimestamp": "2026-03-01T10:00:00Z"}
    whole["metadata"] |= more
    api.write(PODS, {**whole, "spec": {}})

    (kept,) = (await cluster.list(Kind.POD, read=dict)).items

    assert kept.keys() == {"metadata"}
    assert kept["metadata"]["annotations"] == looked_at
    assert kept["metadata"]["ownerReferences"] == owners
    assert "deletionTimestamp" in kept["metadata"]
    assert "managedFields" not in kept["metadata"]


async def test_credentials_that_were_exchanged_are_read_again(api: FakeApi, cluster: Cluster, tmp_path: Path) -> None:
    await cluster.list(Kind.NAMESPACE, read=dict)
    api.token = "second"
    api.kubeconfig(tmp_path)

    assert (await cluster.list(Kind.NAMESPACE, read=dict)).items == []


async def test_credentials_that_are_no_good_are_tried_once_more_and_not_for_ever(
    api: FakeApi, cluster: Cluster
) -> None:
    api.token = "unknown to the operator"

    with pytest.raises(ClusterError, match="401: Unauthorized"):
        await cluster.list(Kind.NAMESPACE, read=dict)


async def test_a_missing_permission_says_what_to_do(api: FakeApi, cluster: Cluster) -> None:
    api.failing[SECRETS] = 403

    with pytest.raises(ClusterError, match=r"403: made to fail; give the operator's service account"):
        await cluster.list(Kind.SECRET, read=dict)


async def test_missing_crds_are_named(api: FakeApi, cluster: Cluster) -> None:
    api.failing[POLICIES] = 404

    with pytest.raises(ClusterError, match=r"modelroutingpolicies\.pointsman\.dev; install the CRDs"):
        await cluster.list(Kind.POLICY, read=dict)


async def test_a_server_that_is_away_is_an_error_to_try_again(cluster: Cluster, api: FakeApi) -> None:
    api.failing[POLICIES] = 503
    api.failing[f"{GROUP}/namespaces/shop/modelroutingpolicies/support/status"] = 503

    with pytest.raises(ClusterError, match="503"):
        await cluster.list(Kind.POLICY, read=dict)
    with pytest.raises(StatusUnavailableError):
        await cluster.write_status(Kind.POLICY, SUPPORT, resource_version="1", status={})


async def test_an_answer_that_is_not_the_api_servers_is_an_error_to_try_again(
    api: FakeApi, cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(api, "page", {"welcome": "please log in"})

    with pytest.raises(ClusterError, match="cannot be read"):
        await cluster.list(Kind.POLICY, read=dict)


async def test_a_status_is_written_to_the_object_that_was_seen(api: FakeApi, cluster: Cluster) -> None:
    api.write(POLICIES, policy())
    api.write(PROVIDERS, provider())

    written = await cluster.write_status(Kind.POLICY, SUPPORT, resource_version="101", status={"observedGeneration": 1})
    await cluster.write_status(
        Kind.PROVIDER, Key("", "openai"), resource_version="102", status={"observedGeneration": 1}
    )

    assert written["metadata"]["resourceVersion"] == "103"
    assert [patch["path"] for patch in api.patches] == [
        "/apis/pointsman.dev/v1alpha1/namespaces/shop/modelroutingpolicies/support/status",
        "/apis/pointsman.dev/v1alpha1/modelproviders/openai/status",
    ]
    assert {patch["type"] for patch in api.patches} == {"application/merge-patch+json"}


async def test_a_status_of_an_object_that_has_changed_or_gone_is_not_written(api: FakeApi, cluster: Cluster) -> None:
    api.write(POLICIES, policy())

    with pytest.raises(StatusConflictError):
        await cluster.write_status(Kind.POLICY, SUPPORT, resource_version="1", status={})
    api.delete(POLICIES, "support")
    with pytest.raises(StatusConflictError):
        await cluster.write_status(Kind.POLICY, SUPPORT, resource_version="101", status={})


async def test_an_event_is_made_once_and_a_refusal_is_an_error(api: FakeApi, cluster: Cluster) -> None:
    value: Json = {"metadata": {"name": "month.1", "namespace": "shop"}, "reason": "Exhausted"}

    await cluster.create_event(value)
    await cluster.create_event(value)

    assert api.events == {"month.1": value}
    api.failing[f"{EVENTS}/namespaces/shop/events"] = 403
    with pytest.raises(EventError, match="403"):
        await cluster.create_event(value)


async def test_secrets_are_watched_until_the_server_ends_the_stream(api: FakeApi, cluster: Cluster) -> None:
    watch = cluster.watch_secrets(since="100")
    first = await written_once_watched(api, watch)
    api.delete(SECRETS, "openai")
    api.end_watches(SECRETS)
    seen = [first, *[each async for each in watch]]

    assert [(change, value["metadata"]["name"]) for change, value in seen] == [
        (Change.WRITTEN, "openai"),
        (Change.DELETED, "openai"),
    ]


async def test_a_watch_that_lies_too_far_back_is_an_error(api: FakeApi, cluster: Cluster) -> None:
    watch = cluster.watch_secrets(since="100")
    await written_once_watched(api, watch)
    api.expire(SECRETS)

    with pytest.raises(ClusterError, match="too old"):
        await anext(watch)


async def test_without_a_kubeconfig_it_is_said_what_to_set(tmp_path: Path) -> None:
    with pytest.raises(NoConnectionError, match="--kubeconfig"):
        await Connector(kubeconfig=str(tmp_path / "none")).configuration()


async def test_kopf_connects_as_the_client_does(api: FakeApi, tmp_path: Path) -> None:
    connection = await Connector(kubeconfig=api.kubeconfig(tmp_path)).kopf_connection()

    assert (connection.server, connection.scheme, connection.token) == (api.url, "Bearer", "first")
