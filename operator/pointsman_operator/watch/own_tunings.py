"""What is tuned, in ConfigMaps of the operator's own namespace."""

import asyncio
import hashlib
from collections import defaultdict
from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

import structlog

from pointsman_operator.quotas.pacing import Pace
from pointsman_operator.tuning import Record, TuningConflictError, TuningUnavailableError
from pointsman_operator.tuning.records import UnreadableRecordError, decode, encode
from pointsman_operator.watch.cluster import Cluster, ClusterError

log = structlog.get_logger(__name__)

SHARDS = 256
# Of an object's data, with its entries' names.
MOST_BYTES = 62 * 1024
_SECONDS = 5.0
_PAGE = 100
_LABEL = "pointsman.dev/tuning"
_LABELS = {
    "app.kubernetes.io/managed-by": "pointsman-operator",
    "app.kubernetes.io/part-of": "pointsman",
    _LABEL: "true",
}
_LOST = {HTTPStatus.CONFLICT, HTTPStatus.NOT_FOUND}


class OwnTunings:
    """A store. Which ConfigMap a policy is in follows from its UID; `pace` is the ledger's, too."""

    def __init__(self, cluster: Cluster, *, namespace: str, pace: Pace) -> None:
        self._cluster = cluster
        self._namespace = namespace
        self._path = f"/api/v1/namespaces/{namespace}/configmaps"
        self._pace = pace
        self._versions: dict[str, str] = {}
        # How long the entries of each object are.
        self._sizes: dict[str, dict[str, int]] = {}

    async def read(self) -> Mapping[str, Record]:
        """All records, page by page. One that cannot be read is left out, and said in the log."""
        query = {"labelSelector": f"{_LABEL}=true", "limit": str(_PAGE)}
        records: dict[str, Record] = {}
        versions: dict[str, str] = {}
        sizes: dict[str, dict[str, int]] = {}
        while True:
            try:
                page = await self._cluster.ask("GET", self._path, query=query)
                for item in page["items"]:
                    name, data = item["metadata"]["name"], item.get("data") or {}
                    records |= self._records_in(name, data)
                    versions[name] = item["metadata"]["resourceVersion"]
                    sizes[name] = {entry: len(record.encode()) for entry, record in data.items()}
                token = page["metadata"].get("continue")
            except (LookupError, TypeError, AttributeError) as error:
                raise TuningUnavailableError(f"an answer of the API server cannot be read: {error!r}") from error
            except ClusterError as error:
                raise TuningUnavailableError(f"the ConfigMaps of tuning cannot be read: {error}") from error
            if not token:
                break
            query["continue"] = token
        self._versions, self._sizes = versions, sizes
        return records

    async def write(self, changes: Mapping[str, Record | None]) -> None:
        """Write the objects that these records are in, each only if it is as it was."""
        patches: defaultdict[str, dict[str, str | None]] = defaultdict(dict)
        for uid, record in changes.items():
            patches[object_name(uid)][uid] = None if record is None else encode(record)
        results = await asyncio.gather(
            *(self._write(name, patch) for name, patch in patches.items()), return_exceptions=True
        )
        for result in results:
            if isinstance(result, BaseException):
                raise result

    async def _write(self, name: str, wanted: Mapping[str, str | None]) -> None:
        patch, sizes = self._fitting(name, wanted)
        if not patch:
            return
        await self._pace.turn(sum(sizes.values()))
        version = self._versions.get(name)
        try:
            if version is None:
                metadata = {"name": name, "labels": _LABELS}
                data = {entry: record for entry, record in patch.items() if record is not None}
                body: dict[str, Any] = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}
                written = await self._cluster.ask("POST", self._path, body=body, seconds=_SECONDS)
            else:
                body = {"metadata": {"resourceVersion": version}, "data": patch}
                written = await self._cluster.ask("PATCH", f"{self._path}/{name}", body=body, seconds=_SECONDS)
            self._versions[name] = written["metadata"]["resourceVersion"]
        except ClusterError as error:
            if error.status == HTTPStatus.CONFLICT or (version is not None and error.status in _LOST):
                raise TuningConflictError(str(error)) from error
            raise TuningUnavailableError(f"ConfigMap {name} cannot be written: {error}") from error
        except (LookupError, TypeError) as error:
            raise TuningUnavailableError(f"an answer of the API server cannot be read: {error!r}") from error
        self._sizes[name] = sizes

    def _fitting(self, name: str, wanted: Mapping[str, str | None]) -> tuple[dict[str, str | None], dict[str, int]]:
        """What there is room for, and how long the object's entries are then."""
        sizes = dict(self._sizes.get(name, {}))
        patch: dict[str, str | None] = {}
        for uid, record in wanted.items():
            before = sizes.pop(uid, None)
            if record is None:
                if before is not None:
                    patch[uid] = None
                continue
            size = len(record.encode())
            if sum(sizes.values()) + size + sum(map(len, sizes)) + len(uid) > MOST_BYTES:
                log.warning("no room to keep what a policy is tuned by", config_map=name, policy_uid=uid)
                if before is not None:
                    sizes[uid] = before
                continue
            patch[uid], sizes[uid] = record, size
        return patch, sizes

    def _records_in(self, name: str, data: Mapping[str, str]) -> dict[str, Record]:
        records = {}
        for uid, text in data.items():
            try:
                records[uid] = decode(uid, text)
            except UnreadableRecordError as error:
                log.warning("what a policy is tuned by is found anew", config_map=name, reason=str(error))
        return records


def object_name(uid: str) -> str:
    """What the ConfigMap is called that a policy is in."""
    shard = int.from_bytes(hashlib.sha256(uid.encode()).digest()[:4]) % SHARDS
    return f"pointsman-tuning-{shard:02x}"
