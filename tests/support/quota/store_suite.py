"""What is expected of every store of the ledger: the same tests for each."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest

from pointsman_operator.ledger.accounts import Account, AccountKey, Block, Stamp
from pointsman_operator.quotas import Fence, Movable, Store, StoreConflictError, StoreFencedError

DAY = 86_400
Open = Callable[[], Awaitable[Store]]


class OpenMovable(Protocol):
    """Opens a store once more; `minded` is whether a fence is obeyed."""

    def __call__(self, *, minded: bool) -> Awaitable[Movable]:
        """Open it."""


def key(name: str = "month", *, namespace: str = "shop", subject: str = "", day: int = 0) -> AccountKey:
    """An account of a day."""
    return AccountKey(
        budget=f"TokenQuota/{namespace}/{name}",
        unit="Tokens",
        subject=subject,
        start=day * DAY,
        end=(day + 1) * DAY,
    )


def account(version: int = 1, *, spent: int = 0, holders: int = 1) -> Account:
    """An account of which so many sidecars hold something."""
    blocks = [
        Block(holder=f"uid-{number}/über", serial=1, created=Stamp(era=0, version=1), granted=100, used=number)
        for number in range(holders)
    ]
    return Account(version=version, spent=spent, blocks={(block.holder, block.serial): block for block in blocks})


class StoreSuite:
    """To be inherited from, with a fixture `open_store` that opens the same store once more each time it is called."""

    @pytest.fixture
    def open_store(self) -> Open:
        """The store under test."""
        raise NotImplementedError

    async def test_what_was_written_is_read_by_whoever_comes_next(self, open_store: Open) -> None:
        first = await open_store()
        assert await first.read() == {}
        written = {
            key(): account(spent=7, holders=3),
            key("other"): account(),
            key(subject="Deployment/web"): account(),
        }
        await first.write(written)

        assert await (await open_store()).read() == written

    async def test_an_account_is_written_again_and_again_and_dropped(self, open_store: Open) -> None:
        store = await open_store()
        await store.read()
        for version in (1, 2, 3):
            await store.write({key(): account(version), key("other"): account(version)})
        await store.write({key(): None})

        assert await (await open_store()).read() == {key("other"): account(3)}
        await store.write({key(): account(9)})
        assert await (await open_store()).read() == {key("other"): account(3), key(): account(9)}

    async def test_who_has_not_seen_the_last_write_does_not_write(self, open_store: Open) -> None:
        first, second = await open_store(), await open_store()
        for store in (first, second):
            await store.read()
        await first.write({key(): account(1, spent=1)})

        with pytest.raises(StoreConflictError):
            await second.write({key(): account(1, spent=2)})

        assert await second.read() == {key(): account(1, spent=1)}
        await second.write({key(): account(2, spent=3)})
        with pytest.raises(StoreConflictError):
            await first.write({key(): None})
        assert await (await open_store()).read() == {key(): account(2, spent=3)}

    async def test_an_account_that_another_dropped_is_not_written(self, open_store: Open) -> None:
        first, second = await open_store(), await open_store()
        await first.read()
        await first.write({key(): account(1)})
        await second.read()
        await first.write({key(): None})

        with pytest.raises(StoreConflictError):
            await second.write({key(): account(2)})

        assert await second.read() == {}

    async def test_hundreds_are_written_at_once(self, open_store: Open) -> None:
        store = await open_store()
        await store.read()
        written = {key(f"q{number}", day=number % 3): account(1, spent=number) for number in range(60)}
        await store.write(written)

        assert await (await open_store()).read() == written


class FenceSuite:
    """To be inherited from, with a fixture `open_movable` that opens the same store once more."""

    @pytest.fixture
    def open_movable(self) -> OpenMovable:
        """The store under test."""
        raise NotImplementedError

    async def test_behind_a_fence_nobody_reads_or_writes_but_who_moves_it(self, open_movable: OpenMovable) -> None:
        operator, mover = await open_movable(minded=True), await open_movable(minded=False)
        await operator.read()
        await operator.write({key(): account(1)})
        assert await mover.fence() is None

        fence = Fence(why="exported", at="2026-03-01T12:00:00.000+00:00")
        await mover.put_fence(fence)

        # What it has written before, and what it has not.
        await self.is_refused(operator, key(), account(2))
        await self.is_refused(operator, key("other"), account(1))
        late = await open_movable(minded=True)
        with pytest.raises(StoreFencedError, match=r"was exported at 2026-03-01T12:00:00\.000\+00:00: nothing more is"):
            await late.read()
        assert await (await open_movable(minded=False)).fence() == fence
        assert (await mover.read())[key()] == account(1)
        await mover.write({key(): account(3)})

        await mover.put_fence(None)
        assert (await operator.read())[key()] == account(3)
        await operator.write({key(): account(4)})
        assert (await late.read())[key()] == account(4)

    async def test_one_that_is_imported_says_how_to_end_that(self, open_movable: OpenMovable) -> None:
        mover = await open_movable(minded=False)
        await mover.put_fence(Fence(why="importing", at="noon"))

        with pytest.raises(
            StoreFencedError, match="if it was broken off, run `pointsman-operator ledger import` again"
        ):
            await (await open_movable(minded=True)).read()

    async def is_refused(self, store: Movable, of: AccountKey, written: Account) -> None:
        """The write is; where it is by a conflict, what is then read says why."""
        try:
            await store.write({of: written})
        except StoreConflictError:
            with pytest.raises(StoreFencedError):
                await store.read()
        except StoreFencedError:
            pass
        else:
            pytest.fail("it was written behind a fence")
