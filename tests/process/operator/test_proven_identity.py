"""A sidecar is what its token proves, for as long as it does: over real TLS, with an API server that tests lead."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2_grpc
from pointsman_operator.identity import IdentityMetrics, Pacer, Presence, ProvenIdentity, Reviewer
from pointsman_operator.identity import presence as presence_module
from pointsman_operator.push import ControlService, Hub, HubMetrics
from pointsman_operator.push import service as service_module
from pointsman_operator.resources import Key, Kind, Pod
from pointsman_operator.tls import KeyPair, ServingCertificates
from pointsman_operator.watch import Cluster, ClusterProofs, Connector
from pointsman_operator.world import Change
from process.operator.fake_api import PODS, REVIEWS, FakeApi
from process.operator.proofs import AUDIENCE, NAME, authority, channel, leaf, make_token, review
from process.operator.streams import Stream
from pure.operator.objects import OPERATOR_NAMESPACE, Json, pod, policy, provider, world
from support.waiting import until

LATER = 4_000_000_000.0
APP_A = {"selector": {"matchLabels": {"app": "a"}}}


@dataclass
class Plane:
    """A control plane that asks a fake API server for proofs, on a real port."""

    api: FakeApi
    hub: Hub
    serving: ServingCertificates
    authority: KeyPair
    address: str
    registry: CollectorRegistry
    ahead: list[float] = field(default_factory=list)
    version: int = 200

    def channel(self) -> grpc.aio.Channel:
        """A channel that trusts the plane."""
        return channel(self.address, trusted=self.authority.certificate)

    def token(self, name: str = "app-1", *, expires: float = LATER, **more: Any) -> str:
        """A token that the API server accepts for a pod."""
        text = make_token(expires=expires)
        self.api.tokens[text] = review(name, **more)
        return text

    def write(self, kind: Kind, value: Json) -> None:
        """A watch tells of a write."""
        self._observe(kind, Change.WRITTEN, value)

    def forget(self, kind: Kind, value: Json) -> None:
        """A watch tells that an object is gone, or looks like what it is asked for no longer."""
        self._observe(kind, Change.DELETED, value)

    def _observe(self, kind: Kind, change: Change, value: Json) -> None:
        self.version += 1
        metadata = {**value["metadata"], "resourceVersion": str(self.version)}
        self.hub.update(self.hub.world.observe(kind, change, {**value, "metadata": metadata}))

    def counted(self, result: str) -> float:
        """How many tokens were checked with this result."""
        labels = {"result": result}
        return self.registry.get_sample_value("pointsman_operator_token_checks_total", labels) or 0.0


@asynccontextmanager
async def running(folder: Path) -> AsyncIterator[Plane]:
    async with FakeApi.running() as api:
        connector = Connector(kubeconfig=api.kubeconfig(folder))
        async with Cluster(connector, secrets_namespace=OPERATOR_NAMESPACE) as cluster:
            registry = CollectorRegistry()
            hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(registry))
            proofs = ClusterProofs(cluster)
            pacer = Pacer(clock=time.monotonic, random=lambda: 0.0)
            metrics = IdentityMetrics(registry)
            ahead = [0.0]

            def known(key: Key) -> Pod | None:
                return hub.world.pods.get(key)

            def now() -> float:
                return time.time() + ahead[0]

            reviewer = Reviewer(proofs, audience=AUDIENCE, pacer=pacer, metrics=metrics, now=now)
            identity = ProvenIdentity(reviewer, proofs=proofs, known=known)
            presence = Presence(hub, proofs=proofs, reviewer=reviewer, pacer=pacer, metrics=metrics, random=lambda: 0.5)

            async def relist() -> None:
                pass

            service = ControlService(hub, identifier=identity, relist=relist, now=now, random=lambda: 0.0)
            server = grpc.aio.server()
            control_pb2_grpc.add_ControlServicer_to_server(service, server)
            serving, signing = ServingCertificates(), authority()
            serving.on_change(lambda: hub.trust(serving.ca_bundle))
            serving.put(leaf(signing), ca_bundle=signing.certificate)
            port = server.add_secure_port("127.0.0.1:0", serving.grpc_credentials())
            await server.start()
            looking = asyncio.create_task(presence.run())
            try:
                yield Plane(
                    api=api,
                    hub=hub,
                    serving=serving,
                    authority=signing,
                    address=f"127.0.0.1:{port}",
                    registry=registry,
                    ahead=ahead,
                )
            finally:
                looking.cancel()
                service.close()
                await server.stop(grace=1)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    """A plane that knows a pod of namespace shop, with the label app=a, and a policy for it."""
    async with running(tmp_path) as started:
        started.api.write(PODS, pod(labels={"app": "a"}))
        seen = world(
            policies=[policy(), policy("special", **APP_A), policy("other", namespace="lab")], providers=[provider()]
        )
        started.hub.update(seen.relist(Kind.POD, [pod(labels={"app": "a"})], resource_version="150"))
        yield started


@pytest.fixture
async def wire(plane: Plane) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to the plane."""
    async with plane.channel() as opened:
        yield opened


async def refusal(wire: grpc.aio.Channel, token: str, **claims: Any) -> tuple[grpc.StatusCode, str]:
    """How a stream that begins with this token ends."""
    try:
        return await (await Stream.connect(wire, token=token, **claims)).end()
    except grpc.aio.AioRpcError as error:  # there was no connection to begin with
        return error.code(), error.details() or ""


async def test_a_sidecar_is_served_by_what_its_token_proves_whatever_it_claims(
    plane: Plane, wire: grpc.aio.Channel
) -> None:
    stream = await Stream.connect(wire, token=plane.token(), namespace="lab", pod="boss", labels={"app": "z"})

    assert (await stream.snapshot()).snapshot.policy.name == "special"
    (session,) = plane.hub.sidecars()
    assert (session.peer.namespace, session.peer.pod, session.peer.labels) == ("shop", "app-1", {"app": "a"})
    assert session.peer.workload == "Pod/app-1"


async def test_a_pod_that_is_not_watched_gets_what_its_own_namespace_and_labels_entitle_it_to(
    plane: Plane, wire: grpc.aio.Channel
) -> None:
    by_hand = pod("by-hand", namespace="lab")
    by_hand["metadata"]["ownerReferences"] = [{"kind": "StatefulSet", "name": "db", "controller": True}]
    plane.api.write(PODS, by_hand)

    stream = await Stream.connect(wire, token=plane.token("by-hand", namespace="lab"))

    assert (await stream.snapshot()).snapshot.policy.namespace == "lab"
    (session,) = plane.hub.sidecars()
    assert session.peer.workload == "StatefulSet/db"


@pytest.mark.parametrize(
    ("said", "sentence"),
    [
        pytest.param({"authenticated": False, "error": "expired"}, "does not accept the token: expired", id="expired"),
        pytest.param({"audiences": ["vault"]}, "the token is not for the audience pointsman.dev", id="audience"),
        pytest.param({"user": {"username": "alice"}}, "the token is no service account's", id="person"),
    ],
)
async def test_a_token_that_proves_no_pod_is_refused(
    plane: Plane, wire: grpc.aio.Channel, said: Json, sentence: str
) -> None:
    code, details = await refusal(wire, plane.token(**said))

    assert code == grpc.StatusCode.UNAUTHENTICATED
    assert sentence in details
    assert plane.counted("refused") == 1


async def test_without_a_token_a_claim_is_worth_nothing_and_nobody_is_asked(
    plane: Plane, wire: grpc.aio.Channel
) -> None:
    code, details = await refusal(wire, "", namespace="shop", pod="app-1")

    assert code == grpc.StatusCode.UNAUTHENTICATED
    assert "believes no claim" in details
    assert not plane.api.reviewed


async def test_a_token_of_a_pod_whose_name_another_has_now_is_refused(plane: Plane, wire: grpc.aio.Channel) -> None:
    code, details = await refusal(wire, plane.token(uid="uid-of-an-earlier-app-1"))

    assert (code, details) == (
        grpc.StatusCode.UNAUTHENTICATED,
        "the pod shop/app-1 that the token is bound to is gone",
    )


async def test_streams_that_begin_with_one_token_cost_one_review(plane: Plane, wire: grpc.aio.Channel) -> None:
    token = plane.token()
    plane.api.held[REVIEWS] = asyncio.Event()
    both = [await Stream.connect(wire, token=token) for _ in range(2)]
    # Whoever is second takes the first one's place, so one of them is served in the end.
    plane.api.held[REVIEWS].set()
    await until(lambda: len(plane.hub.sidecars()) == 1)
    again = await Stream.connect(wire, token=token)
    await again.snapshot()

    assert plane.api.reviewed == [token]
    assert plane.counted("remembered") >= 1
    for stream in both:
        stream.cancel()


async def test_while_the_api_server_is_away_known_tokens_are_good_and_others_must_wait(
    plane: Plane, wire: grpc.aio.Channel
) -> None:
    known, unknown = plane.token(), plane.token()
    first = await Stream.connect(wire, token=known)
    await first.snapshot()
    plane.api.failing[REVIEWS] = 503

    code, details = await refusal(wire, unknown)
    again = await Stream.connect(wire, token=known)

    assert code == grpc.StatusCode.UNAVAILABLE
    assert "the token cannot be checked now" in details
    assert (await again.snapshot()).generation == 1


async def test_an_answer_is_asked_for_again_after_a_minute(plane: Plane, wire: grpc.aio.Channel) -> None:
    token = plane.token()
    first = await Stream.connect(wire, token=token)
    await first.snapshot()
    plane.ahead[0] += 61
    plane.api.tokens[token] = {"authenticated": False, "error": "the service account is gone"}

    code, details = await refusal(wire, token)

    assert code == grpc.StatusCode.UNAUTHENTICATED
    assert "the service account is gone" in details


async def test_a_stream_is_cut_when_its_token_expires(plane: Plane, wire: grpc.aio.Channel) -> None:
    stream = await Stream.connect(wire, token=plane.token(expires=time.time() + 0.5))
    await stream.ack((await stream.snapshot()).nonce)

    assert await stream.end() == (
        grpc.StatusCode.UNAUTHENTICATED,
        "the token has expired, and no fresh one that could be checked came before",
    )


async def test_a_fresh_token_keeps_the_stream_past_the_end_of_the_one_before(
    plane: Plane, wire: grpc.aio.Channel
) -> None:
    stream = await Stream.connect(wire, token=plane.token(expires=time.time() + 100))
    await stream.ack((await stream.snapshot()).nonce)
    (session,) = plane.hub.sidecars()

    await stream.renew(plane.token())
    await until(lambda: session.peer.expires == LATER)
    plane.ahead[0] = 1000
    plane.write(Kind.POLICY, policy("special", generation=2, **APP_A))

    assert (await stream.snapshot()).generation == 2


async def test_a_fresh_token_of_another_pod_ends_the_stream(plane: Plane, wire: grpc.aio.Channel) -> None:
    plane.api.write(PODS, pod("boss", namespace="lab"))
    stream = await Stream.connect(wire, token=plane.token())
    await stream.snapshot()

    await stream.renew(plane.token("boss", namespace="lab"))

    assert await stream.end() == (
        grpc.StatusCode.UNAUTHENTICATED,
        "the fresh token is of pod lab/boss, and the stream of another",
    )


async def test_a_fresh_token_that_is_not_accepted_ends_the_stream(plane: Plane, wire: grpc.aio.Channel) -> None:
    stream = await Stream.connect(wire, token=plane.token())
    await stream.snapshot()

    await stream.renew(make_token(expires=LATER))

    code, details = await stream.end()
    assert code == grpc.StatusCode.UNAUTHENTICATED
    assert "does not accept the token" in details


async def test_a_fresh_token_waits_for_an_api_server_that_is_away_and_the_stream_goes_on(
    plane: Plane, wire: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "RENEWAL_RETRY_SECONDS", 0.02)
    stream = await Stream.connect(wire, token=plane.token(expires=time.time() + 100))
    first = await stream.snapshot()
    (session,) = plane.hub.sidecars()
    plane.api.failing[REVIEWS] = 503

    await stream.renew(plane.token())
    await until(lambda: plane.counted("unavailable") > 2)
    await stream.ack(first.nonce)
    plane.write(Kind.POLICY, policy("special", generation=2, **APP_A))
    assert (await stream.snapshot()).generation == 2
    plane.api.failing.clear()

    await until(lambda: session.peer.expires == LATER)


async def test_a_sidecar_whose_pod_is_deleted_is_cut_off(plane: Plane, wire: grpc.aio.Channel) -> None:
    token = plane.token()
    stream = await Stream.connect(wire, token=token)
    await stream.snapshot()

    plane.api.delete(PODS, "app-1")
    plane.forget(Kind.POD, pod())

    gone = (grpc.StatusCode.UNAUTHENTICATED, "the pod shop/app-1 is gone")
    assert await stream.end() == gone
    # Its token is refused too, though it was accepted less than a minute ago.
    code, details = await refusal(wire, token)
    assert code == grpc.StatusCode.UNAUTHENTICATED
    assert "is gone" in details


async def test_a_sidecar_whose_pod_was_made_again_under_its_name_is_cut_off(
    plane: Plane, wire: grpc.aio.Channel
) -> None:
    stream = await Stream.connect(wire, token=plane.token())
    await stream.snapshot()

    plane.api.write(PODS, pod(uid="another"))
    plane.write(Kind.POD, pod(uid="another"))

    assert (await stream.end())[0] == grpc.StatusCode.UNAUTHENTICATED


async def test_a_pod_that_only_lost_the_label_by_which_it_is_watched_goes_on_as_what_it_is_now(
    plane: Plane, wire: grpc.aio.Channel
) -> None:
    stream = await Stream.connect(wire, token=plane.token())
    await stream.ack((await stream.snapshot()).nonce)

    plane.api.write(PODS, pod(labels={"app": "b"}))
    plane.forget(Kind.POD, pod())

    assert (await stream.snapshot()).snapshot.policy.name == "support"


async def test_while_it_cannot_be_known_whether_a_pod_is_there_its_stream_goes_on(
    plane: Plane, wire: grpc.aio.Channel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_module, "RETRY_SECONDS", 0.02)
    stream = await Stream.connect(wire, token=plane.token())
    await stream.ack((await stream.snapshot()).nonce)
    where = "/api/v1/namespaces/shop/pods/app-1"
    plane.api.failing[where] = 503

    plane.forget(Kind.POD, pod())
    await until(lambda: plane.api.refused[where] > 2)
    plane.write(Kind.POLICY, policy("special", generation=2, **APP_A))
    assert (await stream.snapshot()).generation == 2
    plane.api.delete(PODS, "app-1")
    plane.api.failing.clear()

    assert (await stream.end())[0] == grpc.StatusCode.UNAUTHENTICATED


async def test_pods_that_are_not_watched_are_looked_for_now_and_then(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(presence_module, "INTERVAL_SECONDS", 0.05)
    async with running(tmp_path) as plane, plane.channel() as wire:
        plane.hub.update(world(policies=[policy(), policy("special", **APP_A)], providers=[provider()]))
        plane.api.write(PODS, pod())
        stream = await Stream.connect(wire, token=plane.token())
        update = await stream.snapshot()
        await stream.ack(update.nonce)

        plane.api.write(PODS, pod(labels={"app": "a"}))
        assert (update.snapshot.policy.name, (await stream.snapshot()).snapshot.policy.name) == ("support", "special")
        plane.api.delete(PODS, "app-1")

        assert (await stream.end())[0] == grpc.StatusCode.UNAUTHENTICATED


async def test_a_label_binds_the_pod_to_another_policy_at_once(plane: Plane, wire: grpc.aio.Channel) -> None:
    stream = await Stream.connect(wire, token=plane.token())
    await stream.ack((await stream.snapshot()).nonce)

    plane.write(Kind.POD, pod(labels={"app": "b"}))

    assert (await stream.snapshot()).snapshot.policy.name == "support"


async def test_plain_text_gets_nowhere(plane: Plane) -> None:
    async with grpc.aio.insecure_channel(plane.address) as plain:
        code, _ = await refusal(plain, plane.token())

    assert code == grpc.StatusCode.UNAVAILABLE
    assert not plane.api.reviewed


@pytest.mark.parametrize("wrong", ["another CA", "another name"])
async def test_who_trusts_another_ca_or_expects_another_name_sends_no_token(plane: Plane, wrong: str) -> None:
    trusted = authority().certificate if wrong == "another CA" else plane.authority.certificate
    name = "elsewhere.example.com" if wrong == "another name" else NAME
    async with channel(plane.address, trusted=trusted, name=name) as suspicious:
        code, _ = await refusal(suspicious, plane.token())

    assert code == grpc.StatusCode.UNAVAILABLE
    assert not plane.api.reviewed


async def test_another_certificate_leaves_streams_alone_and_is_what_later_ones_get(
    plane: Plane, wire: grpc.aio.Channel
) -> None:
    stream = await Stream.connect(wire, token=plane.token())
    assert await stream.trust() == plane.authority.certificate
    await stream.ack((await stream.snapshot()).nonce)
    following = authority()
    both = plane.authority.certificate + following.certificate

    plane.serving.put(leaf(plane.authority), ca_bundle=both)
    assert await stream.trust() == both
    plane.serving.put(leaf(following), ca_bundle=both)

    plane.write(Kind.POLICY, policy("special", generation=2, **APP_A))
    assert (await stream.snapshot()).generation == 2
    async with channel(plane.address, trusted=plane.authority.certificate) as forgetful:
        assert (await refusal(forgetful, plane.token()))[0] == grpc.StatusCode.UNAVAILABLE
    async with channel(plane.address, trusted=both) as told:
        later = await Stream.connect(told, token=plane.token())
        assert (await later.snapshot()).generation == 2
