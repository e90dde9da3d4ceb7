"""Replicas tell the holder of the Lease what they know, over real TLS, and only replicas are heard."""

import asyncio
import base64
import contextlib
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import grpc
import pytest
from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import replicas_pb2 as pb
from pointsman_api.v1 import replicas_pb2_grpc, tuning_pb2
from pointsman_operator.election import Elector, Holder
from pointsman_operator.identity import IdentityMetrics, Pacer, Reviewer
from pointsman_operator.push import Counted, Hub, HubMetrics, Peer, Published, Session
from pointsman_operator.replicas import Fleet, HolderLink, ReplicaIdentity, ReplicasService, Reporter, Totals
from pointsman_operator.replicas import link as link_module
from pointsman_operator.replicas import reporter as reporter_module
from pointsman_operator.replicas import service as service_module
from pointsman_operator.resources import Key
from pointsman_operator.tls import KeyPair
from pointsman_operator.watch import Cluster, ClusterProofs, Connector
from process.operator.fake_api import FakeApi
from process.operator.proofs import AUDIENCE, NAME, authority, channel, leaf, review
from pure.operator.leases import Clock, Lease
from pure.operator.objects import OPERATOR_NAMESPACE, policy, provider, world
from support.waiting import until

ACCOUNT = f"{OPERATOR_NAMESPACE}:pointsman"
LATER = 4_000_000_000.0


def token(name: str, *, account: str = ACCOUNT, expires: float = LATER) -> str:
    """A token that says whose it is, as a service account's does."""
    claims = {"exp": expires, "sub": f"system:serviceaccount:{account}", "jti": name}
    return f"e30.{base64.urlsafe_b64encode(json.dumps(claims).encode()).decode().rstrip('=')}.c2ln"


@dataclass
class Replica:
    """One operator, as far as it deals with the others."""

    hub: Hub
    fleet: Fleet
    elector: Elector
    reporter: Reporter
    address: str

    def connect(self, pod: str) -> Session:
        """A sidecar comes."""
        peer = Peer(namespace="shop", pod=pod, labels={})
        return self.hub.connect(peer=peer, hello=control.Hello(contract_version=1))

    def pods(self) -> set[str]:
        """The pods that it knows of, at any replica."""
        return {each.pod.name for each in self.fleet.sidecars_in("shop")}


@dataclass
class Replicas:
    """Those that want one Lease, and the API server that judges their tokens."""

    stack: AsyncExitStack
    lease: Lease
    clock: Clock
    api: FakeApi
    cluster: Cluster
    signing: KeyPair

    async def start(self, name: str, *, expires: float = LATER, **claims: Any) -> Replica:
        """One more."""
        return await self.stack.enter_async_context(self._running(name, expires=expires, **claims))

    @asynccontextmanager
    async def _running(self, name: str, *, expires: float, **claims: Any) -> AsyncIterator[Replica]:
        hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(CollectorRegistry()))
        hub.update(world(policies=[policy()], providers=[provider()]))
        fleet = Fleet(hub, clock=self.clock)
        server = grpc.aio.server()
        pair = leaf(self.signing)
        credentials = grpc.ssl_server_credentials([(pair.key, pair.certificate)])
        port = server.add_secure_port("127.0.0.1:0", credentials)
        elector = Elector(
            self.lease,
            me=Holder(name=name, address=f"127.0.0.1:{port}"),
            duration=15,
            clock=self.clock,
            now=lambda: datetime.now(UTC),
            random=lambda: 0.5,
            registry=CollectorRegistry(),
        )
        reviewer = Reviewer(
            ClusterProofs(self.cluster),
            audience=AUDIENCE,
            pacer=Pacer(clock=time.monotonic, random=lambda: 0.0),
            metrics=IdentityMetrics(CollectorRegistry()),
            now=time.time,
        )
        service = ReplicasService(
            fleet, tunings=hub.tunings, elector=elector, identity=ReplicaIdentity(reviewer, account=ACCOUNT)
        )
        replicas_pb2_grpc.add_ReplicasServicer_to_server(service, server)
        await server.start()
        text = token(name, expires=expires, **claims)
        account = claims.get("account", ACCOUNT)
        namespace, _, user = account.partition(":")
        said = review(name, namespace=namespace)
        said["user"]["username"] = f"system:serviceaccount:{namespace}:{user}"
        self.api.tokens[text] = said
        link = HolderLink(
            elector=elector,
            ca_bundle=lambda: self.signing.certificate,
            server_name=NAME,
            token=lambda: text,
            random=lambda: 0.0,
            event="the holder of the Lease is not reported to",
        )
        reporter = Reporter(hub, link=link)
        task = asyncio.create_task(reporter.run())
        try:
            yield Replica(hub=hub, fleet=fleet, elector=elector, reporter=reporter, address=f"127.0.0.1:{port}")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            service.close()
            await server.stop(grace=1)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(link_module, "RETRY_SECONDS", 0.01)
    monkeypatch.setattr(reporter_module, "SETTLE_SECONDS", 0.01)
    monkeypatch.setattr(reporter_module, "COUNTS_SECONDS", 0.01)
    monkeypatch.setattr(service_module, "TOTALS_SECONDS", 0.01)


@pytest.fixture
async def replicas(tmp_path: Path) -> AsyncIterator[Replicas]:
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(FakeApi.running())
        connector = Connector(kubeconfig=api.kubeconfig(tmp_path))
        cluster = await stack.enter_async_context(Cluster(connector, secrets_namespace=OPERATOR_NAMESPACE))
        yield Replicas(stack=stack, lease=Lease(), clock=Clock(), api=api, cluster=cluster, signing=authority())


async def test_the_holder_of_the_lease_knows_the_sidecars_of_all(replicas: Replicas) -> None:
    first, second = await replicas.start("a"), await replicas.start("b")
    first.connect("app-1")
    second.connect("app-2")

    for replica in (first, second):
        await replica.elector.step()

    await until(lambda: first.pods() == {"app-1", "app-2"})
    await until(lambda: second.reporter.totals == Totals(replicas=2, sidecars=2))
    session = second.connect("app-3")
    await until(lambda: first.pods() == {"app-1", "app-2", "app-3"})
    second.hub.disconnect(session)
    await until(lambda: first.pods() == {"app-1", "app-2"})
    assert second.pods() == {"app-2"}


async def test_the_next_holder_is_told_in_its_turn(replicas: Replicas) -> None:
    first, second, third = [await replicas.start(name) for name in "abc"]
    for replica, pod in ((first, "app-1"), (second, "app-2"), (third, "app-3")):
        replica.connect(pod)
        await replica.elector.step()
    await until(lambda: len(first.pods()) == 3)

    await first.elector.release()
    await second.elector.step()
    for replica in (first, third):
        await replica.elector.step()

    await until(lambda: second.pods() == {"app-1", "app-2", "app-3"})
    assert first.pods() == {"app-1"}


async def refused(holder: Replica, replicas: Replicas, hello: pb.ReplicaHello) -> tuple[grpc.StatusCode, str]:
    async with channel(holder.address, trusted=replicas.signing.certificate) as opened:
        call = replicas_pb2_grpc.ReplicasStub(opened).Report()
        # Who refuses everybody may have ended the call before this is sent.
        with contextlib.suppress(grpc.aio.AioRpcError):
            await call.write(pb.ReportRequest(hello=hello))
        return await asyncio.wait_for(call.code(), 10), await call.details() or ""


async def test_who_is_no_replica_is_not_heard(replicas: Replicas) -> None:
    holder = await replicas.start("a")
    await holder.elector.step()
    stranger = await replicas.start("x", account="shop:app")
    stranger.connect("app-9")

    code, said = await refused(holder, replicas, pb.ReplicaHello(replica="x", token=token("x", account="shop:app")))
    assert (code, said) == (
        grpc.StatusCode.UNAUTHENTICATED,
        f"the token is of service account shop:app, and replicas are of {ACCOUNT}",
    )
    code, _ = await refused(holder, replicas, pb.ReplicaHello(replica="x", token=token("forged")))
    assert code == grpc.StatusCode.UNAUTHENTICATED
    code, _ = await refused(holder, replicas, pb.ReplicaHello(token=token("x")))
    assert code == grpc.StatusCode.INVALID_ARGUMENT
    assert holder.pods() == set()


async def test_a_replica_that_does_not_hold_the_lease_hears_nobody(replicas: Replicas) -> None:
    holder = await replicas.start("a")

    code, said = await refused(holder, replicas, pb.ReplicaHello(replica="b", token="any"))

    assert (code, said) == (grpc.StatusCode.FAILED_PRECONDITION, "this replica does not hold the Lease")


async def test_a_report_ends_with_its_token_and_the_sidecars_count_until_it_is_renewed(replicas: Replicas) -> None:
    holder = await replicas.start("a")
    await holder.elector.step()
    second = await replicas.start("b", expires=time.time() + 1)
    second.connect("app-2")

    await second.elector.step()
    await until(lambda: holder.pods() == {"app-2"})
    await until(lambda: second.reporter.totals is None)

    assert holder.pods() == {"app-2"}


async def test_what_is_not_known_when_the_stream_breaks_is_said_on_the_next(replicas: Replicas) -> None:
    first, second = await replicas.start("a"), await replicas.start("b")
    await first.elector.step()
    await second.elector.step()
    await until(lambda: second.reporter.totals is not None)

    # The holder loses the Lease for a moment, and with it all that it was told.
    replicas.lease.away = True
    replicas.clock.now += 11
    await first.elector.step()
    second.connect("app-2")
    assert first.pods() == set()
    replicas.lease.away = False
    await first.elector.step()

    await until(lambda: first.pods() == {"app-2"})


async def test_the_holder_hears_what_the_sidecars_of_others_have_counted_and_tunes_them(replicas: Replicas) -> None:
    first, second = await replicas.start("a"), await replicas.start("b")
    heard: list[Counted] = []
    first.hub.tunings.subscribe(heard.append)
    session = second.connect("app-2")
    uid = "uid-of-shop-support"
    tally = tuning_pb2.Tally(process="p", policy_uid=uid, complexity=tuning_pb2.ScoreCounts(bins=[1, 2]))
    for replica in (first, second):
        await replica.elector.step()

    second.hub.tunings.take(session, tally)
    await until(lambda: [each.tally for each in heard] == [tally])
    tuned = Published(policy=Key("shop", "support"), tuning=tuning_pb2.Tuning(policy_uid=uid, version=7))
    first.hub.tunings.publish([tuned])

    await until(lambda: list(second.hub.tunings.all()) == [tuned])
    updates = iter(lambda: second.hub.next_update(session), None)
    assert 7 in [update.tuning.tuning.version for update in updates]


async def test_a_replica_that_comes_later_is_told_all_tunings(replicas: Replicas) -> None:
    first, second = await replicas.start("a"), await replicas.start("b")
    tunings = [
        Published(policy=Key("shop", f"p-{number}"), tuning=tuning_pb2.Tuning(policy_uid=str(number), version=1))
        for number in range(250)
    ]
    first.hub.tunings.publish(tunings)

    for replica in (first, second):
        await replica.elector.step()

    await until(lambda: list(second.hub.tunings.all()) == tunings)
