"""The standalone command's stores, and what is particular to them."""

from pathlib import Path

import pytest

from pointsman_operator.quotas import MemoryStore, Movable, SqliteStore, Store, StoreUnavailableError
from pointsman_operator.quotas.stores import SharedMemory
from support.quota.store_suite import FenceSuite, Open, OpenMovable, StoreSuite, account, key


class TestMemory(StoreSuite):
    """Accounts in memory."""

    @pytest.fixture
    def open_store(self) -> Open:
        shared = SharedMemory()

        async def opened() -> Store:
            return MemoryStore(shared)

        return opened


class TestSqlite(StoreSuite, FenceSuite):
    """Accounts in a file."""

    @pytest.fixture
    def open_movable(self, tmp_path: Path) -> OpenMovable:
        async def opened(*, minded: bool) -> Movable:
            return SqliteStore(tmp_path / "state", minded=minded)

        return opened

    @pytest.fixture
    def open_store(self, tmp_path: Path) -> Open:
        async def opened() -> Store:
            return SqliteStore(tmp_path / "state")

        return opened


async def test_a_file_that_is_no_database_is_named(tmp_path: Path) -> None:
    (tmp_path / "quotas.sqlite").write_text("budgets? " * 100)

    with pytest.raises(StoreUnavailableError, match=r"quotas\.sqlite cannot be used: file is not a database"):
        await SqliteStore(tmp_path).read()


async def test_a_file_of_a_later_version_is_left_alone(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SqliteStore(tmp_path)
    await store.read()
    with monkeypatch.context() as later:
        later.setattr("pointsman_operator.ledger.records._FORMAT", 2)
        await store.write({key(): account()})

    with pytest.raises(StoreUnavailableError, match="it has format 2, and this version reads 1"):
        await SqliteStore(tmp_path).read()
