"""The sidecars of all replicas, as the holder of the Lease knows them. No I/O."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple

from pointsman_operator.push import Hub, SidecarFacts, facts_of
from pointsman_operator.resources import Key

# How long the sidecars of a replica still count that is no longer heard of: as long as they take to find another one.
EXPIRES_SECONDS = 15.0


class Totals(NamedTuple):
    """Replicas that serve sidecars, and the sidecars of all of them."""

    replicas: int
    sidecars: int


@dataclass(frozen=True, kw_only=True)
class _Row:
    """What a replica said of a sidecar, and in which of its streams."""

    facts: SidecarFacts
    replica: str
    stream: int


@dataclass(kw_only=True)
class _Replica:
    """Another replica: how many streams it has opened, whether the latest has said everything, and when it broke."""

    stream: int = 0
    synced: bool = False
    left_at: float | None = None


class Fleet:
    """Belongs to the hub's event loop. Of two replicas that have the same pod, the one that spoke last is believed."""

    def __init__(self, hub: Hub, *, clock: Callable[[], float]) -> None:
        self._hub = hub
        self._clock = clock
        self._rows: dict[str, dict[str, _Row]] = {}
        self._replicas: dict[str, _Replica] = {}
        self._listeners: list[Callable[[frozenset[str]], None]] = []

    def subscribe(self, listener: Callable[[frozenset[str]], None]) -> None:
        """Call `listener` with the namespaces whose sidecars changed; it must be quick."""
        self._listeners.append(listener)

    def sidecars_in(self, namespace: str) -> tuple[SidecarFacts, ...]:
        """The sidecars of a namespace, this replica's and the others'."""
        own = {session.peer.pod: facts_of(session) for session in self._hub.sidecars_in(namespace)}
        others = self._rows.get(namespace, {})
        return (*own.values(), *(row.facts for pod, row in others.items() if pod not in own))

    def totals(self) -> Totals:
        """How many there are, this replica and its sidecars included."""
        present = sum(replica.synced and replica.left_at is None for replica in self._replicas.values())
        return Totals(
            replicas=1 + present,
            sidecars=len(self._hub.sidecars()) + sum(len(rows) for rows in self._rows.values()),
        )

    def join(self, replica: str) -> int:
        """A replica has opened a stream. Return the stream's number, which all else that it says comes with."""
        known = self._replicas.setdefault(replica, _Replica())
        known.stream += 1
        known.synced, known.left_at = False, None
        return known.stream

    def update(self, replica: str, stream: int, *, sidecars: Iterable[SidecarFacts], gone: Iterable[Key]) -> None:
        """A replica spoke of its sidecars."""
        if not self._current(replica, stream):
            return
        changed = set()
        for facts in sidecars:
            rows = self._rows.setdefault(facts.pod.namespace, {})
            rows[facts.pod.name] = _Row(facts=facts, replica=replica, stream=stream)
            changed.add(facts.pod.namespace)
        for pod in gone:
            row = self._rows.get(pod.namespace, {}).get(pod.name)
            # Another replica has it by now.
            if row is not None and row.replica == replica:
                self._drop(pod)
                changed.add(pod.namespace)
        self._tell(changed)

    def synced(self, replica: str, stream: int) -> None:
        """A replica has said everything: what it did not say again is no longer so."""
        if self._current(replica, stream):
            self._replicas[replica].synced = True
            self._drop_where(lambda row: row.replica == replica and row.stream < stream)

    def leave(self, replica: str, stream: int) -> None:
        """A replica's stream has ended. Its sidecars are let go by `expire`."""
        if self._current(replica, stream):
            self._replicas[replica].left_at = self._clock()

    def expire(self) -> None:
        """Let go of what is known of replicas that have long been away."""
        now = self._clock()
        away = {
            name
            for name, replica in self._replicas.items()
            if replica.left_at is not None and now - replica.left_at >= EXPIRES_SECONDS
        }
        if away:
            self._replicas = {name: each for name, each in self._replicas.items() if name not in away}
            self._drop_where(lambda row: row.replica in away)

    def clear(self) -> None:
        """This replica no longer holds the Lease: what it was told is the next one's to know."""
        self._replicas.clear()
        self._rows.clear()

    def _current(self, replica: str, stream: int) -> bool:
        known = self._replicas.get(replica)
        return known is not None and known.stream == stream

    def _drop_where(self, matches: Callable[[_Row], bool]) -> None:
        dropped = [row.facts.pod for rows in self._rows.values() for row in rows.values() if matches(row)]
        for pod in dropped:
            self._drop(pod)
        self._tell({pod.namespace for pod in dropped})

    def _drop(self, pod: Key) -> None:
        rows = self._rows[pod.namespace]
        del rows[pod.name]
        if not rows:
            del self._rows[pod.namespace]

    def _tell(self, namespaces: Iterable[str]) -> None:
        if changed := frozenset(namespaces):
            for listener in self._listeners:
                listener(changed)
