"""The holder of the Lease knows the sidecars of all replicas, and none has far more than its share."""

import asyncio
import random
from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from pointsman_api.v1 import control_pb2 as control
from pointsman_operator.push import Hub, HubMetrics, Peer, Rejection, SidecarFacts, facts_of
from pointsman_operator.replicas import Fleet, Spreader, Totals, account_of, drain
from pointsman_operator.replicas.fleet import EXPIRES_SECONDS
from pointsman_operator.replicas.reports import MOST_PER_MESSAGE, Outbox, read_pod, read_state, state_of
from pointsman_operator.replicas.spreading import surplus
from pointsman_operator.resources import Key
from process.operator.proofs import make_token
from pure.operator.leases import Clock
from pure.operator.objects import OPERATOR_NAMESPACE, policy, provider, world


def hub() -> Hub:
    made = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(CollectorRegistry()))
    made.update(world(policies=[policy()], providers=[provider()]))
    return made


def facts(pod: str, *, namespace: str = "shop", held: str = "v1", rejected: str = "") -> SidecarFacts:
    rejection = Rejection(version=rejected, reason="no such matcher") if rejected else None
    return SidecarFacts(
        pod=Key(namespace, pod), policy="support", losers=("general",), held_version=held, rejection=rejection
    )


def known(fleet: Fleet, namespace: str = "shop") -> dict[str, str]:
    return {each.pod.name: each.held_version for each in fleet.sidecars_in(namespace)}


def synced(fleet: Fleet, replica: str, *sidecars: SidecarFacts) -> int:
    stream = fleet.join(replica)
    fleet.update(replica, stream, sidecars=sidecars, gone=())
    fleet.synced(replica, stream)
    return stream


def test_the_sidecars_of_all_replicas_are_counted_together() -> None:
    own = hub()
    own.connect(peer=Peer(namespace="shop", pod="app-0", labels={}), hello=control.Hello(contract_version=1))
    fleet = Fleet(own, clock=Clock())

    synced(fleet, "b", facts("app-1"), facts("app-2", namespace="bank"))

    assert known(fleet) == {"app-0": "", "app-1": "v1"}
    assert fleet.totals() == Totals(replicas=2, sidecars=3)


def test_a_replica_counts_once_it_has_said_everything() -> None:
    fleet = Fleet(hub(), clock=Clock())
    fleet.join("b")

    assert fleet.totals().replicas == 1


def test_a_pod_that_is_here_by_now_is_not_counted_twice() -> None:
    own = hub()
    fleet = Fleet(own, clock=Clock())
    synced(fleet, "b", facts("app-0"))

    session = own.connect(peer=Peer(namespace="shop", pod="app-0", labels={}), hello=control.Hello(contract_version=1))

    assert fleet.sidecars_in("shop") == (facts_of(session),)


def test_a_pod_that_went_from_one_replica_to_another_is_the_others() -> None:
    fleet = Fleet(hub(), clock=Clock())
    stream = synced(fleet, "b", facts("app-1", held="v1"))
    synced(fleet, "c", facts("app-1", held="v2"))

    # The news of its going comes last.
    fleet.update("b", stream, sidecars=(), gone=[Key("shop", "app-1")])

    assert known(fleet) == {"app-1": "v2"}


def test_a_replica_that_is_gone_is_forgotten_once_its_sidecars_had_time_to_come_elsewhere() -> None:
    clock = Clock()
    fleet = Fleet(hub(), clock=clock)
    news: list[frozenset[str]] = []
    stream = synced(fleet, "b", facts("app-1"))
    fleet.subscribe(news.append)

    fleet.leave("b", stream)
    clock.now += EXPIRES_SECONDS - 1
    fleet.expire()
    assert known(fleet) == {"app-1": "v1"}

    clock.now += 1
    fleet.expire()
    assert known(fleet) == {}
    assert news == [{"shop"}]


def test_a_replica_that_comes_back_keeps_what_it_says_again_and_nothing_else() -> None:
    clock = Clock()
    fleet = Fleet(hub(), clock=clock)
    first = synced(fleet, "b", facts("app-1"), facts("app-2"))
    second = fleet.join("b")
    fleet.leave("b", first)  # the end of the earlier stream is noticed late

    fleet.update("b", second, sidecars=[facts("app-2", held="v2")], gone=())
    assert known(fleet) == {"app-1": "v1", "app-2": "v2"}
    fleet.synced("b", second)
    clock.now += EXPIRES_SECONDS
    fleet.expire()

    assert known(fleet) == {"app-2": "v2"}


def test_a_replica_that_holds_the_lease_no_more_forgets_the_others() -> None:
    fleet = Fleet(hub(), clock=Clock())
    stream = synced(fleet, "b", facts("app-1"))

    fleet.clear()
    fleet.update("b", stream, sidecars=[facts("app-2")], gone=())

    assert known(fleet) == {}


pods = st.dictionaries(
    st.sampled_from([f"app-{number}" for number in range(6)]), st.tuples(st.sampled_from("abc"), st.booleans())
)


@given(st.lists(pods))
def test_whatever_changes_what_is_reported_is_what_is_so(states: Sequence[dict[str, tuple[str, bool]]]) -> None:
    outbox, fleet = Outbox(), Fleet(hub(), clock=Clock())
    stream = synced(fleet, "b")
    for state in states:
        now = [facts(pod, held=held, rejected="v9" if rejects else "") for pod, (held, rejects) in state.items()]
        for message in outbox.changes("shop", now):
            fleet.update("b", stream, sidecars=map(read_state, message.sidecars), gone=map(read_pod, message.gone))

        assert set(fleet.sidecars_in("shop")) == set(now)
        assert list(outbox.changes("shop", now)) == []


def test_messages_stay_small_however_many_sidecars_there_are() -> None:
    many = [facts(f"app-{number}") for number in range(MOST_PER_MESSAGE * 2 + 1)]
    outbox = Outbox()

    assert [len(message.sidecars) for message in outbox.changes("shop", many)] == [100, 100, 1]
    assert [len(message.gone) for message in outbox.changes("shop", [])] == [100, 100, 1]


def test_facts_survive_the_way() -> None:
    there = facts("app-1", rejected="v2")

    assert read_state(state_of(there)) == there


@pytest.mark.parametrize(
    ("own", "totals", "expected"),
    [
        pytest.param(1000, None, 0, id="nothing is known of others"),
        pytest.param(1000, Totals(replicas=1, sidecars=1000), 0, id="there is no other"),
        pytest.param(500, Totals(replicas=2, sidecars=1000), 0, id="its share"),
        pytest.param(590, Totals(replicas=2, sidecars=1000), 0, id="a little more, by chance"),
        pytest.param(5, Totals(replicas=2, sidecars=5), 0, id="few"),
        pytest.param(750, Totals(replicas=2, sidecars=1000), 63, id="far more"),
        pytest.param(2000, Totals(replicas=2, sidecars=2000), 100, id="all, but not all at once"),
    ],
)
def test_a_replica_sends_away_what_is_far_more_than_its_share(own: int, totals: Totals | None, expected: int) -> None:
    assert surplus(own=own, totals=totals) == expected


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_shares_become_even_and_stay_so(one: int, other: int) -> None:
    chance = random.Random(one * 3001 + other)  # noqa: S311 - guards nothing
    total = one + other
    for _ in range(200):
        gone = surplus(own=one, totals=Totals(replicas=2, sidecars=total))
        come = surplus(own=other, totals=Totals(replicas=2, sidecars=total))
        # Whoever is sent away comes to either, by chance.
        back = sum(chance.random() < 0.5 for _ in range(gone + come))
        one, other = one - gone + back, other - come + (gone + come - back)

    assert surplus(own=one, totals=Totals(replicas=2, sidecars=total)) == 0
    assert surplus(own=other, totals=Totals(replicas=2, sidecars=total)) == 0


async def test_all_sidecars_are_sent_away_within_the_time_to_drain_and_evenly() -> None:
    own = hub()
    sessions = [
        own.connect(
            peer=Peer(namespace="shop", pod=f"app-{number}", labels={}), hello=control.Hello(contract_version=1)
        )
        for number in range(103)
    ]
    slept: list[float] = []
    left: list[int] = []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        left.append(sum(not session.dismissed for session in sessions))

    await drain(own, seconds=10, sleep=sleep)

    assert sum(slept) == pytest.approx(10)
    assert left[0] == len(sessions)  # serves on at first
    assert left[-1] == 0
    assert max(before - after for before, after in pairwise(left)) <= 2


async def test_without_a_time_to_drain_nobody_is_sent_away() -> None:
    own = hub()
    session = own.connect(peer=Peer(namespace="shop", pod="app-0", labels={}), hello=control.Hello(contract_version=1))

    await drain(own, seconds=0)

    assert not session.dismissed


@pytest.mark.parametrize(
    "token",
    ["", "a.b.c", "not-a-token", make_token(expires=1.0)],
    ids=["empty", "no payload", "one part", "of nobody"],
)
def test_a_token_that_is_no_service_accounts_has_no_account(token: str) -> None:
    with pytest.raises(ValueError, match="service"):
        account_of(token)


async def test_sidecars_that_are_too_many_are_told_to_come_again_and_the_others_left_alone() -> None:
    own = hub()
    sessions = [
        own.connect(
            peer=Peer(namespace="shop", pod=f"app-{number}", labels={}), hello=control.Hello(contract_version=1)
        )
        for number in range(100)
    ]
    known: list[Totals | None] = [None, Totals(replicas=2, sidecars=120)]

    async def sleep(_: float) -> None:
        if not known:
            raise asyncio.CancelledError

    spreader = Spreader(own, totals=lambda: known.pop(0), chance=random.Random(1), sleep=sleep)  # noqa: S311 - guards nothing
    with pytest.raises(asyncio.CancelledError):
        await spreader.run()

    assert sum(bool(session.dismissed) for session in sessions) == 10
