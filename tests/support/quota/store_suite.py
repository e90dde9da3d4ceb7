"""What is expected of every store of the ledger: the same tests for each."""

from collections.abc import Awaitable, Callable

import pytest

from pointsman_operator.ledger.accounts import Account, AccountKey, Block, Stamp
from pointsman_operator.quotas import Store, StoreConflictError

DAY = 86_400
Open = Callable[[], Awaitable[Store]]


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
