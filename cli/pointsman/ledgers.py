"""The ledger of budgets of `pointsman run`: in a folder that outlives the process, or in memory."""

import random
import secrets
import time
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
_SESSION_BITS = 63


class StateFolderError(Exception):
    """Nothing can be kept in the folder for state. The text says why."""


@dataclass(frozen=True, kw_only=True)
class Ledger:
    """The one ledger there is, which this process keeps."""

    keeper: Keeper
    router: Router
    binding: Binding
    user_key: bytes

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


def ledger_for(hub: Hub, *, folder: Path | None, registry: CollectorRegistry) -> Ledger:
    """A ledger that is kept in a folder; without one, what is spent is forgotten with the process.

    Raises:
        StateFolderError: nothing can be kept there.
    """
    keeper = Keeper(
        MemoryStore() if folder is None else SqliteStore(folder),
        now=time.time,
        clock=time.monotonic,
        fresh_session=lambda: secrets.randbits(_SESSION_BITS) + 1,
        metrics=LedgerMetrics(registry),
    )
    binding = Binding(hub, now=time.time)
    user_key = secrets.token_bytes(_KEY_BYTES) if folder is None else _kept_key(folder)
    keeper.begin()
    router = Router(keeper, binding=binding)
    return Ledger(keeper=keeper, router=router, binding=binding, user_key=user_key)


def _kept_key(folder: Path) -> bytes:
    """The key of users' hashes, which are the same after a restart; made where there is none."""
    file = folder / _KEY_FILE
    try:
        folder.mkdir(parents=True, exist_ok=True)
        if not file.exists():
            fresh = folder / f"{_KEY_FILE}.{secrets.token_hex(4)}"
            fresh.touch(mode=0o600)
            fresh.write_bytes(secrets.token_bytes(_KEY_BYTES))
            fresh.rename(file)
        key = file.read_bytes()
    except OSError as error:
        raise StateFolderError(f"--state-dir {folder} cannot be used: {error.strerror}; give another folder") from error
    if len(key) != _KEY_BYTES:
        raise StateFolderError(f"{file} holds no key of ours; remove it to have a new one made")
    return key
