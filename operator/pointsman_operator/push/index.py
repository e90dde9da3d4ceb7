"""Finds things by a name that several of them have, without looking at the others."""

from collections.abc import Iterable
from typing import Generic, TypeVar

T = TypeVar("T")


class Index(Generic[T]):
    """Things by name, in the order in which they were added. A name that nothing has any more is forgotten."""

    def __init__(self) -> None:
        # A dict for its order, which a set has not.
        self._named: dict[str, dict[T, None]] = {}

    def add(self, name: str, thing: T) -> None:
        """The thing has this name, besides any that it has."""
        self._named.setdefault(name, {})[thing] = None

    def discard(self, name: str, thing: T) -> None:
        """The thing has this name no more."""
        things = self._named.get(name, {})
        things.pop(thing, None)
        if not things:
            self._named.pop(name, None)

    def find(self, *names: str) -> tuple[T, ...]:
        """The things that have any of these names, each once."""
        if len(names) == 1:
            return tuple(self._named.get(names[0], ()))
        return tuple(dict.fromkeys(thing for name in names for thing in self._named.get(name, ())))

    def rename(self, thing: T, *, before: Iterable[str], after: Iterable[str]) -> None:
        """The thing has these names, and no longer those that it had before."""
        for name in before:
            self.discard(name, thing)
        for name in after:
            self.add(name, thing)
