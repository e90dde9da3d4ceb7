"""The ledger's accounts in ConfigMaps of the operator's own namespace."""

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from http import HTTPStatus
from typing import Any

from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.ledger.records import UnreadableRecordError
from pointsman_operator.quotas import shards
from pointsman_operator.quotas.fences import Fence, StoreFencedError
from pointsman_operator.quotas.metrics import StoreMetrics
from pointsman_operator.quotas.pacing import Pace
from pointsman_operator.quotas.stores import NO_ERA, Era, StoreConflictError, StoreFullError, StoreUnavailableError
from pointsman_operator.watch.cluster import Cluster, ClusterError

# Who waits for a write waits for the slowest.
_SECONDS = 5.0
_AT_ONCE = 16
_PAGE = 100
_LABELS = {
    "app.kubernetes.io/managed-by": "pointsman-operator",
    "app.kubernetes.io/part-of": "pointsman",
    "pointsman.dev/ledger": "true",
}
_FENCE = "pointsman-ledger-fence"
_ENTRY = "fence"
_TOUCHED = "pointsman.dev/ledger-touched"
_LOST = {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}


class OwnLedger:
    """A store. ConfigMaps and not Secrets: each replica watches the namespace's Secrets, and would be sent it all.

    `minded` is whether a fence is obeyed. It is a ConfigMap beside the shards', which is read with them; and when it is
    put up, each of those is touched, so that who has not seen it writes to none of them.
    """

    def __init__(
        self, cluster: Cluster, *, namespace: str, pace: Pace, metrics: StoreMetrics, minded: bool = True
    ) -> None:
        self.minded = minded
        self._cluster = cluster
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._pace = pace
        self._metrics = metrics
        self._slots = asyncio.Semaphore(_AT_ONCE)
        self._versions: dict[int, str] = {}
        # How long the entries of each shard are.
        self._sizes: dict[int, dict[str, int]] = {}

    @property
    def era(self) -> Era:
        """It loses nothing: etcd confirms what a majority has."""
        return NO_ERA

    async def close(self) -> None:
        """Hold nothing: the connection is whoever's it came from."""

    def __str__(self) -> str:
        return f"the ledger in the ConfigMaps of namespace {self._namespace}"

    async def fence(self) -> Fence | None:
        """What keeps others from writing."""
        with self._said("looked at"):
            return await self._look_for_fence()

    async def put_fence(self, fence: Fence | None) -> None:
        """Keep others from writing, or no longer."""
        with self._said("fenced"):
            data = {_ENTRY: None if fence is None else fence.text()}
            if not await self._list(f"metadata.name={_FENCE}"):
                metadata = {"name": _FENCE, "labels": _LABELS}
                body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": {}}
                await self._cluster.ask("POST", self._path, body=body, seconds=_SECONDS)
            await self._cluster.ask("PATCH", f"{self._path}/{_FENCE}", body={"data": data}, seconds=_SECONDS)
            if fence is not None:
                for item in await self._list(""):
                    await self._pace.turn(len(str(item.get("data"))))
                    touch = {"metadata": {"annotations": {_TOUCHED: fence.at}}}
                    path = f"{self._path}/{item['metadata']['name']}"
                    await self._cluster.ask("PATCH", path, body=touch, seconds=_SECONDS)

    async def _look_for_fence(self) -> Fence | None:
        found = [item.get("data") or {} for item in await self._list(f"metadata.name={_FENCE}")]
        return next((Fence.read(data[_ENTRY]) for data in found if _ENTRY in data), None)

    async def _list(self, fields: str) -> list[Any]:
        query = {"labelSelector": "pointsman.dev/ledger=true", **({"fieldSelector": fields} if fields else {})}
        return list((await self._cluster.ask("GET", self._path, query=query))["items"])

    def _mind(self, fence: Fence) -> None:
        if self.minded:
            raise StoreFencedError(self, fence)

    @contextmanager
    def _said(self, done: str) -> Iterator[None]:
        try:
            yield
        except ClusterError as error:
            raise StoreUnavailableError(f"{self} cannot be {done}: {error}") from error
        except (LookupError, TypeError, AttributeError) as error:
            raise StoreUnavailableError(f"an answer of the API server cannot be read: {error!r}") from error

    async def read(self) -> Mapping[AccountKey, Account]:
        """All accounts, page by page."""
        if self.minded and (fence := await self.fence()):
            # It is looked for again and again: not by listing everything.
            raise StoreFencedError(self, fence)
        query = {"labelSelector": "pointsman.dev/ledger=true", "limit": str(_PAGE)}
        accounts: dict[AccountKey, Account] = {}
        versions: dict[int, str] = {}
        sizes: dict[int, dict[str, int]] = {}
        numbers = {shards.object_name(shard): shard for shard in range(shards.SHARDS)}
        while True:
            try:
                page = await self._cluster.ask("GET", self._path, query=query)
                for item in page["items"]:
                    data, name = item.get("data") or {}, item["metadata"]["name"]
                    if name == _FENCE and _ENTRY in data:
                        self._mind(Fence.read(data[_ENTRY]))
                    if (shard := numbers.get(name)) is None:
                        continue
                    accounts |= self._accounts_in(name, data)
                    versions[shard] = item["metadata"]["resourceVersion"]
                    sizes[shard] = {entry: len(record.encode()) for entry, record in data.items()}
                token = page["metadata"].get("continue")
            except (LookupError, TypeError, AttributeError) as error:
                raise StoreUnavailableError(f"an answer of the API server cannot be read: {error!r}") from error
            except ClusterError as error:
                raise StoreUnavailableError(f"the ledger's ConfigMaps cannot be read: {error}") from error
            if not token:
                break
            query["continue"] = token
        self._versions, self._sizes = versions, sizes
        return accounts

    async def write(self, changes: Mapping[AccountKey, Account | None]) -> None:
        """Write the objects that these accounts are in, each only if it is as it was."""
        by_shard: defaultdict[int, dict[AccountKey, Account | None]] = defaultdict(dict)
        for key, account in changes.items():
            by_shard[shards.shard_of(key)][key] = account
        patches = {shard: shards.entries(accounts) for shard, accounts in by_shard.items()}
        sizes = {shard: self._sizes_after(shard, patch, frozenset(by_shard[shard])) for shard, patch in patches.items()}
        with self._pace.writing():
            results = await asyncio.gather(
                *(self._write_shard(shard, patch, sizes[shard]) for shard, patch in patches.items()),
                return_exceptions=True,
            )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    def _sizes_after(
        self, shard: int, patch: Mapping[str, str | None], accounts: frozenset[AccountKey]
    ) -> dict[str, int]:
        before = self._sizes.get(shard, {})
        after = {name: size for name, size in before.items() if name not in patch}
        after |= {name: len(record.encode()) for name, record in patch.items() if record is not None}
        if shards.size(after) > max(shards.MOST_BYTES, shards.size(before)):
            raise StoreFullError(
                f"ConfigMap {shards.object_name(shard)} in namespace {self._namespace} is full: too many sidecars or "
                "users share its budgets; nothing more is granted from these until some of them are done. Redis "
                "(--ledger-redis-url) has room for more",
                accounts=accounts,
            )
        return after

    async def _write_shard(self, shard: int, patch: Mapping[str, str | None], sizes: dict[str, int]) -> None:
        version, name = self._versions.get(shard), shards.object_name(shard)
        size = shards.size(sizes)
        await self._pace.turn(size)
        try:
            async with self._slots:
                if version is None:
                    data = {entry: record for entry, record in patch.items() if record is not None}
                    metadata: dict[str, Any] = {"name": name, "labels": _LABELS}
                    body = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
                    written = await self._cluster.ask("POST", self._path, body=body, seconds=_SECONDS)
                    # No touch can have told of a fence here: whoever put one up before this has not seen it.
                    if self.minded and (fence := await self._look_for_fence()):
                        self._mind(fence)
                else:
                    body = {"metadata": {"resourceVersion": version}, "data": patch}
                    path = f"{self._path}/{name}"
                    written = await self._cluster.ask("PATCH", path, body=body, seconds=_SECONDS)
            self._versions[shard] = written["metadata"]["resourceVersion"]
        except ClusterError as error:
            # A namespace that is not found is not made by reading again.
            if error.status == HTTPStatus.CONFLICT or (version is not None and error.status in _LOST):
                self._metrics.writes.labels(result="conflict").inc()
                raise StoreConflictError(str(error)) from error
            self._metrics.writes.labels(result="failed").inc()
            raise StoreUnavailableError(f"the ledger's ConfigMap {name} cannot be written: {error}") from error
        except (LookupError, TypeError) as error:
            raise StoreUnavailableError(f"an answer of the API server cannot be read: {error!r}") from error
        self._sizes[shard] = sizes
        self._metrics.writes.labels(result="written").inc()
        self._metrics.written_bytes.inc(size)

    def _accounts_in(self, name: str, data: Mapping[str, str]) -> dict[AccountKey, Account]:
        try:
            return dict(shards.accounts_in(data))
        except UnreadableRecordError as error:
            raise StoreUnavailableError(
                f"ConfigMap {name} in namespace {self._namespace}: {error}; restore it, or delete it to forget what "
                "was spent of its budgets in this window"
            ) from error
