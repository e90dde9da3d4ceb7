"""The key by which users are hashed before the ledger hears of them: in a Secret that all replicas share."""

import asyncio
import base64
import secrets as randomness
from collections.abc import Callable, Mapping
from typing import Protocol

import structlog

from pointsman_operator.push import Hub
from pointsman_operator.resources import Key
from pointsman_operator.tls import SecretConflictError, SecretUnavailableError

log = structlog.get_logger(__name__)

USER_KEY_SECRET = "pointsman-user-key"  # noqa: S105 - the name of one
USER_KEY_ENTRY = "key"
_BYTES = 32
_RETRY_SECONDS = 5.0


class Secrets(Protocol):
    """Where Secrets are made."""

    async def create_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Make it. Raise SecretConflictError if it is there, or SecretUnavailableError."""


class UserKey:
    """The key as the hub sees its Secret; `run` makes the Secret where there is none.

    The create decides between replicas. It is read by the watch of Secrets that there is anyway.
    """

    def __init__(
        self,
        hub: Hub,
        *,
        secrets: Secrets,
        namespace: str,
        fresh: Callable[[], bytes] = lambda: randomness.token_bytes(_BYTES),
    ) -> None:
        self._hub = hub
        self._secrets = secrets
        self._key = Key(namespace, USER_KEY_SECRET)
        self._fresh = fresh
        self._changed = asyncio.Event()
        hub.subscribe(lambda _: self._changed.set())

    def value(self) -> bytes | None:
        """The key; None while there is none."""
        secret = self._hub.world.secrets.get(self._key)
        text = None if secret is None else secret.data.get(USER_KEY_ENTRY)
        try:
            value = base64.b64decode(text or "", validate=True)
        except ValueError:
            return None
        return value if len(value) == _BYTES else None

    async def run(self) -> None:
        """See to it that there is a key, until cancelled."""
        await self._hub.ready.wait()
        while True:
            self._changed.clear()
            if self.value() is None:
                await self._make()
                continue
            await self._changed.wait()

    async def _make(self) -> None:
        # Secrets as the hub sees them are text: so the key is written in letters.
        text = base64.b64encode(self._fresh())
        try:
            await self._secrets.create_secret(USER_KEY_SECRET, {USER_KEY_ENTRY: base64.b64encode(text).decode()})
            log.info("the key for users' hashes was made", secret=USER_KEY_SECRET)
        except SecretConflictError:
            if self._hub.world.secrets.get(self._key) is not None:
                log.warning(
                    "budgets of users are not told to sidecars: the key for users' hashes cannot be read",
                    reason=f"Secret {self._key} holds no key of ours; delete it to have a new one made",
                )
        except SecretUnavailableError as error:
            log.warning("the key for users' hashes cannot be made now; will be tried again", error=str(error))
        try:
            async with asyncio.timeout(_RETRY_SECONDS):
                while self.value() is None:
                    await self._changed.wait()
                    self._changed.clear()
        except TimeoutError:
            return
