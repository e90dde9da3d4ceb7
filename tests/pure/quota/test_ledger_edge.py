"""How accounts are spread over objects, how fast these are written, and what becomes of who is silent."""

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.ledger.answering import Terms
from pointsman_operator.ledger.eras import PAUSE_SECONDS
from pointsman_operator.ledger.messages import Call, Item, Reply, Said
from pointsman_operator.quotas import Asked, Keeper, LedgerMetrics, MemoryStore, Pace, StoreUnavailableError
from pointsman_operator.quotas import keeper as keeper_module
from pointsman_operator.quotas.pacing import BYTES_PER_SECOND, WRITES_PER_SECOND
from pointsman_operator.quotas.shards import accounts_in, entries, entry_name, shard_of
from pointsman_operator.quotas.stores import Era
from pointsman_operator.quotas.wire import reply_message
from pointsman_operator.status import LedgerState
from support.quota.store_suite import DAY, account, key
from support.waiting import until

NAMES = st.text(min_size=1, max_size=20)


@given(NAMES, NAMES, st.integers(0, 10_000), st.integers(0, 10_000))
def test_all_windows_of_a_budget_are_in_one_object_under_names_of_their_own(
    name: str, subject: str, one: int, other: int
) -> None:
    first, second = key(name, subject=subject, day=one), key(name, subject=subject, day=other)

    assert shard_of(first) == shard_of(second)
    assert (entry_name(first) == entry_name(second)) == (one == other)
    written = {first: account(holders=3), second: account(2)}
    data = {name: record for name, record in entries(written).items() if record is not None}
    assert dict(accounts_in(data)) == written


@given(st.lists(st.tuples(st.integers(0, 65_536), st.floats(0, 2)), min_size=1, max_size=300))
def test_no_second_sees_more_than_is_let_through_and_what_one_second_may_catch_up(
    writes: list[tuple[int, float]],
) -> None:
    now = 0.0
    made: list[tuple[float, int]] = []

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    async def write() -> None:
        nonlocal now
        pace = Pace(clock=lambda: now, sleep=sleep)
        for size, pause in writes:
            await pace.turn(size)
            made.append((now, size))
            now += pause

    asyncio.run(write())

    for began, _ in made:
        within = [size for at, size in made if began <= at <= began + 10]
        # Ten seconds' worth, one that was saved up, and the write that was waited for.
        assert len(within) <= 11 * WRITES_PER_SECOND + 1
        assert sum(within) <= 11 * BYTES_PER_SECOND + max(within)


async def test_a_large_write_takes_none_of_the_number_of_small_ones() -> None:
    now = 0.0

    async def sleep(seconds: float) -> None:
        nonlocal now
        now += seconds

    pace = Pace(clock=lambda: now, sleep=sleep)
    sizes = [BYTES_PER_SECOND // 10, *[100] * 9] * 50
    for size in sizes:
        await pace.turn(size)

    assert now <= max(len(sizes) / WRITES_PER_SECOND, sum(sizes) / BYTES_PER_SECOND)


def test_a_writing_that_takes_long_is_known_for_a_while_whatever_it_waited_for() -> None:
    now = 0.0
    pace = Pace(clock=lambda: now)
    assert pace.behind == 0

    with pace.writing():
        now += 1.5

    assert pace.behind == 1.5
    now += 10
    assert pace.behind == 0


@dataclass
class Bench:
    """A keeper whose clocks are moved by hand."""

    store: MemoryStore = field(default_factory=MemoryStore)
    now: float = DAY / 2
    replies: list[Reply] = field(default_factory=list)
    nudges: list[str] = field(default_factory=list)
    sessions: int = 0

    def keeper(self) -> Keeper:
        """The keeper, which leads."""
        made = Keeper(
            self.store,
            now=lambda: self.now,
            clock=lambda: self.now,
            fresh_session=self._fresh,
            metrics=LedgerMetrics(CollectorRegistry()),
        )
        made.begin()
        return made

    def asked(self, call: Call) -> Asked:
        """A call of which the budget is 1000 tokens."""
        terms = {key().budget: Terms(unit="Tokens", limit=1000, has_window=lambda _: True)}
        return Asked(
            call=call,
            terms=lambda: terms,
            reply=lambda reply, _: self.replies.append(reply),
            nudge=lambda: self.nudges.append(call.holder),
        )

    async def stored(self) -> Mapping[AccountKey, Account]:
        """What another would find."""
        return await MemoryStore(self.store.shared).read()

    def _fresh(self) -> int:
        self.sessions += 1
        return self.sessions


class Counting(MemoryStore):
    """A store that knows how much was written each time."""

    def __init__(self) -> None:
        super().__init__()
        self.written: list[int] = []

    async def write(self, changes: Mapping[AccountKey, Account | None]) -> None:
        """Write."""
        await super().write(changes)
        self.written.append(len(changes))


async def granted(bench: Bench, keeper: Keeper, holder: str, *, total: int, needed: int = 0) -> int:
    """What a new holder is granted of a block."""
    keeper.submit(bench.asked(Call(id=1, holder=holder, session=0)))
    count = len(bench.replies)
    await until(lambda: len(bench.replies) > count)
    session = bench.replies[-1].session
    keeper.submit(bench.asked(Call(id=2, holder=holder, session=session, declares=True)))
    await until(lambda: len(bench.replies) > count + 1)
    item = Item(key=key(), serial=1, said=Said(), total=total, needed=needed)
    keeper.submit(bench.asked(Call(id=3, holder=holder, session=session, items=(item,))))
    await until(lambda: len(bench.replies) > count + 2)
    return bench.replies[-1].verdicts[0].granted


class ForgetfulStore(MemoryStore):
    """One that may have lost something just now."""

    @property
    def era(self) -> Era:
        """Another one than before."""
        return Era(number=1, began=DAY / 2)


async def test_while_nothing_is_granted_replies_say_for_how_long_and_no_budget_is_called_exhausted() -> None:
    bench = Bench(store=ForgetfulStore())
    keeper = bench.keeper()
    task = asyncio.create_task(keeper.run())
    try:
        assert await granted(bench, keeper, "uid/a", total=100, needed=100) == 0

        assert bench.replies[-1].verdicts[0].short
        assert bench.replies[-1].grants_after == PAUSE_SECONDS
        assert reply_message(bench.replies[-1], message="").grants_after.seconds == PAUSE_SECONDS
        assert keeper._term is not None
        assert not keeper._term.short
        assert "nothing is granted yet" in keeper.state().remark

        bench.now += PAUSE_SECONDS
        assert await granted(bench, keeper, "uid/b", total=100, needed=100) == 100
        assert not bench.replies[-1].grants_after
        assert not reply_message(bench.replies[-1], message="").HasField("grants_after")
        assert keeper.state() == LedgerState()
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_who_is_silent_for_long_is_given_up_and_a_window_that_is_long_over_is_dropped() -> None:
    bench = Bench()
    keeper = bench.keeper()
    task = asyncio.create_task(keeper.run())
    try:
        assert await granted(bench, keeper, "uid/a", total=100) == 100
        assert (await bench.stored())[key()].held == 100

        bench.now += 1000
        # Any call wakes it.
        await granted(bench, keeper, "uid/b", total=1)
        await until(lambda: bench.store.shared.accounts[key()][1].spent == 100)

        bench.now += DAY
        keeper.submit(bench.asked(Call(id=9, holder="uid/b", session=0)))
        await until(lambda: not bench.store.shared.accounts)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_is_reported_is_stored_when_it_has_waited_for_a_minute() -> None:
    bench = Bench()
    keeper = bench.keeper()
    task = asyncio.create_task(keeper.run())
    try:
        await granted(bench, keeper, "uid/a", total=100)
        session = bench.replies[-1].session

        async def report(used: int) -> None:
            count = len(bench.replies)
            item = Item(key=key(), serial=1, said=Said(used=used), granted=100)
            keeper.submit(bench.asked(Call(id=count + 10, holder="uid/a", session=session, items=(item,))))
            await until(lambda: len(bench.replies) > count)

        await report(10)
        bench.now += keeper_module.REPORTED_SECONDS - 1
        await report(20)
        await report(30)
        assert (await bench.stored())[key()].used == 0

        bench.now += 1
        await report(40)
        await until(lambda: bench.store.shared.accounts[key()][1].used == 40)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


async def test_what_nobody_waits_for_is_written_a_little_at_a_time() -> None:
    """Else a grant waits until all of it is through: each is an object's write, and these have their pace."""
    store = Counting()
    await store.write({key(f"over-{number}"): account(holders=0) for number in range(7)})
    store.written.clear()
    bench = Bench(store=store, now=2 * DAY)
    keeper = bench.keeper()
    task = asyncio.create_task(keeper.run())
    try:
        for writes in (1, 2, 3):
            await until(lambda: len(store.written) == writes)  # noqa: B023 - awaited here
            bench.now += 1
            # Any call wakes it.
            keeper.submit(bench.asked(Call(id=9, holder="uid/b", session=0)))
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    assert store.written == [3, 3, 1]
    assert not store.shared.accounts


async def test_a_holder_of_what_others_lack_is_nudged_once_a_second() -> None:
    bench = Bench()
    keeper = bench.keeper()
    task = asyncio.create_task(keeper.run())
    try:
        await granted(bench, keeper, "uid/a", total=1000, needed=1000)
        for other in "bcd":
            assert await granted(bench, keeper, f"uid/{other}", total=100, needed=100) == 0
        assert bench.nudges == ["uid/a"]

        bench.now += keeper_module.NUDGE_SECONDS
        await granted(bench, keeper, "uid/e", total=100, needed=100)
        assert bench.nudges == ["uid/a", "uid/a"]
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


@dataclass
class Failing(MemoryStore):
    """A store that fails while it is told to."""

    why: str = ""

    def __post_init__(self) -> None:
        super().__init__()

    async def read(self) -> Mapping[AccountKey, Account]:
        """All accounts, or nothing."""
        if self.why:
            raise StoreUnavailableError(self.why)
        return await super().read()


async def test_a_store_that_cannot_be_used_for_long_is_told_of_once_and_so_is_that_it_can() -> None:
    store = Failing(why="it hides")
    bench = Bench(store=store)
    told: list[LedgerState] = []
    registry = CollectorRegistry()
    slept = asyncio.Semaphore(0)

    async def sleep(seconds: float) -> None:
        bench.now += seconds
        slept.release()
        await asyncio.sleep(0)

    keeper = Keeper(
        store,
        now=lambda: bench.now,
        clock=lambda: bench.now,
        fresh_session=lambda: 1,
        metrics=LedgerMetrics(registry),
        opened=lambda: told.append(keeper.state()),
        sleep=sleep,
    )
    keeper.begin()
    task = asyncio.create_task(keeper.run())
    try:
        for _ in range(60):
            await slept.acquire()
        assert told == [LedgerState(known=False, trouble="it hides")]
        assert registry.get_sample_value("pointsman_operator_ledger_usable") == 0

        store.why = ""
        await until(lambda: len(told) > 1)
        assert told[1:] == [LedgerState(known=True)]
        assert registry.get_sample_value("pointsman_operator_ledger_usable") == 1
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
    keeper.pause()
    assert keeper.state() == LedgerState(known=False)
    assert registry.get_sample_value("pointsman_operator_ledger_usable") == 0
