"""Accounts in Redis or Valkey: for more writes than a cluster's own objects should take."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from redis.exceptions import NoScriptError, OutOfMemoryError, RedisError, ResponseError

from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.ledger.records import UnreadableRecordError, decode, encode
from pointsman_operator.quotas.fences import Fence, StoreFencedError
from pointsman_operator.quotas.metrics import StoreMetrics
from pointsman_operator.quotas.redis_endpoint import FileError, RedisEndpoint
from pointsman_operator.quotas.redis_scripts import OPEN, WRITE, Script
from pointsman_operator.quotas.shards import entry_name
from pointsman_operator.quotas.stores import NO_ERA, Era, StoreConflictError, StoreUnavailableError

_WRITE_SECONDS = 5.0
_READ_SECONDS = 60.0
_PAGE = 1000
# What a server must have set in order not to lose what it confirmed.
_DURABLE = {
    "appendonly": "yes",
    "appendfsync": "always",
    "no-appendfsync-on-rewrite": "no",
    "maxmemory-policy": "noeviction",
}


class RedisStore:
    """One hash of accounts, and one of what is known of the ledger. `minded` is whether a fence is obeyed.

    After each failure the connection is made anew, with the files as they are then.
    """

    def __init__(self, endpoint: RedisEndpoint, *, metrics: StoreMetrics, minded: bool = True) -> None:
        self._endpoint = endpoint
        self._metrics = metrics
        self._minded = minded
        self._client: Any = None
        self._era = NO_ERA
        # The number of the last write of each account.
        self._seen: dict[AccountKey, str] = {}

    def __str__(self) -> str:
        return f"Redis at {self._endpoint}"

    @property
    def era(self) -> Era:
        """The server's era when it was read last."""
        return self._era

    async def read(self) -> Mapping[AccountKey, Account]:
        """All accounts, in the era that the server is in: begun now, where it is another server than before."""
        async with self._bounded(seconds=_READ_SECONDS):
            # What was exported can be read from a server that nothing more is to be written to.
            fence = None if self._minded else await self._ask("HGET", self._endpoint.ledger_key, "fence")
            if fence is None or Fence.read(fence.decode()).why != "exported":
                await self._check_durable()
            await self._open(least=self._era.number)
            accounts = await self._scan()
            if latest := max((account.era for account in accounts.values()), default=0):
                # Accounts of another server, whose clock was ahead, were put into this one.
                await self._open(least=latest)
        return accounts

    async def write(self, changes: Mapping[AccountKey, Account | None]) -> None:
        """Write all by one script, or raise StoreConflictError and write none."""
        arguments = [str(self._era.number), "minded" if self._minded else "not minded"]
        size = 0
        for key, account in changes.items():
            record = "" if account is None else encode(key, account).decode()
            arguments += [entry_name(key), self._seen.get(key, "0"), record]
            size += len(record)
        try:
            async with self._bounded(seconds=_WRITE_SECONDS):
                keys = (self._endpoint.ledger_key, self._endpoint.accounts_key)
                result, number = await self._run(WRITE, keys=keys, arguments=arguments)
                if result == "fenced":
                    raise StoreFencedError(self, Fence.read(number))
        except StoreUnavailableError:
            self._metrics.writes.labels(result="failed").inc()
            raise
        if result != "written":
            self._metrics.writes.labels(result="conflict").inc()
            whose = "another replica wrote first" if result == "conflict" else "it is another server than before"
            raise StoreConflictError(f"{self}: {whose}")
        self._metrics.writes.labels(result="written").inc()
        self._metrics.written_bytes.inc(size)
        for key, account in changes.items():
            if account is None:
                self._seen.pop(key, None)
            else:
                self._seen[key] = number

    async def fence(self) -> Fence | None:
        """What keeps others from writing."""
        async with self._bounded(seconds=_WRITE_SECONDS):
            text = await self._ask("HGET", self._endpoint.ledger_key, "fence")
        return None if text is None else Fence.read(text.decode())

    async def put_fence(self, fence: Fence | None) -> None:
        """Keep others from writing, or no longer."""
        async with self._bounded(seconds=_WRITE_SECONDS):
            if fence is None:
                await self._ask("HDEL", self._endpoint.ledger_key, "fence")
            else:
                await self._ask("HSET", self._endpoint.ledger_key, "fence", fence.text())

    async def close(self) -> None:
        """Leave the server."""
        client, self._client = self._client, None
        if client is not None:
            await client.aclose()

    @asynccontextmanager
    async def _bounded(self, *, seconds: float) -> AsyncIterator[None]:
        """Say what fails in the words of a store, and bound how long it takes."""
        done = False
        try:
            async with asyncio.timeout(seconds):
                yield
            done = True
        except FileError as error:
            raise StoreUnavailableError(str(error)) from error
        except OutOfMemoryError as error:
            raise StoreUnavailableError(f"{self} is full: raise its maxmemory") from error
        except (RedisError, OSError, ValueError) as error:
            # Its own words: what was wrong with a connection, or the server's error. None of them has what was sent.
            reason = str(error) or type(error).__name__
            raise StoreUnavailableError(f"{self} cannot be used: {reason}") from error
        finally:
            if not done:
                await self.close()

    async def _check_durable(self) -> None:
        """Raise StoreUnavailableError where the server may lose what it confirmed."""
        try:
            # One by one: servers before 7.0 tell no more at once.
            there = {name: value for each in _DURABLE for name, value in (await self._ask("CONFIG GET", each)).items()}
        except ResponseError:
            there = {}
        if not there:
            if self._endpoint.trusted:
                return
            raise StoreUnavailableError(
                f"{self} does not tell its settings (CONFIG GET), so whether it loses what it confirmed is not known; "
                "nothing is granted. If you know that it does not, or accept that budgets are overspent by what it "
                "loses, say so with --ledger-redis-trust-durability"
            )
        wrong = [f"{name} {there[name]}" for name, wanted in _DURABLE.items() if there.get(name, wanted) != wanted]
        if wrong:
            needed = ", ".join(f"{name} {wanted}" for name, wanted in _DURABLE.items())
            raise StoreUnavailableError(
                f"{self} has {' and '.join(wrong)}: it may lose what it confirmed, and budgets would be spent twice; "
                f"nothing is granted until it has {needed}"
            )

    async def _open(self, *, least: int) -> None:
        how = ("await" if self._endpoint.awaits_import else "begin") if self._minded else "import"
        number, began, fence = await self._run(OPEN, keys=(self._endpoint.ledger_key,), arguments=(str(least), how))
        if fence and self._minded:
            raise StoreFencedError(self, Fence.read(fence))
        if number == "none":
            raise StoreUnavailableError(
                f"{self} has no ledger yet, and is to be given one (--ledger-redis-await-import): nothing is granted "
                "until `pointsman-operator ledger import` was run"
            )
        self._era = Era(number=int(number), began=float(began))

    async def _scan(self) -> dict[AccountKey, Account]:
        accounts: dict[AccountKey, Account] = {}
        seen: dict[AccountKey, str] = {}
        cursor = 0
        while True:
            cursor, page = await self._ask("HSCAN", self._endpoint.accounts_key, cursor, "COUNT", _PAGE)
            for value in page.values():
                number, _, record = value.partition(b" ")
                key, account = self._decoded(record)
                accounts[key], seen[key] = account, number.decode()
            if not cursor:
                break
        self._seen = seen
        return accounts

    def _decoded(self, record: bytes) -> tuple[AccountKey, Account]:
        try:
            return decode(record)
        except UnreadableRecordError as error:
            raise StoreUnavailableError(f"{self}, {self._endpoint.accounts_key}: {error}") from error

    async def _run(self, script: Script, *, keys: tuple[str, ...], arguments: Any) -> tuple[str, ...]:
        try:
            found = await self._ask("EVALSHA", script.name, len(keys), *keys, *arguments)
        except NoScriptError:
            found = await self._ask("EVAL", script.text, len(keys), *keys, *arguments)
        return tuple(each.decode() for each in found)

    async def _ask(self, *command: Any) -> Any:
        if self._client is None:
            self._client = self._endpoint.connect()
        return await self._client.execute_command(*command)
