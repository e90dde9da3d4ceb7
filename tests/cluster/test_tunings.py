"""What is tuned, kept in a real API server with the rights that the chart gives."""

import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path

import pytest

from cluster.harness.cluster import Cluster
from cluster.replicas import Operators
from pointsman_operator.quotas import Pace
from pointsman_operator.resources import Key
from pointsman_operator.tuning import PolicyState, Record, TuningConflictError, states
from pointsman_operator.tuning.tallies import Growth
from pointsman_operator.watch import Cluster as Client
from pointsman_operator.watch import Connector, OwnTunings

Open = Callable[[], OwnTunings]


def record(uid: str, *, version: int = 1) -> Record:
    """What is kept of a policy of which something was counted."""
    state = PolicyState(policy=Key("shop", uid), uid=uid, version=version)
    return Record(state=states.taken_in(state, Growth(scores=(3, 0, 5))), at=7)


@pytest.fixture
async def open_store(cluster: Cluster, crds: None, tmp_path: Path) -> AsyncIterator[Open]:
    """Stores of one namespace, each as a replica has it."""
    del crds
    with Operators.none_yet(cluster, tmp_path) as operators:
        kubeconfig = cluster.kubeconfig_for("operator", namespace=operators.namespace)
        async with Client(Connector(kubeconfig=str(kubeconfig)), secrets_namespace=operators.namespace) as client:
            yield lambda: OwnTunings(client, namespace=operators.namespace, pace=Pace(clock=time.monotonic))


async def test_what_one_replica_writes_the_next_one_reads(open_store: Open) -> None:
    first, second = open_store(), open_store()
    assert await first.read() == {}
    uids = [f"uid-{number}" for number in range(300)]

    # More than there are objects, so that some share one.
    await first.write({uid: record(uid) for uid in uids})
    await first.write({"uid-0": record("uid-0", version=2), "uid-1": None})

    kept = await second.read()
    assert kept.keys() == set(uids) - {"uid-1"}
    assert kept["uid-0"].state.version == 2
    assert kept["uid-2"].at == 7
    assert kept["uid-2"].state.scores.bins[2] == pytest.approx(record("uid-2").state.scores.bins[2], abs=0.01)


async def test_of_two_replicas_the_one_that_is_late_is_told_so(open_store: Open) -> None:
    first, second = open_store(), open_store()
    await first.read()
    await second.read()
    await first.write({"uid": record("uid")})

    with pytest.raises(TuningConflictError):
        await second.write({"uid": record("uid", version=9)})

    await second.read()
    await second.write({"uid": record("uid", version=9)})
    with pytest.raises(TuningConflictError):
        await first.write({"uid": record("uid", version=3)})
    assert (await second.read())["uid"].state.version == 9
