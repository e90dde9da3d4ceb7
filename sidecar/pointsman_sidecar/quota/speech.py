"""`Speech`: what is said to the ledger and when, and what its answers change.

One call is under way at a time. Each says how the blocks stand, in absolute numbers; so a call that is lost needs no
memory: the next says the same and more.
"""

from dataclasses import replace

from pointsman_sidecar.quota.blocks import Block, Pot
from pointsman_sidecar.quota.desk import Desk
from pointsman_sidecar.quota.messages import BlockState, Call, Item, Reply, Verdict

# What a block is to last for, at the rate of late; also how long before its start a window's first block is asked for.
COVER_SECONDS = 120.0
# Of what a block is to last for, the part that is gone before more is asked for: one in so many. Each grant is a write
# of the ledger's, and what is left is what a sidecar has while the ledger is away.
_GONE = 4
# A block that nothing was taken from for so long goes back.
IDLE_SECONDS = 20.0
# Whoever took or waited for something within this is not asked to give all back.
_SPENDS_SECONDS = 2.0
# A reply that takes longer is not heard. Less than the ledger's pause after its store lost something: so whoever heard
# of a grant that was lost can declare it in that pause.
CALL_SECONDS = 8.0
# How long a call that failed is waited after, at first and at most.
_BACKOFF_SECONDS = 0.5
_LONGEST_BACKOFF_SECONDS = 10.0
_REPORT_SECONDS = 10.0
# How soon the ledger is asked again about a block that runs low.
_ASK_AGAIN_SECONDS = 1.0
# A call with more than this is sent in parts; a declaration is not.
_ITEMS = 500
# A closed block is declared to a ledger that may have lost the closing, if it was confirmed less than this before.
REMEMBER_SECONDS = 60.0


class Speech:
    """Speaks of the blocks on a desk."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._session = 0
        self._must_declare = True
        self._call_id = 0
        self._outstanding: Call | None = None
        self._report_after = _REPORT_SECONDS
        self._failures = 0
        self._silent_until = float("-inf")
        # Until then the ledger grants nothing to anybody.
        self._pauses_until = float("-inf")
        # Pots to speak of now, before their time; in order, without repetition.
        self.now: dict[Pot, None] = {}
        # Blocks that were closed of late, by serial, and when that was confirmed.
        self._remembered: dict[int, tuple[Item, float]] = {}
        self._called_at = float("-inf")

    def is_answered(self, now: float) -> bool:
        """Whether the ledger can be hoped to answer soon."""
        return now >= self._silent_until

    def pause(self, now: float) -> float:
        """For how many seconds more the ledger grants nothing, by its own word; 0 where it grants."""
        return max(0.0, self._pauses_until - now)

    def waits(self, pot: Pot, amount: int, now: float) -> None:
        """A request waits for so much of a pot."""
        pot.tab.active_at = now
        pot.waiting += amount
        pot.largest_waiting = max(pot.largest_waiting, amount)
        self.now[pot] = None

    def running_low(self, pot: Pot, now: float) -> None:
        """What is left in a pot lasts for less than a quarter of what it is to last."""
        block = pot.block
        if block is None or pot in self.now or now < max(block.said_at + _ASK_AGAIN_SECONDS, pot.dry_until):
            return
        if _lacks(pot, now):
            self.now[pot] = None

    def reachable(self) -> None:
        """There is somebody to speak to again: what failed before says nothing of that."""
        self._failures = 0
        self._silent_until = float("-inf")

    def nudge(self) -> None:
        """Speak of all blocks soon."""
        for block in self._desk.blocks.values():
            block.said_at = float("-inf")

    def close_all(self) -> None:
        """Close what can be closed, and give back the rest that is free."""
        self.now.clear()
        for block in list(self._desk.blocks.values()):
            if not block.closing:
                self._leave(block)
            block.said_at = float("-inf")

    def wants_to_speak(self, now: float) -> bool:
        """Whether there is something to say now."""
        return self.speaks_at(now) <= now

    def speaks_at(self, now: float) -> float:
        """When there is something to say."""
        if self._outstanding is not None:
            return self._called_at + CALL_SECONDS
        if self.now or self._must_declare:
            return max(now, self._silent_until)
        due = float("inf")
        for block in self._desk.blocks.values():
            due = block.said_at + self._report_after
            break
        if self._remembered:
            # With nothing to report, only the answer tells whether the ledger lost what was closed.
            due = min(due, self._called_at + self._report_after)
        return max(due, self._silent_until)

    def next_call(self, now: float) -> Call | None:
        """What to say now."""
        if not self.wants_to_speak(now):
            return None
        if self._outstanding is not None:
            self.unanswered(self._outstanding, now)
            return None
        self._called_at = now
        if not self._session:
            return self._call((), declares=False, high=0)
        declares = self._must_declare
        # What is opened from here on was never asked for before.
        high = self._desk.high
        self._forget(now)
        due = self._due(now, most=len(self._desk.blocks) if declares else _ITEMS, all_of_them=declares)
        for pot in list(self.now)[:_ITEMS]:
            del self.now[pot]
            if pot.block is None:
                self._desk.open(pot).asked_in = self._call_id + 1
            if pot.block is not None:
                due[pot.block.serial] = pot.block
        items = [self._item(block, now) for _, block in sorted(due.items())]
        if declares:
            items += [item for item, _ in self._remembered.values()]
        return self._call(tuple(items), declares=declares, high=high)

    def _due(self, now: float, *, most: int, all_of_them: bool) -> dict[int, Block]:
        """The blocks to speak of, seen to."""
        due: dict[int, Block] = {}
        for block in list(self._desk.blocks.values())[:most]:
            if not all_of_them and block.said_at + self._report_after > now:
                break
            self._tend(block, now)
            due[block.serial] = block
        return due

    def unanswered(self, call: Call, now: float) -> None:
        """Speak again after a while that grows with each failure."""
        if self._outstanding is None or self._outstanding.id != call.id:
            return
        self._outstanding = None
        self._failures += 1
        self._silent_until = now + min(_LONGEST_BACKOFF_SECONDS, _BACKOFF_SECONDS * 2 ** min(self._failures - 1, 10))
        for item in call.items:
            block = self._desk.blocks.get(item.serial)
            if block is not None:
                # It is said again as soon as there is somebody to hear it.
                block.said_at = float("-inf")
                self._desk.blocks.move_to_end(item.serial, last=False)

    def hear(self, reply: Reply, local_now: float) -> None:
        """Take in what the ledger answers to the last call."""
        call = self._outstanding
        if call is None or reply.id != call.id:
            return
        if local_now + self._desk.offset > self._called_at + CALL_SECONDS:
            # Whatever it tells of may have been lost since, and granted to others.
            self.unanswered(call, local_now + self._desk.offset)
            return
        self._outstanding = None
        self._failures = 0
        self._silent_until = float("-inf")
        self._desk.offset = reply.now - local_now
        now = reply.now
        self._pauses_until = now + reply.grants_after
        self._session = reply.session
        if reply.declare:
            self._must_declare = True
            self._take_back(call)
            return
        if call.declares:
            self._must_declare = False
        self._report_after = reply.report_after
        said = {item.serial: item for item in call.items}
        for verdict in reply.verdicts:
            block = self._desk.blocks.get(verdict.serial)
            if block is not None:
                self._judged(block, verdict, said[verdict.serial], reply, now)
            elif verdict.created is not None and verdict.serial in self._remembered:
                # The store had lost even that there had been such a block.
                item, at = self._remembered[verdict.serial]
                self._remembered[verdict.serial] = (replace(item, created=verdict.created), at)

    def _call(self, items: tuple[Item, ...], *, declares: bool, high: int) -> Call:
        self._call_id += 1
        self._outstanding = Call(id=self._call_id, session=self._session, declares=declares, high=high, items=items)
        return self._outstanding

    def _take_back(self, call: Call) -> None:
        """A call was not heard. What was asked for in it alone was not made, and is to be asked for anew."""
        for item in call.items:
            block = self._desk.blocks.get(item.serial)
            if block is not None and block.created is None and block.asked_in == call.id:
                pot = block.pot
                self._desk.drop(block)
                if pot is pot.tab.current:
                    self.now[pot] = None

    def _judged(self, block: Block, verdict: Verdict, said: Item, reply: Reply, now: float) -> None:
        pot = block.pot
        if verdict.limit is not None:
            pot.limit, pot.used, pot.held, pot.own = verdict.limit, verdict.used, verdict.held, said.used
        if verdict.short:
            pot.dry_until = now + reply.retry_after
        match verdict.state:
            case BlockState.OPEN:
                self._open(block, verdict, now)
            case BlockState.CLOSED:
                if verdict.created is not None:
                    self._remembered[block.serial] = (replace(said, created=verdict.created), now)
                self._desk.drop(block)
            case BlockState.GONE:
                block.gone = True
                self._desk.drop(block)

    def _open(self, block: Block, verdict: Verdict, now: float) -> None:
        pot = block.pot
        if verdict.granted > block.granted or verdict.created != block.created:
            block.granted = max(block.granted, verdict.granted)
            block.created = verdict.created
            self._desk.write_state(block)
            pot.dry_until = float("-inf") if not verdict.short else pot.dry_until
        if verdict.returned > block.returned:
            block.returned = verdict.returned
            self._desk.write_state(block)
        if verdict.keep is not None and not block.closing:
            # Who spends from it keeps one reservation all the same: it would only be asked for again.
            spends = now - pot.tab.active_at < _SPENDS_SECONDS
            keep = max(verdict.keep, pot.tab.least if spends else 0)
            if block.free > keep:
                self._desk.give_back(block, block.free - keep)
                self.now[pot] = None

    def _tend(self, block: Block, now: float) -> None:
        """See to a block whose turn it is: is it still of use, and should the next window's be asked for?"""
        pot = block.pot
        tab = pot.tab
        if block.closing:
            return
        over = now >= pot.end
        if over or now - tab.active_at >= IDLE_SECONDS or self._desk.budget(tab.budget) is None:
            self._leave(block)
        elif pot is tab.current:
            self._look_ahead(pot, now)
        tab.least -= tab.least // 8

    def _leave(self, block: Block) -> None:
        if block.reserved == 0:
            self._desk.close(block)
        elif block.free > 0:
            self._desk.give_back(block, block.free)

    def _look_ahead(self, pot: Pot, now: float) -> None:
        """Ask for blocks of the windows that begin while this one's blocks are to last."""
        tab = pot.tab
        budget = self._desk.budget(tab.budget)
        if budget is None or tab.rate.at(now) * COVER_SECONDS < 1 or pot.end > now + COVER_SECONDS:
            return
        for window in budget.windows:
            if pot.end <= window.start < now + COVER_SECONDS:
                ahead = tab.pot(window.start, window.end)
                if ahead.block is None and ahead.dry_until <= now:
                    self.now[ahead] = None

    def _item(self, block: Block, now: float) -> Item:
        pot = block.pot
        self._desk.blocks.move_to_end(block.serial)
        block.said_at = now
        block.said_used = block.used
        if block.closing or now >= pot.end or self._desk.budget(pot.tab.budget) is None:
            return block.item()
        waiting, largest = pot.waiting, pot.largest_waiting
        pot.waiting = pot.largest_waiting = 0
        want = 0 if pot.dry_until > now else max(_lacks(pot, now), waiting)
        need = largest if largest > block.free else 0
        return block.item(want=want, need=need, least=pot.tab.least)

    def _forget(self, now: float) -> None:
        for serial, (_, at) in list(self._remembered.items()):
            if at + REMEMBER_SECONDS < now:
                del self._remembered[serial]


def _lacks(pot: Pot, now: float) -> int:
    """How much is to be free in a pot, once enough of that is gone to ask for it."""
    want = _want(pot, now)
    block = pot.block
    enough = max(want - want // _GONE, pot.tab.least)
    return 0 if block is not None and block.free >= enough else want


def _want(pot: Pot, now: float) -> int:
    """How much is to be free in a pot."""
    rate = pot.tab.rate.at(now)
    left = pot.end - max(now, pot.start)
    return int(rate * max(0.0, min(COVER_SECONDS, left)))
