"""What the server received, for tests to assert on: the last thousand requests, without any key."""

import dataclasses
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from pointsman_stub.errors import Json

KEPT = 1_000


def fingerprint(key: str) -> str:
    """What a record tells of a key: enough to say which one it was, too little to use it."""
    return hashlib.sha256(key.encode()).hexdigest()[:12]


@dataclass(frozen=True, kw_only=True)
class KeySeen:
    """The key that came with a request; it fits if it is configured, or if none is."""

    given: bool
    fits: bool
    fingerprint: str | None


@dataclass(frozen=True, kw_only=True)
class RequestRecord:
    """One request; `status` stays empty until headers are sent, `open` ends with the answer.

    `disconnected` says that the client went away before the end of the answer.
    """

    id: str
    received_at: float
    method: str
    path: str
    headers: Mapping[str, str]
    key: KeySeen
    model: str | None = None
    stream: bool = False
    body: Any = None
    status: int | None = None
    open: bool = True
    disconnected: bool = False

    def json(self) -> Json:
        """The record as `GET /stub/requests` shows it."""
        return dataclasses.asdict(self)


@dataclass(frozen=True, kw_only=True)
class Counted:
    """What all answers since the start came to; those that nobody stayed to read are among them."""

    answers: int = 0
    input_tokens: int = 0
    output_tokens: int = 0

    def json(self) -> Json:
        """The sums as `GET /stub/usage` shows them."""
        return dataclasses.asdict(self)


class RequestLog:
    """The records in order of arrival. Whoever wants to wait for one is told of every change."""

    def __init__(self, *, on_change: Callable[[], None], kept: int = KEPT) -> None:
        self._records: OrderedDict[str, RequestRecord] = OrderedDict()
        self._open: set[str] = set()
        self._on_change = on_change
        self._kept = kept
        self.counted = Counted()

    def count(self, *, input_tokens: int, output_tokens: int) -> None:
        """Add what an answer is charged for, before it is sent."""
        before = self.counted
        self.counted = Counted(
            answers=before.answers + 1,
            input_tokens=before.input_tokens + input_tokens,
            output_tokens=before.output_tokens + output_tokens,
        )

    @property
    def records(self) -> tuple[RequestRecord, ...]:
        """All records that are kept."""
        return tuple(self._records.values())

    @property
    def open(self) -> int:
        """How many requests are being answered now, whether their records are kept or not."""
        return len(self._open)

    def add(self, record: RequestRecord) -> None:
        """Note a request that has come in."""
        self._records[record.id] = record
        self._open.add(record.id)
        if len(self._records) > self._kept:
            self._records.popitem(last=False)
        self._on_change()

    def update(self, record_id: str, **changes: Any) -> None:
        """Note what has become of a request; of one that is closed, nothing more is noted."""
        if record_id not in self._open:
            return
        if record_id in self._records:
            self._records[record_id] = dataclasses.replace(self._records[record_id], **changes)
        if changes.get("open") is False:
            self._open.discard(record_id)
        self._on_change()

    def clear(self) -> None:
        """Forget the records; open requests stay open."""
        self._records.clear()
        self._on_change()
