"""Each rule of the protocol, broken: what the model is to notice. Here only, and never in what is shipped."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from pointsman_operator.ledger import accounts, answering, lapsing
from pointsman_operator.ledger.accounts import Account, Block
from pointsman_operator.ledger.answering import Terms
from pointsman_sidecar.quota import desk, holdings, journal, speech
from support.quota import replicas, stores, worlds


@dataclass(frozen=True)
class Mutant:
    """What is put in place of what."""

    rule: str
    patches: tuple[tuple[Any, str, Any], ...]
    # The kind of world in which it shows; any, where most do.
    profile: str | None = None

    @contextmanager
    def broken(self) -> Iterator[None]:
        """While this lasts, the rule is broken."""
        with ExitStack() as stack:
            for target, name, wrong in self.patches:
                stack.enter_context(patch.object(target, name, wrong))
            yield


def _used_only(account: Account) -> int:
    return account.used


def _only_used_is_spent(account: Account, block: Block, *, era: int) -> Account:
    return accounts.closed(account, block, era=era)


def _no_compare(store: stores.ModelStore, key: Any, account: Account | None, **told: Any) -> int | None:
    told["expected"] = store.accounts[key][0] if key in store.accounts else 0
    return _swap(store, key, account, **told)


_swap = stores.ModelStore.swap
_new = answering._Work._new
_item = answering._Work.item
_answer = answering.answer
_terms = worlds.World.terms


def _closed_again(work: Any, item: Any) -> Any:
    account = work._account(item.key)
    if item.closed and (work._call.holder, item.serial) not in account.blocks:
        work._put(item.key, accounts.spent_unseen(account, item.said, era=0))
    return _item(work, item)


def _any_serial(work: Any, item: Any, account: Account) -> Any:
    work._floor = 0
    return _new(work, replace(item, created=None), account)


def _any_session(call: Any, *, presence: Any, **rest: Any) -> Any:
    if presence is not None and presence.declared:
        call = replace(call, session=presence.session)
    return _answer(call, presence=presence, **rest)


def _at_once(call: Any, *, moment: Any, **rest: Any) -> Any:
    return _answer(call, moment=replace(moment, grants_from=0.0), **rest)


def _never_behind(account: Account, seen: Any) -> bool:
    del account, seen
    return False


def _highest_limit(world: worlds.World) -> dict[str, Terms]:
    highest = world.__dict__.setdefault("highest", {})
    terms = _terms(world)
    for name, each in terms.items():
        highest[name] = max(highest.get(name, 0), each.limit)
    return {name: replace(each, limit=highest[name]) for name, each in terms.items()}


def _closed_without_reports(account: Account, block: Block, *, era: int) -> Account:
    return accounts._without(account, replace(block, used=0), spent=0, era=era)


def _reserve_one_by_one(own: Any, charges: Any, *, now: float) -> Any:
    taken = []
    for charge in charges:
        outcome = _reserve(own, [charge], now=now)
        if not isinstance(outcome, holdings.Reservation):
            return outcome
        taken.append(outcome)
    return holdings.Reservation([each.parts[0] for each in taken], [each.bounds[0] for each in taken])


_reserve = holdings.Holdings.reserve


def _settle_less(own: Any, reservation: Any, *, now: float) -> None:
    own.settle(reservation, [0] * len(reservation.bounds), now=now)


def _release_again(own: Any, reservation: Any) -> None:
    del own
    reservation.done = True
    for block, bound in zip(reservation.parts, reservation.bounds, strict=True):
        if block is not None:
            block.reserved -= bound


def _settle_without_overrun(own: Any, block: Any, bound: int, used: int, now: float) -> None:
    _settle(own, block, bound, min(used, bound), now)


_settle = holdings.Holdings._settle


def _leave_all(own: Any, block: Any) -> None:
    if block.reserved == 0:
        own._desk.close(block)
    elif block.free > 0:
        own._desk.give_back(block, block.free + block.reserved)


def _unwritten_return(own: Any, block: Any, amount: int) -> None:
    del own
    block.returned += amount
    block.mark = min(block.mark, block.granted - block.returned)


def _state_of_used(serial: int, *, mark: int, **rest: Any) -> bytes:
    return _state(serial, mark=mark // 2, **rest)


def _state_never_closing(serial: int, *, closing: bool, **rest: Any) -> bytes:
    del closing
    return _state(serial, closing=False, **rest)


_state = journal.state


def _said_once(own: Any, block: Any, now: float) -> Any:
    item = _say(own, block, now)
    if block.closing:
        del own._desk.blocks[block.serial]
    return item


_say = speech.Speech._item


def _same_name(world: Any, at: int) -> str:
    del world
    return f"i{at}"


def _never_restored(work: Any, item: Any) -> None:
    del work, item


def _always_fits(wish: Any, *, free: int, share: int) -> int:
    del free, share
    return max(int(wish.wanted), int(wish.needed), 0)


def _granted_added(own: Any, block: Any, verdict: Any, now: float) -> None:
    block.granted += verdict.granted - block.granted if block.created is None else verdict.granted // 8
    _open(own, block, verdict, now)


_open = speech.Speech._open


def _of(target: Any, name: str, wrong: Any) -> tuple[tuple[Any, str, Any], ...]:
    return ((target, name, wrong),)


MUTANTS = (
    Mutant("a grant fits into what is free", _of(answering.sizing, "grant", _always_fits)),
    Mutant("what is held counts against the limit", _of(Account, "committed", property(_used_only))),
    Mutant("a lowered limit holds at once", _of(worlds.World, "terms", _highest_limit)),
    Mutant("the store compares before it swaps", _of(stores.ModelStore, "swap", _no_compare)),
    Mutant("a lapsed block is spent", _of(lapsing, "given_up", _only_used_is_spent)),
    Mutant("what a closed block used is spent", _of(answering, "closed", _closed_without_reports)),
    Mutant("what is closed is settled once", _of(answering._Work, "item", _closed_again)),
    Mutant(
        "a block is made once",
        (*_of(answering._Work, "_new", _any_serial), *_of(replicas, "answer", _any_session)),
        "late",
    ),
    Mutant("a replica that is behind denies nothing", _of(answering, "is_behind", _never_behind), "wavering"),
    Mutant("nothing is granted until all could declare", _of(replicas, "answer", _at_once)),
    Mutant(
        "what the store lost is taken over from its holder", _of(answering._Work, "_restore", _never_restored), "losing"
    ),
    Mutant("a reservation takes all or nothing", _of(holdings.Holdings, "reserve", _reserve_one_by_one)),
    Mutant("a sent call without usage settles at its bound", _of(holdings.Holdings, "settle_at_bound", _settle_less)),
    Mutant("what is settled is not released too", _of(holdings.Holdings, "release", _release_again)),
    Mutant("what is reserved is not given back", _of(speech.Speech, "_leave", _leave_all)),
    Mutant("what is given back is written down first", _of(desk.Desk, "give_back", _unwritten_return)),
    Mutant("the mark is written before it is passed", _of(journal, "state", _state_of_used)),
    Mutant("a closed block stays closed after a crash", _of(journal, "state", _state_never_closing)),
    Mutant("a closed block is said until it is confirmed", _of(speech.Speech, "_item", _said_once)),
    Mutant("a process without its journal has a name of its own", _of(worlds.World, "name", _same_name)),
    Mutant("grants are totals, not differences", _of(speech.Speech, "_open", _granted_added)),
)
