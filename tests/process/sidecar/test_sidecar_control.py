"""The stream to the operator: what is put in force, what is refused, and what outlives the operator."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
import structlog

from pointsman_api.v1 import control_pb2
from pointsman_sidecar.control.store import SnapshotStore
from pointsman_sidecar.control.stream import Backoff, ControlStream
from pointsman_stub import StubProvider
from support.answers import next_event, refusal, rest
from support.completions import ask
from support.operators import FakeOperator, running_operator
from support.sidecars import Sidecar, running_sidecar, sample
from support.snapshots import severity_route, snapshot, update
from support.tasks import no_task_left
from support.waiting import until

KEY = "sk-of-these-tests"
IDENTITY = control_pb2.ClaimedIdentity(namespace="shop", pod="web-1", labels={"app": "support"})
ACCESS = control_pb2.AccessUpdate(providers=[control_pb2.ProviderAccess(provider="openai", api_key=KEY)])


@asynccontextmanager
async def following(address: str, *, folder: Path | None = None) -> AsyncIterator[Sidecar]:
    """A sidecar that follows the operator at an address, from its start to its end."""
    async with running_sidecar() as sidecar:
        control = ControlStream(
            operator=address,
            identity=IDENTITY,
            in_force=sidecar.in_force,
            store=SnapshotStore(folder) if folder else None,
            counting=sidecar.counting,
            metrics=sidecar.metrics,
            log=structlog.wrap_logger(
                None,
                processors=[structlog.testing.LogCapture()],
                wrapper_class=structlog.stdlib.BoundLogger,
            ),
            backoff=Backoff(random=lambda: 0.0),
            clock=asyncio.get_running_loop().time,
        )
        control.restore()
        task = asyncio.create_task(control.run(), name="control stream")
        try:
            yield sidecar
        finally:
            # Before the end of the test it ends by an error of its own only, which is what the test should then show.
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task


@pytest.fixture
async def operator() -> AsyncIterator[FakeOperator]:
    """An operator."""
    async with running_operator() as running:
        yield running


def stored(folder: Path) -> Path:
    """The file in which a sidecar keeps its snapshot."""
    (file,) = folder.iterdir()
    return file


def gauge(sidecar: Sidecar, name: str, **labels: str) -> float | None:
    return sample(sidecar.metrics.registry, name, **labels)


def the_policy(base_url: str, *, generation: int = 3, **fields: object) -> control_pb2.SnapshotUpdate:
    """A snapshot on its way, named after its generation."""
    content = snapshot(base_url=base_url, generation=generation, **fields)  # type: ignore[arg-type]
    return update(content, version=f"sha256:{generation}", nonce=f"n-{generation}")


async def test_a_sidecar_says_who_it_is_and_that_it_knows_nothing(operator: FakeOperator) -> None:
    async with following(operator.address):
        hello = (await operator.connection()).hello

    assert hello.contract_version == 1
    assert hello.claimed_identity == IDENTITY
    assert hello.snapshot_version == ""
    assert not hello.known


async def test_a_snapshot_is_put_in_force_and_acknowledged(operator: FakeOperator, stub: StubProvider) -> None:
    async with following(operator.address) as sidecar:
        connection = await operator.connection()
        connection.send(snapshot=the_policy(stub.base_url))
        connection.send(access=ACCESS)

        answer = await connection.answer()
        await until(lambda: bool(sidecar.in_force.access))
        decision = (await sidecar.app.Complete(ask())).decision

        assert answer == control_pb2.ConnectRequest(ack=control_pb2.Ack(nonce="n-3"))
        assert (decision.policy.generation, decision.snapshot_version) == (3, "sha256:3")
        assert gauge(sidecar, "pointsman_policy_generation") == 3
        assert gauge(sidecar, "pointsman_control_connected") == 1
        assert gauge(sidecar, "pointsman_snapshots_total", verdict="applied") == 1


async def test_each_route_is_seen_before_it_ever_matched(operator: FakeOperator, stub: StubProvider) -> None:
    async with following(operator.address) as sidecar:
        connection = await operator.connection()
        connection.send(snapshot=the_policy(stub.base_url, routes=[severity_route()]))
        await connection.answer()

        assert gauge(sidecar, "pointsman_route_hits_total", policy="shop/support", route="risky") == 0


async def test_a_snapshot_that_cannot_be_read_is_refused_with_a_reason_and_the_old_one_stays(
    operator: FakeOperator, stub: StubProvider
) -> None:
    async with following(operator.address) as sidecar:
        connection = await operator.connection()
        connection.send(snapshot=the_policy(stub.base_url))
        await connection.answer()
        connection.send(snapshot=the_policy(stub.base_url, generation=4, default_model="zz"))

        answer = await connection.answer()

        assert answer == control_pb2.ConnectRequest(
            nack=control_pb2.Nack(nonce="n-4", reason="the default names model zz, which is not in the snapshot")
        )
        assert (await sidecar.app.Explain(ask())).decision.policy.generation == 3
        assert gauge(sidecar, "pointsman_policy_generation") == 3
        assert gauge(sidecar, "pointsman_snapshots_total", verdict="rejected") == 1


async def test_no_policy_is_acknowledged_and_told_to_callers(operator: FakeOperator, stub: StubProvider) -> None:
    async with following(operator.address) as sidecar:
        connection = await operator.connection()
        connection.send(snapshot=the_policy(stub.base_url))
        await connection.answer()
        connection.send(no_policy=control_pb2.NoPolicy(nonce="n-9", reason="policy support was deleted"))

        answer = await connection.answer()
        told = await refusal(sidecar.app.Complete(ask()))

        assert answer == control_pb2.ConnectRequest(ack=control_pb2.Ack(nonce="n-9"))
        assert (told.code, told.message) == (grpc.StatusCode.FAILED_PRECONDITION, "policy support was deleted")
        assert gauge(sidecar, "pointsman_policy_generation") == 0


async def test_an_update_of_a_kind_that_is_newer_than_the_sidecar_is_ignored(
    operator: FakeOperator, stub: StubProvider
) -> None:
    newer = control_pb2.ConnectResponse()
    newer.MergeFromString(b"\xfa\x3f\x03new")
    async with following(operator.address):
        connection = await operator.connection()
        connection.send_raw(newer)
        connection.send(snapshot=the_policy(stub.base_url))

        assert (await connection.answer()).ack.nonce == "n-3"


async def test_access_replaces_what_was_given_before(operator: FakeOperator, stub: StubProvider) -> None:
    async with following(operator.address) as sidecar:
        connection = await operator.connection()
        connection.send(access=ACCESS)
        connection.send(access=control_pb2.AccessUpdate())
        connection.send(snapshot=the_policy(stub.base_url))
        await connection.answer()

        told = await refusal(sidecar.app.Complete(ask()))

        assert told.outcomes == [("mini", "NO_ACCESS"), ("flagship", "NO_ACCESS")]


async def test_an_operator_that_is_away_is_told_to_callers_who_wait_for_their_first_policy() -> None:
    async with running_operator(refuse=grpc.StatusCode.UNAVAILABLE) as away, following(away.address) as sidecar:
        await until(lambda: "UNAVAILABLE: not now" in sidecar.in_force.no_policy)

        told = await refusal(sidecar.app.Complete(ask()))

    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
    assert told.message == "the operator has not sent a policy yet (UNAVAILABLE: not now)"


async def test_a_stream_that_ends_is_opened_again(operator: FakeOperator) -> None:
    async with following(operator.address):
        (await operator.connection()).close()

        assert (await operator.connection()).hello.claimed_identity == IDENTITY


async def test_streams_that_end_leave_no_task_behind(operator: FakeOperator) -> None:
    """An operator that restarts every week must not fill a sidecar's memory."""
    async with following(operator.address):
        connection = await operator.connection()

        async with no_task_left():
            for _ in range(4):
                connection.close()
                connection = await operator.connection()


async def test_a_restarted_operator_is_found_again_and_told_what_is_known(stub: StubProvider) -> None:
    async with running_operator() as first, following(first.address) as sidecar:
        connection = await first.connection()
        connection.send(snapshot=the_policy(stub.base_url))
        connection.send(access=ACCESS)
        await connection.answer()
        port = int(first.address.rpartition(":")[2])
        await _stopped(first, sidecar)

        # Away, the sidecar goes on with what it has.
        assert (await sidecar.app.Complete(ask())).decision.policy.generation == 3

        async with running_operator(port=port) as second:
            again = await second.connection()
            assert again.hello.snapshot_version == "sha256:3"
            assert [(each.kind, each.uid, each.generation) for each in again.hello.known] == [
                ("ModelRoutingPolicy", "u-1", 3),
                ("ModelProvider", "u-2", 1),
            ]
            again.send(snapshot=the_policy(stub.base_url, generation=4))
            assert (await again.answer()).ack.nonce == "n-4"
            assert (await sidecar.app.Complete(ask())).decision.policy.generation == 4


async def _stopped(operator: FakeOperator, sidecar: Sidecar) -> None:
    """Stop an operator before its block ends."""
    await operator.stop()
    await until(lambda: gauge(sidecar, "pointsman_control_connected") == 0)


async def test_a_restarted_sidecar_has_its_policy_but_no_key_until_the_operator_is_back(
    stub: StubProvider, tmp_path: Path
) -> None:
    async with running_operator() as operator:
        async with following(operator.address, folder=tmp_path):
            connection = await operator.connection()
            connection.send(access=ACCESS)
            connection.send(snapshot=the_policy(stub.base_url))
            await connection.answer()
        assert KEY.encode() not in stored(tmp_path).read_bytes()

        async with following(operator.address, folder=tmp_path) as restarted:
            again = await operator.connection()
            assert again.hello.snapshot_version == "sha256:3"
            assert (await restarted.app.Explain(ask())).decision.policy.generation == 3
            told = await refusal(restarted.app.Complete(ask()))
            assert (told.code, told.outcomes) == (
                grpc.StatusCode.UNAVAILABLE,
                [("mini", "NO_ACCESS"), ("flagship", "NO_ACCESS")],
            )

            again.send(access=ACCESS)
            await until(lambda: bool(restarted.in_force.access))
            assert (await restarted.app.Complete(ask())).decision.model == "mini"


async def test_a_withdrawn_policy_does_not_come_back_by_a_restart(stub: StubProvider, tmp_path: Path) -> None:
    async with running_operator() as operator:
        async with following(operator.address, folder=tmp_path):
            connection = await operator.connection()
            connection.send(snapshot=the_policy(stub.base_url))
            connection.send(no_policy=control_pb2.NoPolicy(nonce="n-9", reason="gone"))
            await connection.answer()
            await connection.answer()

        async with following(operator.address, folder=tmp_path) as restarted:
            await operator.connection()
            told = await refusal(restarted.app.Complete(ask()))

    assert told.reason == "NOT_READY"


@pytest.mark.parametrize(
    "content",
    [
        pytest.param(b"", id="empty"),
        pytest.param(b"\xff" * 100, id="noise"),
        pytest.param(
            update(snapshot(), contract_version=2).SerializeToString(), id="of another version of the contract"
        ),
    ],
)
async def test_a_stored_snapshot_that_cannot_be_read_is_as_good_as_none(
    operator: FakeOperator, stub: StubProvider, tmp_path: Path, content: bytes
) -> None:
    SnapshotStore(tmp_path).save(the_policy(stub.base_url))
    stored(tmp_path).write_bytes(content)

    async with following(operator.address, folder=tmp_path) as sidecar:
        connection = await operator.connection()

        assert connection.hello.snapshot_version == ""
        assert (await refusal(sidecar.app.Complete(ask()))).reason == "NOT_READY"


async def test_a_folder_that_cannot_be_written_to_costs_only_the_restart(
    operator: FakeOperator, stub: StubProvider, tmp_path: Path
) -> None:
    async with following(operator.address, folder=tmp_path / "missing") as sidecar:
        connection = await operator.connection()
        connection.send(snapshot=the_policy(stub.base_url))

        assert (await connection.answer()).ack.nonce == "n-3"
        assert (await sidecar.app.Explain(ask())).decision.policy.generation == 3


async def test_a_policy_change_leaves_running_streams_alone(operator: FakeOperator, stub: StubProvider) -> None:
    async with following(operator.address) as sidecar:
        connection = await operator.connection()
        connection.send(access=ACCESS)
        connection.send(snapshot=the_policy(stub.base_url))
        await connection.answer()
        call = sidecar.app.CompleteStream(ask())
        assert (await next_event(call)).started.policy.generation == 3

        connection.send(no_policy=control_pb2.NoPolicy(nonce="n-9", reason="gone"))
        await connection.answer()

        assert (await rest(call))[-1].finished.policy.generation == 3
