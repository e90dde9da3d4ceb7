"""The control service over real streams: what sidecars are sent, and how streams end."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import grpc
import pytest
from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2 as control
from pointsman_api.v1 import control_pb2_grpc
from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_operator.push import (
    ClaimedIdentity,
    ControlService,
    Hub,
    HubMetrics,
    Identifier,
    RelistError,
)
from pointsman_operator.push import service as service_module
from pointsman_operator.resources import Kind
from pointsman_operator.world import Change
from process.operator.streams import Stream
from pure.operator.objects import OPERATOR_NAMESPACE, Json, policy, provider, used, world
from support.waiting import until

BROKEN = [used("mini", "gpt-5")]


@dataclass
class Plane:
    """A control plane without a cluster: a hub, a real server, and a channel to it."""

    hub: Hub
    service: ControlService
    server: grpc.aio.Server
    channel: grpc.aio.Channel
    registry: CollectorRegistry
    relists: list[Callable[[], Awaitable[None]]] = field(default_factory=list)

    def write(self, kind: Kind, value: Json) -> None:
        """An object was written."""
        self.hub.update(self.hub.world.observe(kind, Change.WRITTEN, value))

    def delete(self, kind: Kind, value: Json) -> None:
        """An object was deleted."""
        self.hub.update(self.hub.world.observe(kind, Change.DELETED, value))


@asynccontextmanager
async def running(identifier: Identifier) -> AsyncIterator[Plane]:
    registry = CollectorRegistry()
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(registry))
    relists: list[Callable[[], Awaitable[None]]] = []

    async def relist() -> None:
        await relists.pop(0)()

    service = ControlService(hub, identifier=identifier, relist=relist)
    server = grpc.aio.server()
    control_pb2_grpc.add_ControlServicer_to_server(service, server)
    port = server.add_insecure_port("127.0.0.1:0")
    await server.start()
    channel = grpc.aio.insecure_channel(f"127.0.0.1:{port}")
    try:
        yield Plane(hub=hub, service=service, server=server, channel=channel, registry=registry, relists=relists)
    finally:
        service.close()
        await channel.close()
        await server.stop(grace=1)


@pytest.fixture
async def plane() -> AsyncIterator[Plane]:
    async with running(ClaimedIdentity()) as started:
        started.hub.update(world(policies=[policy()], providers=[provider()]))
        yield started


async def test_a_sidecar_gets_its_snapshot_and_the_hub_learns_that_it_is_in_force(plane: Plane) -> None:
    stream = await Stream.connect(plane.channel)

    assert await stream.access() == {"openai": ""}
    update = await stream.snapshot()
    await stream.ack(update.nonce)

    (session,) = plane.hub.sidecars()
    await until(lambda: session.held is not None)
    assert session.held is not None
    assert session.held.version == update.version
    assert plane.registry.get_sample_value("pointsman_operator_answers_total", {"verdict": "ack"}) == 1


async def test_a_rejection_keeps_its_reason_and_the_stream(plane: Plane) -> None:
    stream = await Stream.connect(plane.channel)
    await stream.nack((await stream.snapshot()).nonce, "I know no such matcher")
    (session,) = plane.hub.sidecars()
    await until(lambda: session.rejection is not None)

    plane.write(Kind.POLICY, policy(version=2, generation=2))

    assert session.rejection is not None
    assert session.rejection.reason == "I know no such matcher"
    assert (await stream.snapshot()).generation == 2


async def test_a_burst_of_changes_reaches_a_slow_sidecar_as_one(plane: Plane) -> None:
    stream = await Stream.connect(plane.channel)
    first = await stream.snapshot()
    for generation in range(2, 200):
        plane.write(Kind.POLICY, policy(version=generation, generation=generation))

    await stream.ack(first.nonce)
    last = await stream.snapshot()

    assert last.generation == 199
    assert plane.registry.get_sample_value("pointsman_operator_pushes_total", {"kind": "snapshot"}) == 2


async def test_a_sidecar_that_comes_back_with_what_is_in_force_is_not_sent_it_again(plane: Plane) -> None:
    first = await Stream.connect(plane.channel)
    update = await first.snapshot()
    await first.ack(update.nonce)
    first.cancel()
    await until(lambda: not plane.hub.sidecars())

    second = await Stream.connect(plane.channel, holds=update.version, known=update.snapshot.inputs)
    assert await second.access() == {"openai": ""}
    plane.write(Kind.POLICY, policy(version=2, generation=2))

    assert (await second.snapshot()).generation == 2


async def test_what_cannot_be_programmed_leaves_the_last_good_in_force_for_new_sidecars_too(plane: Plane) -> None:
    old = await Stream.connect(plane.channel)
    await old.ack((await old.snapshot()).nonce)
    plane.write(Kind.POLICY, policy(version=2, generation=2, models=BROKEN))

    new = await Stream.connect(plane.channel, pod="app-2")

    assert (await new.snapshot()).generation == 1
    plane.write(Kind.POLICY, policy(version=3, generation=3))
    assert (await old.snapshot()).generation == 3


async def test_a_deleted_policy_is_seen(plane: Plane) -> None:
    stream = await Stream.connect(plane.channel)
    await stream.ack((await stream.snapshot()).nonce)

    plane.delete(Kind.POLICY, policy(version=2))

    assert await stream.access() == {}
    assert "no ModelRoutingPolicy of namespace shop" in (await stream.no_policy()).reason


async def test_nothing_is_sent_before_the_cluster_was_read() -> None:
    async with running(ClaimedIdentity()) as plane:
        stream = await Stream.connect(plane.channel)

        plane.hub.update(world(policies=[policy()], providers=[provider()]))

        assert (await stream.snapshot()).generation == 1


async def test_a_sidecar_does_not_wait_for_ever_for_an_operator_that_cannot_read_the_cluster(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(service_module, "READY_SECONDS", 0.05)
    async with running(ClaimedIdentity()) as plane:
        code, details = await (await Stream.connect(plane.channel)).end()

    assert (code, details) == (
        grpc.StatusCode.UNAVAILABLE,
        "the operator has not read the cluster yet; try again in a moment",
    )


async def test_an_operator_that_is_behind_a_sidecar_lists_again_before_it_sends_anything(plane: Plane) -> None:
    known = snapshot.ObjectVersion(
        kind="ModelRoutingPolicy", namespace="shop", name="support", uid="uid-of-shop-support", generation=5
    )

    async def catch_up() -> None:
        plane.write(Kind.POLICY, policy(version=5, generation=5))

    plane.relists.append(catch_up)

    stream = await Stream.connect(plane.channel, holds="of-generation-5", known=[known])

    assert (await stream.snapshot()).generation == 5


async def test_an_operator_that_is_behind_and_cannot_list_sends_the_sidecar_away(plane: Plane) -> None:
    async def fail() -> None:
        raise RelistError("connection refused")

    plane.relists.append(fail)
    known = snapshot.ObjectVersion(kind="ModelProvider", name="openai", uid="uid-of--openai", generation=2)

    code, details = await (await Stream.connect(plane.channel, holds="x", known=[known])).end()

    assert code == grpc.StatusCode.UNAVAILABLE
    assert "connection refused" in details


@pytest.mark.parametrize(
    ("namespace", "pod", "labels", "sentence"),
    [
        ("Shop", "app-1", {}, "the claimed namespace 'Shop' cannot be the name of a namespace"),
        ("", "app-1", {}, "the claimed namespace '' cannot be"),
        ("shop", "app_1", {}, "the claimed pod 'app_1' cannot be the name of a pod"),
        ("shop", "a" * 254, {}, "cannot be the name of a pod"),
        ("shop", "app-1", {f"l{number}": "x" for number in range(300)}, "more than 256 labels"),
    ],
)
async def test_an_impossible_identity_is_refused(
    plane: Plane, namespace: str, pod: str, labels: dict[str, str], sentence: str
) -> None:
    code, details = await (await Stream.connect(plane.channel, namespace=namespace, pod=pod, labels=labels)).end()

    assert code == grpc.StatusCode.UNAUTHENTICATED
    assert sentence in details


async def test_another_version_of_the_contract_is_refused_with_both_named(plane: Plane) -> None:
    code, details = await (await Stream.connect(plane.channel, version=2)).end()

    assert code == grpc.StatusCode.FAILED_PRECONDITION
    assert "version 1 of the contract and the sidecar version 2" in details


async def test_a_stream_must_begin_with_a_hello_and_have_no_other(plane: Plane) -> None:
    silent = Stream(plane.channel)
    await silent.ack("1")
    twice = await Stream.connect(plane.channel)
    await twice.send(control.ConnectRequest(hello=control.Hello(contract_version=1)))

    assert await silent.end() == (grpc.StatusCode.INVALID_ARGUMENT, "the first message must be a hello")
    assert (await twice.end())[0] == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_hello_that_is_out_of_all_proportion_is_refused(plane: Plane) -> None:
    many = [snapshot.ObjectVersion(kind="ModelProvider", name=f"p{number}") for number in range(65)]
    knowing = await Stream.connect(plane.channel, holds="x", known=many)
    holding = await Stream.connect(plane.channel, holds="x" * 129)

    assert await knowing.end() == (
        grpc.StatusCode.INVALID_ARGUMENT,
        "the hello knows more than 64 objects; a snapshot is made of fewer",
    )
    assert (await holding.end())[0] == grpc.StatusCode.INVALID_ARGUMENT


async def test_a_sidecar_that_never_answers_is_cut_off(plane: Plane, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_module, "ANSWER_SECONDS", 0.05)

    code, details = await (await Stream.connect(plane.channel)).end()

    assert code == grpc.StatusCode.UNAVAILABLE
    assert "was not answered" in details


async def test_a_second_stream_of_a_pod_ends_the_first(plane: Plane) -> None:
    first = await Stream.connect(plane.channel)
    await first.snapshot()

    second = await Stream.connect(plane.channel)

    assert (await second.snapshot()).generation == 1
    assert "took the place" in (await first.end())[1]
    assert len(plane.hub.sidecars()) == 1


async def test_when_the_operator_stops_its_streams_say_that_it_may_be_tried_again(plane: Plane) -> None:
    served = await Stream.connect(plane.channel)
    await served.snapshot()

    plane.service.close()

    assert await served.end() == (grpc.StatusCode.UNAVAILABLE, "the operator is stopping; connect again")
    late = await Stream.connect(plane.channel, pod="app-2")
    assert (await late.end())[0] == grpc.StatusCode.UNAVAILABLE


def ours() -> list[asyncio.Task[object]]:
    """The tasks that run the service's own code, and not gRPC's."""
    return [task for task in asyncio.all_tasks() if "ControlService" in repr(task.get_coro())]


async def test_a_sidecar_that_goes_leaves_nothing_behind(plane: Plane) -> None:
    stream = await Stream.connect(plane.channel)
    await stream.snapshot()
    assert ours()

    stream.cancel()

    await until(lambda: not plane.hub.sidecars() and not ours())
    assert plane.registry.get_sample_value("pointsman_operator_sidecars") == 0
