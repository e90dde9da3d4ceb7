"""A mapping that is never changed in place: another that differs in one key shares all but a few nodes with it.

So a change costs the same however much does not change, and what is different between two mappings, one of which came
of the other, is found without looking at what they share.
"""

from collections.abc import Iterator, Mapping
from typing import Generic, Self, TypeVar

K = TypeVar("K")
V = TypeVar("V")

# Two levels of nodes above the leaves: 4,096 leaves, which hold a handful of keys each at ten thousand.
_WIDTH = 64
# Of the hash, other bits than a leaf's own dict goes by: all keys of a leaf are alike in these.
_UPPER, _LOWER = 30, 24
_ABSENT = object()


class PersistentMap(Mapping[K, V], Generic[K, V]):
    """Made empty; `put` and `remove` return the next one."""

    __slots__ = ("_count", "_nodes")

    def __init__(self) -> None:
        leaf: dict[K, V] = {}
        self._nodes = ((leaf,) * _WIDTH,) * _WIDTH
        self._count = 0

    def __getitem__(self, key: K) -> V:
        upper, lower = _place(key)
        return self._nodes[upper][lower][key]

    def __iter__(self) -> Iterator[K]:
        return (key for node in self._nodes for leaf in node for key in leaf)

    def __len__(self) -> int:
        return self._count

    def __repr__(self) -> str:
        return f"{type(self).__name__}({dict(self)!r})"

    def put(self, key: K, value: V) -> Self:
        """The mapping with this value at the key."""
        upper, lower = _place(key)
        leaf = self._nodes[upper][lower]
        return self._with_leaf(upper, lower, {**leaf, key: value}, added=0 if key in leaf else 1)

    def remove(self, key: K) -> Self:
        """The mapping without the key, which need not be there."""
        upper, lower = _place(key)
        leaf = self._nodes[upper][lower]
        if key not in leaf:
            return self
        return self._with_leaf(upper, lower, {name: leaf[name] for name in leaf if name != key}, added=-1)

    def changed(self, before: "PersistentMap[K, V]") -> Iterator[K]:
        """The keys at which the two do not hold the same object."""
        for new_node, old_node in zip(self._nodes, before._nodes, strict=True):  # noqa: SLF001 - the same class
            if new_node is old_node:
                continue
            for new, old in zip(new_node, old_node, strict=True):
                if new is not old:
                    yield from (
                        key for key in new.keys() | old.keys() if new.get(key, _ABSENT) is not old.get(key, _ABSENT)
                    )

    def _with_leaf(self, upper: int, lower: int, leaf: dict[K, V], *, added: int) -> Self:
        node = _replaced(self._nodes[upper], lower, leaf)
        made = object.__new__(type(self))
        made._nodes = _replaced(self._nodes, upper, node)
        made._count = self._count + added
        return made


def _place(key: object) -> tuple[int, int]:
    value = hash(key)
    return value >> _UPPER & _WIDTH - 1, value >> _LOWER & _WIDTH - 1


T = TypeVar("T")


def _replaced(items: tuple[T, ...], at: int, item: T) -> tuple[T, ...]:
    return (*items[:at], item, *items[at + 1 :])
