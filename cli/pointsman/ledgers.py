"""The ledger of budgets of `pointsman run`: in a folder that outlives the process, or in memory."""

import asyncio
import fcntl
import os
import random
import secrets
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

from prometheus_client import CollectorRegistry

from pointsman_operator.push import Hub, Identifier
from pointsman_operator.quotas import (
    Binding,
    Keeper,
    LedgerMetrics,
    MemoryStore,
    QuotasService,
    Router,
    SqliteStore,
)

_KEY_FILE = "user-key"
_KEY_BYTES = 32
_LOCK_FILE = "lock"
_JOURNALS = "journals"
_SESSION_BITS = 63


class StateFolderError(Exception):
    """Nothing can be kept in the folder for state. The text says why."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The one ledger there is, which this process keeps.

    Attributes:
        journal: where the sidecar says what it holds, for the process after it; None where nothing is kept.
    """

    keeper: Keeper
    router: Router
    binding: Binding
    user_key: bytes
    journal: Path | None

    @asynccontextmanager
    async def kept(self) -> AsyncIterator[asyncio.Task[None]]:
        """Keep it until the block is left. Gives the task that does, which never ends by itself."""
        task = asyncio.create_task(self.keeper.run(), name="ledger")
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    def service(self, hub: Hub, *, identifier: Identifier) -> QuotasService:
        """What the sidecar is served by."""
        return QuotasService(
            hub,
            identifier=identifier,
            router=self.router,
            binding=self.binding,
            user_key=lambda: self.user_key,
            random=random.random,
        )


def ledger_for(hub: Hub, *, folder: Path | None, namespace: str, registry: CollectorRegistry) -> Ledger:
    """A ledger that is kept in a folder; without one, what is spent is forgotten with the process.

    Raises:
        StateFolderError: nothing can be kept there.
    """
    user_key, journal = (secrets.token_bytes(_KEY_BYTES), None) if folder is None else _prepare(folder, namespace)
    keeper = Keeper(
        MemoryStore() if folder is None else SqliteStore(folder),
        now=time.time,
        clock=time.monotonic,
        fresh_session=lambda: secrets.randbits(_SESSION_BITS) + 1,
        metrics=LedgerMetrics(registry),
    )
    binding = Binding(hub, now=time.time)
    router = Router(keeper, binding=binding)
    return Ledger(keeper=keeper, router=router, binding=binding, user_key=user_key, journal=journal)


def _prepare(folder: Path, namespace: str) -> tuple[bytes, Path]:
    """Take the folder for this process. Gives the key of users' hashes, and the folder of the pod's journal."""
    # The ledger takes nobody's word on another namespace's budgets, so each has a journal of its own.
    journal = folder / _JOURNALS / namespace
    try:
        journal.mkdir(parents=True, exist_ok=True)
        _lock(folder)
        key = _kept_key(folder / _KEY_FILE)
    except BlockingIOError as error:
        # Two that go on with one journal would each spend what it says.
        raise StateFolderError(f"--state-dir {folder} is in use by another process; give another folder") from error
    except OSError as error:
        raise StateFolderError(f"--state-dir {folder} cannot be used: {error.strerror}; give another folder") from error
    return key, journal


def _lock(folder: Path) -> None:
    """Hold the folder until the process ends, however that is."""
    file = os.open(folder / _LOCK_FILE, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(file)
        raise


def _kept_key(file: Path) -> bytes:
    """The key of users' hashes, which are the same after a restart; made where there is none."""
    if not file.exists():
        fresh = file.with_name(f"{file.name}.{secrets.token_hex(4)}")
        fresh.touch(mode=0o600)
        fresh.write_bytes(secrets.token_bytes(_KEY_BYTES))
        fresh.rename(file)
    key = file.read_bytes()
    if len(key) != _KEY_BYTES:
        raise StateFolderError(f"{file} holds no key of ours; remove it to have a new one made")
    return key
