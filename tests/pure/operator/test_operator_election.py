"""One replica leads at a time, and another one soon where that one is gone."""

import asyncio
from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from pointsman_operator.election import Holder
from pure.operator.leases import DURATION, Clock, Lease, elector


async def test_the_first_replica_makes_the_lease_and_leads() -> None:
    lease, clock = Lease(), Clock()
    first, second = elector(lease, clock, "a"), elector(lease, clock, "b")

    await first.step()
    await second.step()

    assert (first.leading, second.leading) == (True, False)
    assert second.holder == Holder(name="a", address="a:9443")
    assert first.first


async def test_people_read_in_the_lease_who_has_it_since_when_and_how_often_it_changed_hands() -> None:
    lease, clock = Lease(), Clock()
    await elector(lease, clock, "a").step()
    clock.now += 60
    other = elector(lease, clock, "b")

    await other.step()
    clock.now += DURATION
    await other.step()
    clock.now += 1
    await other.step()

    assert lease.content is not None
    assert lease.content["spec"] == {
        "holderIdentity": "b",
        "leaseDurationSeconds": 15,
        "acquireTime": "1970-01-01T00:17:55.000000Z",
        "renewTime": "1970-01-01T00:17:56.000000Z",
        "leaseTransitions": 1,
    }
    assert lease.content["metadata"]["annotations"] == {"pointsman.dev/address": "b:9443"}
    assert not other.first


async def test_a_lease_is_taken_when_nothing_was_heard_of_its_holder_for_its_duration_and_not_before() -> None:
    lease, clock = Lease(), Clock()
    await elector(lease, clock, "a").step()
    other = elector(lease, clock, "b")
    await other.step()

    clock.now += DURATION - 0.1
    await other.step()
    assert not other.leading

    clock.now += 0.1
    await other.step()
    assert other.leading


async def test_a_holder_that_renews_keeps_the_lease() -> None:
    lease, clock = Lease(), Clock()
    first, second = elector(lease, clock, "a"), elector(lease, clock, "b")
    for _ in range(20):
        await first.step()
        await second.step()
        clock.now += DURATION / 3

    assert not second.leading
    assert lease.content is not None
    assert lease.content["spec"]["leaseTransitions"] == 0


async def test_a_holder_that_cannot_renew_ceases_to_lead_before_another_can_begin() -> None:
    lease, clock = Lease(), Clock()
    first = elector(lease, clock)
    told: list[bool] = []
    first.subscribe(lambda: told.append(first.leading))
    await first.step()

    lease.away = True
    clock.now += DURATION * 0.7
    await first.step()

    assert not first.leading
    assert told == [True, False]


async def test_a_lease_that_is_given_up_is_free_at_once_and_stays_given_up() -> None:
    lease, clock = Lease(), Clock()
    first, second = elector(lease, clock, "a"), elector(lease, clock, "b")
    await first.step()
    await second.step()

    await first.release()
    assert not first.leading
    await first.step()
    assert first.holder is None
    await second.step()

    assert second.leading
    assert not second.first


async def test_what_is_given_up_is_only_ones_own() -> None:
    lease, clock = Lease(), Clock()
    first, second = elector(lease, clock, "a"), elector(lease, clock, "b")
    await first.step()

    await second.step()
    await second.release()

    assert lease.content is not None
    assert lease.content["spec"]["holderIdentity"] == "a"


async def test_a_campaign_ends_with_the_release() -> None:
    lease, clock = Lease(), Clock()
    first = elector(lease, clock)
    first.subscribe(lambda: asyncio.create_task(first.release()) if first.leading else None)

    async with asyncio.timeout(5):
        await first.run()

    assert not first.leading


@given(
    st.lists(
        st.tuples(
            st.sampled_from("abc"), st.floats(0, DURATION * 1.2), st.sampled_from(["", "", "", "away", "release"])
        )
    )
)
def test_no_two_replicas_ever_lead_at_once(events: Sequence[tuple[str, float, str]]) -> None:
    lease, clock = Lease(), Clock()
    replicas = {name: elector(lease, clock, name) for name in "abc"}

    async def play() -> None:
        for name, seconds, event in events:
            lease.away = event == "away"
            if event == "release":
                await replicas[name].release()
            else:
                await replicas[name].step()
            assert sum(replica.leading for replica in replicas.values()) <= 1
            clock.now += seconds
            assert sum(replica.leading for replica in replicas.values()) <= 1

    asyncio.run(play())
