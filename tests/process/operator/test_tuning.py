"""From what sidecars count to what the fleet is tuned by: over real streams, kept in ConfigMaps, sent to all."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import grpc
import pytest
import structlog
from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2, control_pb2_grpc
from pointsman_operator.push import ClaimedIdentity, ControlService, Hub, HubMetrics
from pointsman_operator.quotas import Pace
from pointsman_operator.resources import Key, Kind
from pointsman_operator.tuning import TuningKeeper, TuningMetrics
from pointsman_operator.tuning import keeper as keeper_module
from pointsman_operator.watch import Cluster, Connector, OwnTunings
from pointsman_operator.world import Change
from pointsman_sidecar.control import stream as stream_module
from pointsman_sidecar.control.store import SnapshotStore
from pointsman_sidecar.control.stream import Backoff, ControlStream
from process.operator.fake_api import CONFIG_MAPS, FakeApi
from pure.operator.objects import OPERATOR_NAMESPACE, Json, policy, provider, world
from support.sidecars import Sidecar, running_sidecar
from support.waiting import until

UID = "uid-of-shop-support"


def sharing(percent: int, *, version: int = 1) -> Json:
    """A policy that wants this share of requests at its stronger model."""
    escalation = {"model": "flagship", "complexity": {"targetShare": percent}}
    return policy(version=version, generation=version, escalation=escalation)


@dataclass
class Operator:
    """A replica that leads, or did."""

    hub: Hub
    keeper: TuningKeeper
    shown: list[Key]
    address: str


@dataclass
class Plane:
    """Operators, one after the other or at once, on one API server, and sidecars that follow them."""

    stack: AsyncExitStack
    api: FakeApi
    cluster: Cluster

    async def operator(self, content: Json) -> Operator:
        """One more."""
        return await self.stack.enter_async_context(self.running(content))

    @asynccontextmanager
    async def running(self, content: Json) -> AsyncIterator[Operator]:
        """An operator until the block ends."""
        hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(CollectorRegistry()))
        hub.update(world(policies=[content], providers=[provider()]))
        shown: list[Key] = []
        keeper = TuningKeeper(
            hub,
            store=OwnTunings(self.cluster, namespace=OPERATOR_NAMESPACE, pace=Pace(clock=time.monotonic)),
            now=time.time,
            clock=time.monotonic,
            metrics=TuningMetrics(CollectorRegistry()),
            shows=shown.append,
        )

        async def nothing() -> None:
            """No cluster to list."""

        service = ControlService(hub, identifier=ClaimedIdentity(), relist=nothing)
        server = grpc.aio.server()
        control_pb2_grpc.add_ControlServicer_to_server(service, server)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        task = asyncio.create_task(keeper.run())
        try:
            yield Operator(hub=hub, keeper=keeper, shown=shown, address=f"127.0.0.1:{port}")
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
            service.close()
            await server.stop(grace=1)

    async def sidecar(self, operator: Operator, pod: str, *, folder: Path | None = None) -> Sidecar:
        """A sidecar that follows an operator."""
        return await self.stack.enter_async_context(following(operator.address, pod=pod, folder=folder))

    def kept(self) -> Json:
        """What is kept of the policy."""
        records = [text for each in self.api.objects[CONFIG_MAPS].values() for text in each["data"].values()]
        assert len(records) <= 1
        found: Json = json.loads(records[0]) if records else {}
        return found

    def scores(self) -> float:
        """How many scores are kept of it."""
        found: float = sum(self.kept().get("complexity", {}).get("scores", ()))
        return found


@asynccontextmanager
async def following(address: str, *, pod: str, folder: Path | None = None) -> AsyncIterator[Sidecar]:
    """A sidecar that follows an operator until the block ends."""
    async with running_sidecar() as sidecar:
        control = ControlStream(
            operator=address,
            identity=control_pb2.ClaimedIdentity(namespace="shop", pod=pod, labels={}),
            in_force=sidecar.in_force,
            store=SnapshotStore(folder) if folder else None,
            counting=sidecar.counting,
            metrics=sidecar.metrics,
            log=structlog.wrap_logger(
                None, processors=[structlog.testing.LogCapture()], wrapper_class=structlog.stdlib.BoundLogger
            ),
            backoff=Backoff(random=lambda: 0.0),
            clock=asyncio.get_running_loop().time,
        )
        control.restore()
        task = asyncio.create_task(control.run())
        try:
            yield sidecar
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


def count(sidecar: Sidecar, scores: list[float], *, threshold: float = 0.5) -> None:
    """Have a sidecar see requests of these scores."""
    for score in scores:
        sidecar.counting.under(UID).score(score, is_high=score >= threshold)


def spread(count: int, *, low: float = 0.0, high: float = 1.0) -> list[float]:
    """As many scores, evenly from the one to the other."""
    return [low + (high - low) * (at + 0.5) / count for at in range(count)]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "TALLY_SECONDS", 0.02)
    monkeypatch.setattr(stream_module, "EAGER_SECONDS", 0.02)
    monkeypatch.setattr(keeper_module, "COMPUTE_SECONDS", 0.02)
    monkeypatch.setattr(keeper_module, "WRITE_SECONDS", 0.0)
    monkeypatch.setattr(keeper_module, "GONE_SECONDS", 0.0)


@asynccontextmanager
async def running_plane(folder: Path) -> AsyncIterator[Plane]:
    """An API server's stand-in, and whoever is started on it, until the block ends."""
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(FakeApi.running())
        connector = Connector(kubeconfig=api.kubeconfig(folder))
        cluster = await stack.enter_async_context(Cluster(connector, secrets_namespace=OPERATOR_NAMESPACE))
        yield Plane(stack=stack, api=api, cluster=cluster)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with running_plane(tmp_path) as made:
        yield made


async def test_the_scores_of_all_sidecars_make_one_threshold_for_all(plane: Plane) -> None:
    operator = await plane.operator(sharing(10))
    operator.keeper.begin()
    one, other = await plane.sidecar(operator, "app-1"), await plane.sidecar(operator, "app-2")
    await until(lambda: one.in_force.policy is not None and other.in_force.policy is not None)

    # Each by itself would find another one.
    count(one, spread(600, high=0.5), threshold=0.45)
    count(other, spread(600, low=0.5), threshold=0.95)

    await until(lambda: one.in_force.fleet.complexity_threshold == pytest.approx(0.9, abs=0.02))
    await until(lambda: one.in_force.fleet == other.in_force.fleet)
    assert one.in_force.fleet.complexity_share == 10


async def test_another_share_is_found_from_what_was_counted_for_the_one_before(plane: Plane) -> None:
    operator = await plane.operator(sharing(10))
    operator.keeper.begin()
    sidecar = await plane.sidecar(operator, "app-1")
    await until(lambda: sidecar.in_force.policy is not None)
    count(sidecar, spread(2_000), threshold=0.9)
    await until(lambda: sidecar.in_force.fleet.complexity_share == 10)
    version = sidecar.in_force.fleet.version

    operator.hub.update(operator.hub.world.observe(Kind.POLICY, Change.WRITTEN, sharing(40, version=2)))

    await until(lambda: sidecar.in_force.fleet.complexity_share == 40)
    assert sidecar.in_force.fleet.complexity_threshold == pytest.approx(0.6, abs=0.01)
    assert sidecar.in_force.fleet.version > version


async def test_a_replica_that_takes_over_goes_on_from_what_was_kept_and_counts_nothing_twice(plane: Plane) -> None:
    async with plane.running(sharing(20)) as first:
        first.keeper.begin()
        async with following(first.address, pod="app-1") as sidecar:
            await until(lambda: sidecar.in_force.policy is not None)
            count(sidecar, spread(1_000), threshold=0.8)
            await until(lambda: plane.scores() == pytest.approx(1_040, abs=1))
            threshold = plane.kept()["complexity"]["threshold"]
            first.keeper.pause()
            second = await plane.operator(sharing(20))
            # The same process, which says all that it has counted to the next replica.
            moved = await plane.stack.enter_async_context(following(second.address, pod="app-1"))
            moved.counting._of = sidecar.counting._of
            await until(lambda: any(session.counted is not None for session in second.hub.sidecars()))

            second.keeper.begin()

            await until(lambda: moved.in_force.fleet.complexity_threshold is not None)
            assert moved.in_force.fleet.complexity_threshold == threshold
            count(moved, spread(50), threshold=0.8)
            await until(lambda: plane.scores() == pytest.approx(1_090, abs=1))


async def test_a_restarted_sidecar_has_its_tuning_while_the_operator_is_away(plane: Plane, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    async with plane.running(sharing(10)) as operator:
        operator.keeper.begin()
        async with following(operator.address, pod="app-1", folder=folder) as sidecar:
            await until(lambda: sidecar.in_force.policy is not None)
            count(sidecar, spread(1_000), threshold=0.9)
            await until(lambda: sidecar.in_force.fleet.complexity_threshold is not None)
            fleet = sidecar.in_force.fleet

    async with following(operator.address, pod="app-1", folder=folder) as restarted:
        assert restarted.in_force.fleet == fleet


async def test_what_is_kept_goes_with_its_policy(plane: Plane) -> None:
    operator = await plane.operator(sharing(10))
    operator.keeper.begin()
    sidecar = await plane.sidecar(operator, "app-1")
    await until(lambda: sidecar.in_force.policy is not None)
    count(sidecar, spread(1_000))
    await until(lambda: bool(plane.api.objects[CONFIG_MAPS]))

    operator.hub.update(operator.hub.world.observe(Kind.POLICY, Change.DELETED, sharing(10)))

    await until(lambda: operator.keeper.state(UID) is None)
    await until(lambda: not any(each["data"] for each in plane.api.objects[CONFIG_MAPS].values()))


async def test_a_status_says_what_is_so_and_not_more_often_than_it_may(plane: Plane) -> None:
    operator = await plane.operator(sharing(10))
    operator.keeper.begin()
    sidecar = await plane.sidecar(operator, "app-1")
    await until(lambda: sidecar.in_force.policy is not None)
    count(sidecar, spread(1_000), threshold=0.9)
    await until(lambda: bool(operator.keeper.shown(UID)))

    count(sidecar, spread(3_000, high=0.5), threshold=0.9)
    await until(lambda: plane.scores() == pytest.approx(4_040, abs=1))

    complexity = {"threshold": "0.900", "share": 10}
    assert operator.keeper.shown(UID) == {"escalation": {"complexity": complexity}}
    assert operator.shown == [Key("shop", "support")]


async def test_a_store_that_cannot_be_used_holds_nothing_up_and_is_tried_again(
    plane: Plane, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(keeper_module, "RETRY_SECONDS", 0.01)
    operator = await plane.operator(sharing(10))
    operator.keeper.begin()
    sidecar = await plane.sidecar(operator, "app-1")
    await until(lambda: sidecar.in_force.policy is not None and operator.keeper.shown(UID) is not None)
    plane.api.failing[CONFIG_MAPS] = 503

    count(sidecar, spread(1_000), threshold=0.9)
    await until(lambda: sidecar.in_force.fleet.complexity_threshold is not None)
    assert not plane.api.objects[CONFIG_MAPS]
    plane.api.failing.clear()

    await until(lambda: bool(plane.api.objects[CONFIG_MAPS]))


async def test_of_two_that_write_the_one_that_was_late_reads_again(plane: Plane) -> None:
    one, other = await plane.operator(sharing(10)), await plane.operator(sharing(10))
    one.keeper.begin()
    other.keeper.begin()
    await until(lambda: one.keeper.shown(UID) is not None and other.keeper.shown(UID) is not None)
    first, second = await plane.sidecar(one, "app-1"), await plane.sidecar(other, "app-2")
    await until(lambda: first.in_force.policy is not None and second.in_force.policy is not None)

    count(first, spread(1_000), threshold=0.9)
    await until(lambda: bool(plane.api.objects[CONFIG_MAPS]))
    count(second, spread(1_000), threshold=0.9)

    await until(lambda: second.in_force.fleet.complexity_threshold is not None)

    def goes_on() -> bool:
        """What the other one has written, with what its own sidecar counts from then on."""
        count(second, [0.5])
        return plane.scores() > 1_041

    await until(goes_on)


async def test_labels_of_one_sidecar_say_to_all_what_a_confidence_means(plane: Plane) -> None:
    operator = await plane.operator(policy())
    operator.keeper.begin()
    one, other = await plane.sidecar(operator, "app-1"), await plane.sidecar(operator, "app-2")
    await until(lambda: one.in_force.policy is not None and other.in_force.policy is not None)

    for turn in range(100):
        one.counting.under(UID).label("mini", 0.9, is_right=turn % 2 == 0)

    await until(lambda: other.in_force.fleet.calibration is not None)
    calibration = other.in_force.fleet.calibration
    assert calibration is not None
    assert calibration.apply("mini", 0.9) == pytest.approx(0.5, abs=0.05)
