"""What a Redis that is killed, emptied or hangs does to the ledger, and what is left of it."""

import asyncio
import contextlib
import shutil
import signal
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest
from prometheus_client import CollectorRegistry

from pointsman_operator.ledger import eras
from pointsman_operator.ledger.accounts import Account, Stamp
from pointsman_operator.ledger.answering import Terms
from pointsman_operator.ledger.messages import BlockState, Call, Item, Reply, Said
from pointsman_operator.quotas import (
    Asked,
    Keeper,
    LedgerMetrics,
    RedisEndpoint,
    RedisStore,
    StoreConflictError,
    StoreUnavailableError,
)
from process.operator.redis.opening import opened, store_at
from support.quota.store_suite import DAY, account, key
from support.redis.binaries import Binary
from support.redis.servers import RedisServer, running
from support.waiting import until


async def test_what_was_confirmed_is_there_after_kill_9_under_load(binary: Binary, tmp_path: Path) -> None:
    names = [key(f"q{number}") for number in range(8)]
    with running(binary, tmp_path) as server:
        stores = [store_at(replace(server.endpoint, prefix=f"p{number}")) for number in range(4)]
        confirmed = dict.fromkeys(range(4), 0)

        async def load(number: int) -> None:
            await stores[number].read()
            while True:
                written = {name: account(confirmed[number] + 1) for name in names}
                await stores[number].write(written)
                confirmed[number] += 1

        for _ in range(3):
            goal = max(confirmed.values()) + 50
            tasks = [asyncio.create_task(load(number)) for number in range(4)]
            await until(lambda goal=goal: min(confirmed.values()) >= goal, within=60)  # type: ignore[misc]
            eras_before = [store.era.number for store in stores]
            await asyncio.to_thread(server.kill)
            results = await asyncio.gather(*tasks, return_exceptions=True)
            assert all(isinstance(result, StoreUnavailableError) for result in results), results
            await asyncio.to_thread(server.start)
            for number, store in enumerate(stores):
                found = {each.version for each in (await store.read()).values()}
                # What was under way may have been written, but then all of it.
                assert len(found) == 1
                assert found <= {confirmed[number], confirmed[number] + 1}
                confirmed[number] = found.pop()
                assert store.era.number > eras_before[number]
        for store in stores:
            await store.close()


async def test_another_run_of_the_server_is_noticed_by_the_write_itself(binary: Binary, tmp_path: Path) -> None:
    with running(binary, tmp_path) as server:
        async with opened(server.endpoint) as store:
            await store.read()
            await store.write({key(): account(1)})
            first = store.era
            server.stop()
            server.start()
            # The connection is made anew without a word, as by a proxy.
            await store.close()

            with pytest.raises(StoreConflictError, match="it is another server than before"):
                await store.write({key(): account(2)})

            assert await store.read() == {key(): account(1)}
            assert store.era.number > first.number
            await store.write({key(): account(2)})


async def test_a_server_that_was_emptied_begins_another_era(server: RedisServer, endpoint: RedisEndpoint) -> None:
    async with opened(endpoint) as store:
        await store.read()
        await store.write({key(): account(1)})
        first = store.era
        server.ask("FLUSHALL")

        with pytest.raises(StoreConflictError):
            await store.write({key(): account(2)})

        assert await store.read() == {}
        assert store.era.number > first.number


async def test_a_server_that_hangs_is_waited_for_so_long_and_its_late_write_hurts_nobody(
    binary: Binary, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pointsman_operator.quotas.redis_endpoint._ANSWER_SECONDS", 0.5)
    with running(binary, tmp_path) as server:
        assert server.process is not None
        async with opened(server.endpoint) as store:
            await store.read()
            await store.write({key(): account(1)})
            server.process.send_signal(signal.SIGSTOP)
            with pytest.raises(StoreUnavailableError, match=r"Redis at .* cannot be used"):
                await store.write({key(): account(2)})
            server.process.send_signal(signal.SIGCONT)

            there = (await store.read())[key()].version
            assert there in {1, 2}
            while True:
                try:
                    await store.write({key(): account(there + 1)})
                except StoreConflictError:
                    there = (await store.read())[key()].version
                else:
                    break
            assert (await store.read())[key()] == account(there + 1)


@dataclass
class Ledger:
    """A keeper on a real Redis, whose calendar is moved by hand."""

    store: RedisStore
    now: float = DAY / 2
    replies: list[Reply] = field(default_factory=list)
    sessions: int = 0
    calls: int = 0

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

    async def ask(self, keeper: Keeper, *items: Item, session: int = 0, declares: bool = False) -> Reply:
        """Ask as a sidecar does, again until there is an answer."""
        terms = {key().budget: Terms(unit="Tokens", limit=1000, has_window=lambda _: True)}
        self.calls += 1
        call = Call(
            id=self.calls, holder="uid/a", session=session, declares=declares, high=1 if declares else 0, items=items
        )
        asked = Asked(call=call, terms=lambda: terms, reply=lambda reply, _: self.replies.append(reply), nudge=_nothing)
        while not self.replies or self.replies[-1].id != call.id:
            keeper.submit(asked)
            with contextlib.suppress(TimeoutError):
                await until(lambda: bool(self.replies) and self.replies[-1].id == call.id, within=1)
        return self.replies[-1]

    def _fresh(self) -> int:
        self.sessions += 1
        return self.sessions


def _nothing() -> None:
    """Nobody to nudge."""


@pytest.mark.parametrize("forgets", [False, True], ids=["keeps", "forgets"])
async def test_after_another_run_sidecars_declare_what_they_hold_before_more_is_granted(
    binary: Binary, tmp_path: Path, *, forgets: bool
) -> None:
    with running(binary, tmp_path) as server:
        ledger = Ledger(store_at(server.endpoint))
        keeper = ledger.keeper()
        task = asyncio.create_task(keeper.run())
        try:
            session = (await ledger.ask(keeper)).session
            await ledger.ask(keeper, session=session, declares=True)
            # So is a server that is new: none can tell it from one that was emptied.
            ledger.now += eras.PAUSE_SECONDS
            wish = Item(key=key(), serial=2, said=Said(), total=900, needed=900)
            block = (await ledger.ask(keeper, wish, session=session)).verdicts[0]
            assert (block.state, block.granted) == (BlockState.OPEN, 900)

            server.kill()
            if forgets:
                shutil.rmtree(tmp_path / "appendonlydir")
            server.start()
            held = replace(wish, granted=900, created=block.created, said=Said(used=300), total=1000, needed=1000)
            answer = await ledger.ask(keeper, held, session=session)
            assert answer.declare
            again = await ledger.ask(keeper, held, session=answer.session, declares=True)
            # It is taken over, and as yet no more is granted.
            assert again.verdicts[0].granted == 900
            assert await ledger.ask(keeper, replace(held, created=again.verdicts[0].created), session=answer.session)
            assert ledger.replies[-1].verdicts[0].granted == 900

            ledger.now += eras.PAUSE_SECONDS
            more = await ledger.ask(keeper, replace(held, created=again.verdicts[0].created), session=answer.session)
            assert more.verdicts[0].granted == 1000
            async with opened(server.endpoint) as other:
                assert (await other.read())[key()].committed == 1000
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)


async def test_accounts_whose_eras_are_ahead_of_the_servers_clock_push_it_on(endpoint: RedisEndpoint) -> None:
    ahead = Account(version=3, era=2**50, forks=(Stamp(era=2**50, version=1),))
    async with opened(endpoint) as first, opened(endpoint) as second:
        await first.read()
        await first.write({key(): ahead})

        assert await second.read() == {key(): ahead}
        assert second.era.number >= 2**50
