"""How fast a store grants: the operator's keeper around it, and holders who ask for more as soon as they are told."""

import asyncio
import itertools
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from prometheus_client import CollectorRegistry

from pointsman_operator.ledger.accounts import AccountKey, Said, Stamp
from pointsman_operator.ledger.answering import Terms
from pointsman_operator.ledger.messages import BlockState, Call, Item, Reply
from pointsman_operator.quotas import Asked, Keeper, LedgerMetrics, Store

_LIMIT = 2**50
_START, _END = 0, 2**40


def terms(namespace: int) -> dict[str, Terms]:
    """The one budget of a namespace."""
    return {f"TokenQuota/n{namespace}/month": Terms(unit="Tokens", limit=_LIMIT, has_window=lambda _: True, subject="")}


def account(namespace: int) -> AccountKey:
    """Its account."""
    return AccountKey(budget=f"TokenQuota/n{namespace}/month", unit="Tokens", subject="", start=_START, end=_END)


@asynccontextmanager
async def keeping(store: Store) -> AsyncIterator[Keeper]:
    """A keeper that leads."""
    sessions = itertools.count(1)
    keeper = Keeper(
        store,
        now=time.time,
        clock=time.monotonic,
        fresh_session=lambda: next(sessions),
        metrics=LedgerMetrics(CollectorRegistry()),
    )
    keeper.begin()
    running = asyncio.create_task(keeper.run())
    try:
        yield keeper
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)


@dataclass(kw_only=True)
class Holder:
    """A sidecar of one namespace. `latencies` are those of its grants, in seconds."""

    namespace: int
    keeper: Keeper
    granted: int = 0
    latencies: list[float] = field(default_factory=list)
    _session: int = 0
    _serial: int = 1
    _id: int = 0
    _created: Stamp | None = None

    async def open(self) -> None:
        """Get to know the ledger."""
        self._session = (await self._say(declares=False)).session
        await self._say(declares=True)

    async def more(self) -> None:
        """Ask for one more grant."""
        began = time.perf_counter()
        item = Item(
            key=account(self.namespace),
            serial=self._serial,
            said=Said(used=self.granted),
            granted=self.granted,
            created=self._created,
            total=self.granted + 10,
            needed=self.granted + 10,
        )
        (verdict,) = (await self._say(item)).verdicts
        self.granted, self._created = verdict.granted, verdict.created
        if verdict.state is BlockState.GONE:
            # A number is good for one block.
            self._serial += 1
        self.latencies.append(time.perf_counter() - began)

    async def _say(self, *items: Item, declares: bool = False) -> Reply:
        self._id += 1
        heard: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        call = Call(
            id=self._id, holder=f"pod-{self.namespace}/one", session=self._session, declares=declares, items=items
        )

        def reply(answer: Reply, _: str) -> None:
            if not heard.done():
                heard.set_result(answer)

        self.keeper.submit(Asked(call=call, terms=lambda: terms(self.namespace), reply=reply, nudge=lambda: None))
        return await heard


@dataclass(frozen=True, kw_only=True)
class Granting:
    """How a store did."""

    per_second: float
    latencies: list[float]


async def measure(store: Store, *, holders: int, seconds: float) -> Granting:
    """So many holders, each with a budget of its own, that never stop asking."""
    async with keeping(store) as keeper:
        all_of_them = [Holder(namespace=at, keeper=keeper) for at in range(holders)]
        await asyncio.gather(*(each.open() for each in all_of_them))
        while not all_of_them[0].granted:
            # A store that is another server than before pauses first.
            await all_of_them[0].more()
        all_of_them[0].latencies.clear()
        began = time.perf_counter()

        async def ask(holder: Holder) -> None:
            while time.perf_counter() < began + seconds:
                await holder.more()

        await asyncio.gather(*map(ask, all_of_them))
        took = time.perf_counter() - began
    latencies = [latency for each in all_of_them for latency in each.latencies]
    return Granting(per_second=len(latencies) / took, latencies=latencies)
