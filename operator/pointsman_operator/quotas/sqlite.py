"""Accounts in a SQLite file: for the standalone command, whose budgets then outlive it."""

import asyncio
import hashlib
import sqlite3
import threading
from collections.abc import Mapping
from contextlib import closing
from pathlib import Path

from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.ledger.records import UnreadableRecordError, decode, encode
from pointsman_operator.quotas.fences import Fence, StoreFencedError
from pointsman_operator.quotas.stores import NO_ERA, Era, StoreConflictError, StoreUnavailableError

FILE = "quotas.sqlite"
_BUSY_SECONDS = 5.0
_TABLES = (
    "CREATE TABLE IF NOT EXISTS accounts (name TEXT PRIMARY KEY, number INTEGER NOT NULL, record BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS fence (text TEXT NOT NULL)",
)


class SqliteStore:
    """A file in a folder. Each call opens it anew: no connection is kept that a thread could share.

    `minded` is whether a fence is obeyed.
    """

    def __init__(self, folder: Path, *, minded: bool = True) -> None:
        self._file = folder / FILE
        self._minded = minded
        self._seen: dict[AccountKey, int] = {}
        # A call that was given up may still be under way in its thread.
        self._turn = threading.Lock()

    def __str__(self) -> str:
        return str(self._file)

    @property
    def era(self) -> Era:
        """It loses nothing."""
        return NO_ERA

    async def close(self) -> None:
        """Hold nothing."""

    async def fence(self) -> Fence | None:
        """What keeps others from writing."""
        return await asyncio.to_thread(self._fence)

    async def put_fence(self, fence: Fence | None) -> None:
        """Keep others from writing, or no longer."""
        await asyncio.to_thread(self._put_fence, fence)

    async def read(self) -> Mapping[AccountKey, Account]:
        """All accounts as they are in the file."""
        return await asyncio.to_thread(self._read)

    async def write(self, changes: Mapping[AccountKey, Account | None]) -> None:
        """Write all in one transaction, or raise StoreConflictError and write none."""
        await asyncio.to_thread(self._write, dict(changes))

    def _read(self) -> Mapping[AccountKey, Account]:
        try:
            with self._turn, closing(self._open()) as file:
                self._mind(file)
                rows = file.execute("SELECT number, record FROM accounts").fetchall()
                found = [(number, *decode(record)) for number, record in rows]
        except (sqlite3.Error, OSError, UnreadableRecordError) as error:
            raise self._unavailable(error) from error
        self._seen = {key: number for number, key, _ in found}
        return {key: account for _, key, account in found}

    def _write(self, changes: Mapping[AccountKey, Account | None]) -> None:
        seen = dict(self._seen)
        try:
            with self._turn, closing(self._open()) as file, file:
                file.execute("BEGIN IMMEDIATE")
                self._mind(file)
                for key, account in changes.items():
                    seen[key] = _swap(file, key, account, expected=seen.get(key, 0))
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from error
        self._seen = {key: number for key, number in seen.items() if number}

    def _open(self) -> sqlite3.Connection:
        self._file.parent.mkdir(parents=True, exist_ok=True)
        file = sqlite3.connect(self._file, timeout=_BUSY_SECONDS, isolation_level=None)
        file.execute("PRAGMA journal_mode=WAL")
        # Durable before it is told: also when the machine loses power.
        file.execute("PRAGMA synchronous=FULL")
        for table in _TABLES:
            file.execute(table)
        return file

    def _mind(self, file: sqlite3.Connection) -> None:
        if self._minded and (fence := _fence_in(file)):
            raise StoreFencedError(self, fence)

    def _fence(self) -> Fence | None:
        try:
            with self._turn, closing(self._open()) as file:
                return _fence_in(file)
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from error

    def _put_fence(self, fence: Fence | None) -> None:
        try:
            with self._turn, closing(self._open()) as file, file:
                file.execute("BEGIN IMMEDIATE")
                file.execute("DELETE FROM fence")
                if fence is not None:
                    file.execute("INSERT INTO fence (text) VALUES (?)", (fence.text(),))
        except (sqlite3.Error, OSError) as error:
            raise self._unavailable(error) from error

    def _unavailable(self, error: Exception) -> StoreUnavailableError:
        return StoreUnavailableError(f"the budgets in {self._file} cannot be used: {error}")


def _fence_in(file: sqlite3.Connection) -> Fence | None:
    row = file.execute("SELECT text FROM fence").fetchone()
    return None if row is None else Fence.read(row[0])


def _swap(file: sqlite3.Connection, key: AccountKey, account: Account | None, *, expected: int) -> int:
    """Write an account within a transaction; the number of this write, 0 where it was dropped."""
    name = hashlib.sha256(repr((key.budget, key.unit, key.subject, key.start, key.end)).encode()).hexdigest()
    row = file.execute("SELECT number FROM accounts WHERE name = ?", (name,)).fetchone()
    if (0 if row is None else row[0]) != expected:
        raise StoreConflictError("the file of budgets was written by another process")
    if account is None:
        file.execute("DELETE FROM accounts WHERE name = ?", (name,))
        return 0
    values = (name, expected + 1, encode(key, account))
    file.execute("INSERT OR REPLACE INTO accounts (name, number, record) VALUES (?, ?, ?)", values)
    return expected + 1
