"""The objects of one kind, as far as they are known, whatever order the news comes in."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType
from typing import Generic, Self, TypeVar

from pointsman_operator.resources.metadata import Key

T = TypeVar("T")


def _empty() -> Mapping[Key, int]:
    return MappingProxyType({})


@dataclass(frozen=True, kw_only=True)
class Shelf(Generic[T]):
    """Objects by key, and enough of their versions never to go back.

    A resourceVersion says when an object of its kind was written, so of two pieces of news the one with the higher
    version is right. A watch and a list overtake each other; so does a deletion and a list that was taken before it.
    """

    objects: Mapping[Key, T] = field(default_factory=lambda: MappingProxyType({}))
    versions: Mapping[Key, int] = field(default_factory=_empty)
    # Deletions that no list has confirmed yet. A list drops those that are older than itself, so that this stays small.
    gone: Mapping[Key, int] = field(default_factory=_empty)
    # The version of the newest list; None before the first. What it did not hold did not exist then.
    listed: int | None = None

    def put(self, key: Key, value: T, *, version: int) -> Self:
        """An object was written."""
        # kopf tells again of all that a list just brought, which must not cost a copy of the shelf each.
        if self._is_old(key, version) or (version == self.versions.get(key) and value == self.objects[key]):
            return self
        return replace(
            self,
            objects={**self.objects, key: value},
            versions={**self.versions, key: version},
            gone=_without(self.gone, key),
        )

    def remove(self, key: Key, *, version: int) -> Self:
        """An object was deleted; `version` is the deletion's."""
        if self._is_old(key, version):
            return self
        return replace(
            self,
            objects=_without(self.objects, key),
            versions=_without(self.versions, key),
            gone={**self.gone, key: version},
        )

    def relist(self, listed: Mapping[Key, tuple[T, int]], *, version: int) -> Self:
        """All objects were listed, as they stood at `version`."""
        stale = self.listed is not None and version < self.listed
        kept = {key for key, at in self.versions.items() if at > version or key in listed}
        objects = {key: self.objects[key] for key in kept}
        versions = {key: self.versions[key] for key in kept}
        for key, (value, at) in listed.items():
            # One that is not here was deleted since the list was taken, or is missing from a newer list.
            gone = key not in versions and (stale or self.gone.get(key, -1) > version)
            if not gone and at >= versions.get(key, at):
                same = key in objects and objects[key] == value
                objects[key], versions[key] = (objects[key] if same else value), at
        return replace(
            self,
            objects=objects,
            versions=versions,
            gone={key: at for key, at in self.gone.items() if at > version},
            listed=version if self.listed is None else max(version, self.listed),
        )

    def _is_old(self, key: Key, version: int) -> bool:
        known = self.versions.get(key)
        if known is not None:
            return version < known
        # The object is not there: what is no newer than its deletion, or than the list that lacked it, is old news.
        return version <= self.gone.get(key, -1) or (self.listed is not None and version <= self.listed)


def _without(mapping: Mapping[Key, T], key: Key) -> Mapping[Key, T]:
    return {name: value for name, value in mapping.items() if name != key} if key in mapping else mapping
