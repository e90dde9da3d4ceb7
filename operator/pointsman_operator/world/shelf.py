"""The objects of one kind, as far as they are known, whatever order the news comes in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Generic, Self, TypeVar

from pointsman_operator.resources.metadata import Key
from pointsman_operator.world.persistent import PersistentMap

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Shelf(Generic[T]):
    """Objects by key, and enough of their versions never to go back.

    A resourceVersion says when an object of its kind was written, so of two pieces of news the one with the higher
    version is right. A watch and a list overtake each other; so does a deletion and a list that was taken before it.
    """

    objects: PersistentMap[Key, T] = field(default_factory=PersistentMap)
    versions: PersistentMap[Key, int] = field(default_factory=PersistentMap)
    # Deletions that no list has confirmed yet. A list drops those that are older than itself, so that this stays small.
    gone: PersistentMap[Key, int] = field(default_factory=PersistentMap)
    # The version of the newest list; None before the first. What it did not hold did not exist then.
    listed: int | None = None

    def put(self, key: Key, value: T, *, version: int) -> Self:
        """An object was written."""
        if self._is_old(key, version) or (version == self.versions.get(key) and value == self.objects[key]):
            return self
        return replace(
            self,
            objects=self.objects.put(key, value),
            versions=self.versions.put(key, version),
            gone=self.gone.remove(key),
        )

    def remove(self, key: Key, *, version: int) -> Self:
        """An object was deleted; `version` is the deletion's."""
        if self._is_old(key, version):
            return self
        return replace(
            self,
            objects=self.objects.remove(key),
            versions=self.versions.remove(key),
            gone=self.gone.put(key, version),
        )

    def relist(self, listed: Mapping[Key, tuple[T, int]], *, version: int) -> Self:
        """All objects were listed, as they stood at `version`. What is as it was stays the same object."""
        stale = self.listed is not None and version < self.listed
        objects, versions, gone = self.objects, self.versions, self.gone
        for key, at in self.versions.items():
            if at <= version and key not in listed:
                objects, versions = objects.remove(key), versions.remove(key)
        for key, (value, at) in listed.items():
            known = versions.get(key)
            # One that is not here was deleted since the list was taken, or is missing from a newer list.
            if known is None and (stale or gone.get(key, -1) > version):
                continue
            if known is None or at >= known:
                if known is None or objects[key] != value:
                    objects = objects.put(key, value)
                if known != at:
                    versions = versions.put(key, at)
        for key, at in self.gone.items():
            if at <= version:
                gone = gone.remove(key)
        return replace(
            self,
            objects=objects,
            versions=versions,
            gone=gone,
            listed=version if self.listed is None else max(version, self.listed),
        )

    def _is_old(self, key: Key, version: int) -> bool:
        known = self.versions.get(key)
        if known is not None:
            return version < known
        # The object is not there: what is no newer than its deletion, or than the list that lacked it, is old news.
        return version <= self.gone.get(key, -1) or (self.listed is not None and version <= self.listed)
