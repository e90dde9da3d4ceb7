"""How much to grant of what is free.

A grant fills a block up to a share of what is not spent: half of it, divided by what each holder of the account has
used; or a sixteenth, divided equally, where that gives the holder more. So blocks shrink as the budget does, nobody is
granted much that others would be sooner through with, and whoever comes later still finds something. Once less than 5 %
is free, holders are also told that share, and give back what they hold beyond it without using it: so it comes to those
who use it, and what is left over at the end is a few reservations.
"""

from dataclasses import dataclass

# The part of a budget at its end in which holders give back what they do not use: one in so many.
TAIL = 20


@dataclass(frozen=True, kw_only=True, slots=True)
class Wish:
    """What a holder wants for a block, beyond what it was granted: all of `wanted`, to go on for a while.

    Attributes:
        needed: what a request waits for. Less would be of no use to it.
        least: the largest reservation of late. Grants below it would only come one after the other.
    """

    wanted: int
    needed: int = 0
    least: int = 0


def grant(wish: Wish, *, free: int, share: int) -> int:
    """How much to grant, of what is free, to one who lacks so much of its share: 0 where it would be of no use."""
    if free <= 0 or wish.wanted <= 0:
        return 0
    ask = max(wish.wanted, wish.needed)
    give = min(ask, free, max(wish.needed, share))
    enough = wish.needed if wish.needed > 0 else min(wish.least, ask)
    return give if give >= enough else 0


def fair(*, unspent: int, holders: int, used: int = 0, used_by_all: int = 0) -> int:
    """The share of one holder among so many, who has used so much of what all of these have."""
    left = max(0, unspent)
    if used_by_all <= 0:
        return left // (2 * max(1, holders))
    return max(left // (16 * max(1, holders)), left * used // (2 * used_by_all))


def is_tail(*, free: int, limit: int) -> bool:
    """Whether the budget is in its last 5 %."""
    return free * TAIL < limit
