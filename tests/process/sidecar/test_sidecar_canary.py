"""A split's new arm, as an app and the operator meet it: its share, who stays where, and what counts as a failure."""

import asyncio
from collections import Counter

import pytest

from pointsman_api.v1 import completions_pb2, decision_pb2, snapshot_pb2
from pointsman_sidecar.contract.tunings import tally_of
from pointsman_sidecar.tuning.splits import SplitState
from pointsman_sidecar.tuning.tuning import Tuning
from pointsman_stub import Fault, StubProvider
from support.answers import streamed
from support.completions import ask
from support.sidecars import Sidecar
from support.snapshots import flagship, mini, snapshot

SPLIT = "s-1"
NEXT = "gpt-4o"
REQUESTS = 2_000


def splitting(stub: StubProvider) -> snapshot_pb2.Snapshot:
    """95 % on mini, 5 % on the flagship, for which mini stands in."""
    route = snapshot_pb2.Route(
        name="new",
        when=snapshot_pb2.Condition(),
        arms=[snapshot_pb2.Arm(model="mini", weight=95), snapshot_pb2.Arm(model="flagship", weight=5)],
        sticky_by=snapshot_pb2.STICKY_BY_USER,
        overrides_fallbacks=True,
        fallbacks=["mini"],
        split=SPLIT,
    )
    return snapshot(
        base_url=stub.base_url,
        models=[mini(), flagship()],
        routes=[route],
        retries=snapshot_pb2.Retries(attempts=0, budget_percent=20),
        circuit_breaker=snapshot_pb2.CircuitBreaker(),
    )


def tell(sidecar: Sidecar, *weights: int, rolled_back: str = "") -> None:
    """What the operator says of the split."""
    policy = sidecar.in_force.policy
    assert policy is not None
    state = SplitState(weights=weights, rolled_back=rolled_back)
    sidecar.in_force.fleet = Tuning(policy_uid=policy.uid, version=1, splits={SPLIT: state})


async def drawn(sidecar: Sidecar, *users: str) -> dict[str, decision_pb2.Decision]:
    """The decision of a request of each of these users."""
    found: dict[str, decision_pb2.Decision] = {}
    asked = iter(users)

    async def work() -> None:
        for user in asked:
            hints = completions_pb2.RoutingHints(user=user)
            found[user] = (await sidecar.app.Complete(ask(hints=hints))).decision

    await asyncio.gather(*(work() for _ in range(16)))
    return found


def counted(sidecar: Sidecar) -> dict[str, tuple[int, int]]:
    """Requests and failures of each arm, as they are sent to the operator."""
    policy = sidecar.in_force.policy
    assert policy is not None
    counts = sidecar.counting.known(policy.uid)
    if counts is None:
        return {}
    return {arm.model: (arm.requests, arm.errors) for arm in tally_of(counts).arms if arm.split == SPLIT}


@pytest.fixture
def split(stub: StubProvider, sidecar: Sidecar) -> Sidecar:
    """A sidecar under that policy."""
    sidecar.apply(splitting(stub))
    return sidecar


async def test_users_get_their_share_stay_where_they_are_and_are_counted(split: Sidecar) -> None:
    users = [f"user-{number}" for number in range(REQUESTS)]
    first = await drawn(split, *users)
    again = await drawn(split, *users[:500])

    share = Counter(each.arm.model for each in first.values())
    assert abs(100 * share["flagship"] / REQUESTS - 5) < 1.5
    assert {user: again[user].arm.model for user in again} == {user: first[user].arm.model for user in again}
    assert {(each.arm.weight, each.arm.total_weight) for each in first.values()} == {(95, 100), (5, 100)}
    assert sum(requests for requests, _ in counted(split).values()) == REQUESTS + 500
    assert [errors for _, errors in counted(split).values()] == [0, 0]


async def test_a_failure_counts_for_the_arm_although_a_fallback_answered(stub: StubProvider, split: Sidecar) -> None:
    tell(split, 0, 100)
    stub.set_faults(Fault(model=NEXT, status=500))

    decisions = (await drawn(split, "ada", "ben", "cyd")).values()

    assert {(each.model, each.arm.model) for each in decisions} == {("mini", "flagship")}
    assert counted(split) == {"flagship": (3, 3)}


async def test_labels_count_for_the_arm_whose_model_answered_and_for_no_stand_in(
    stub: StubProvider, split: Sidecar
) -> None:
    tell(split, 0, 100)
    answered = [*(await drawn(split, "ada", "ben")).values()]
    stub.set_faults(Fault(model=NEXT, status=500))
    answered += (await drawn(split, "cyd")).values()
    for decision in answered:
        await split.app.GiveFeedback(
            completions_pb2.GiveFeedbackRequest(
                decision_id=decision.id, label=completions_pb2.FEEDBACK_LABEL_HALLUCINATION
            )
        )
    await split.app.GiveFeedback(completions_pb2.GiveFeedbackRequest(decision_id=answered[0].id, score=1.0))

    counts = split.counting.known(answered[0].policy.uid)
    assert counts is not None
    assert [(arm.model, arm.labels, arm.negative_labels) for arm in tally_of(counts).arms] == [("flagship", 3, 2)]


async def test_after_a_rollback_everybody_is_on_the_old_arm_and_the_decision_says_so(split: Sidecar) -> None:
    tell(split, 100, 0, rolled_back="flagship")

    decisions = (await drawn(split, *(f"user-{number}" for number in range(50)))).values()

    assert {each.model for each in decisions} == {"mini"}
    assert {each.arm.rolled_back for each in decisions} == {"flagship"}
    assert all(each.message.endswith("; flagship was rolled back") for each in decisions)


async def test_a_stream_that_breaks_is_a_failure_and_one_that_ends_is_none(stub: StubProvider, split: Sidecar) -> None:
    tell(split, 0, 100)
    hints = completions_pb2.RoutingHints(user="ada")
    await streamed(split.app.CompleteStream(ask(hints=hints)))
    stub.set_faults(Fault(model=NEXT, cut=2))
    events, error = await streamed(split.app.CompleteStream(ask(hints=hints)))

    assert events
    assert error is not None
    assert counted(split) == {"flagship": (2, 1)}


async def test_an_explanation_says_the_arm_and_counts_for_nothing(split: Sidecar) -> None:
    tell(split, 0, 100)

    explained = await split.app.Explain(ask(hints=completions_pb2.RoutingHints(user="ada")))

    assert explained.decision.arm == decision_pb2.SplitArm(model="flagship", weight=100, total_weight=100)
    assert counted(split) == {}


async def test_states_of_another_policy_are_not_drawn_by(split: Sidecar) -> None:
    tell(split, 0, 100)
    split.in_force.fleet = Tuning(policy_uid="another", splits=split.in_force.fleet.splits)

    (decision,) = (await drawn(split, "ada")).values()

    assert decision.arm.total_weight == 100
    assert decision.arm.weight in {95, 5}
