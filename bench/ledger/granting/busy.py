"""What many quotas cost a cluster: the whole operator, its ledger in ConfigMaps, and sidecars that spend.

First so many of so many namespaces are busy; then more and more, until the operator says that its ledger is at its end.
"""

import asyncio
import os
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from rich.console import Console

from cluster.harness.cluster import Cluster
from granting.rows import Rows, row
from measuring.api import Api, all_of
from measuring.operators import SYSTEM, Operator, Program, operator, prepared, programs, total
from measuring.percentiles import percentile
from measuring.processes import usage
from pointsman_operator.ledger.accounts import Account, AccountKey
from pointsman_operator.ledger.answering import KEEP_SECONDS
from pointsman_operator.ledger.windows import Kind, window_at, zone
from pointsman_operator.quotas import Pace, StoreMetrics
from pointsman_operator.quotas.pacing import BYTES_PER_SECOND, WRITES_PER_SECOND
from pointsman_operator.watch import Cluster as Client
from pointsman_operator.watch import Connector, OwnLedger

_LIMIT = 10**12
_STATUSES = "pointsman_operator_status_writes_total"
_WRITES, _BYTES = "pointsman_operator_ledger_writes_total", "pointsman_operator_ledger_written_bytes_total"
_END = "the ledger is at the end of what the cluster's ConfigMaps can take"
_FULLY_BUSY = 0.95
_QUIET = 3.0


@dataclass(frozen=True, kw_only=True)
class Sizes:
    """How many, and for how long.

    Attributes:
        minutes: how many of the busy have windows of a minute; all others' are of a month.
        spread, hold: over how many seconds the busy ones begin, and for how many they are then measured.
        settle: how long beginning may have its effect before anything is measured.
        step, step_spread, most: how many more are busy with each step, within how long, and how many at most.
    """

    namespaces: int
    busy: int
    minutes: int
    spread: float
    hold: float
    step: int
    step_spread: float
    settle: float
    most: int


FULL = Sizes(
    namespaces=10_000,
    busy=500,
    minutes=100,
    spread=70.0,
    hold=60.0,
    step=1_000,
    step_spread=50.0,
    settle=15.0,
    most=4_500,
)
QUICK = Sizes(namespaces=60, busy=20, minutes=5, spread=2.0, hold=4.0, step=20, step_spread=2.0, settle=0.5, most=40)


@dataclass(frozen=True, kw_only=True)
class Point:
    """What a number of busy sidecars came to, in a second.

    Attributes:
        statuses: of quotas, written.
        cores: processors' time, by process.
        ended: whether the operator said that its ledger is at its end.
    """

    busy: int
    writes: float
    kib: float
    statuses: float
    waited_p50: float
    waited_p99: float
    refused: int
    cores: dict[str, float]
    ended: bool


def namespace(number: int) -> str:
    """A namespace's name."""
    return f"n{number:05}"


def quotas(sizes: Sizes) -> Iterator[dict[str, Any]]:
    """A quota in each namespace."""
    for number in range(sizes.namespaces):
        window = "Minute" if number < sizes.minutes else "Month"
        yield {
            "apiVersion": "pointsman.dev/v1alpha1",
            "kind": "TokenQuota",
            "metadata": {"name": "tokens", "namespace": namespace(number)},
            "spec": {"scope": "Namespace", "window": window, "limit": {"tokens": _LIMIT}},
        }


def spent_before(sizes: Sizes, *, now: float) -> dict[AccountKey, Account]:
    """What the ledger holds of all that was spent before: this month's accounts, and each minute's of the last hour."""
    accounts: dict[AccountKey, Account] = {}
    for number in range(sizes.namespaces):
        kind = Kind.MINUTE if number < sizes.minutes else Kind.MONTH
        ages = range(60, int(KEEP_SECONDS), 60) if kind is Kind.MINUTE else range(1)
        for age in ages:
            window = window_at(kind, zone("UTC"), now - age)
            name = f"TokenQuota/{namespace(number)}/tokens"
            key = AccountKey(budget=name, unit="Tokens", subject="", start=window.start, end=window.end)
            accounts[key] = Account(version=9, spent=1_234_567)
    return accounts


@dataclass(kw_only=True)
class Busy:
    """One run."""

    cluster: Cluster
    api: Api
    folder: Path
    sizes: Sizes
    console: Console
    rows: Rows
    points: list[Point] = field(default_factory=list)

    async def run(self) -> None:
        """Measure everything."""
        sizes = self.sizes
        kubeconfig = prepared(self.cluster)
        await self._fill()
        await self._spend_before(kubeconfig)
        with operator(kubeconfig, folder=self.folder, proven=False) as running:
            self._say(f"The operator starts, and writes {sizes.namespaces:,} first statuses")
            self.rows.append(row(f"{sizes.namespaces:,} quotas: start of the operator", await running.ready(), "s"))
            began = time.monotonic()
            await running.quiet(_STATUSES, seconds=_QUIET, result="written")
            took = time.monotonic() - began - _QUIET
            self.rows.append(row(f"{sizes.namespaces:,} quotas: all have a status", took, "s"))
            began = time.monotonic()
            await running.samples()
            self.rows.append(row(f"{sizes.namespaces:,} quotas: a scrape", time.monotonic() - began, "s"))
            idle = usage(running.process.pid)
            self.rows.append(row(f"{sizes.namespaces:,} quotas: memory of the operator", idle.rss, "MiB"))
            async with self._programs() as spending:
                await self._more(running, spending, sizes.busy, seconds=sizes.spread)
                self._report(await self._measured(running, spending, sizes.busy))
                await self._to_the_end(running, spending)

    async def _fill(self) -> None:
        sizes = self.sizes
        self._say(f"{sizes.namespaces:,} namespaces with a quota each")
        names = ({"metadata": {"name": namespace(number)}} for number in range(sizes.namespaces))
        await all_of((partial(self.api.ask, "POST", "/api/v1/namespaces", each) for each in names), done=lambda: None)
        await all_of((partial(self.api.create, each) for each in quotas(sizes)), done=lambda: None)

    async def _spend_before(self, kubeconfig: Path) -> None:
        async def at_once(_: float) -> None:
            pass

        async with Client(Connector(kubeconfig=str(kubeconfig)), secrets_namespace=SYSTEM) as client:
            store = OwnLedger(
                client,
                namespace=SYSTEM,
                pace=Pace(clock=time.monotonic, sleep=at_once),
                metrics=StoreMetrics(CollectorRegistry()),
            )
            await store.read()
            await store.write(spent_before(self.sizes, now=time.time()))

    async def _more(self, running: Operator, spending: Sequence[Program], busy: int, *, seconds: float) -> None:
        """Have so many be busy in all."""
        before = self.points[-1].busy if self.points else 0
        self._say(f"{busy:,} busy")
        shares = [list(map(namespace, range(before + at, busy, len(spending)))) for at in range(len(spending))]
        await asyncio.gather(
            *(
                each.order("spend", address=running.address, namespaces=share, seconds=seconds)
                for each, share in zip(spending, shares, strict=True)
            )
        )

    async def _measured(self, running: Operator, spending: Sequence[Program], busy: int) -> Point:
        api_server = self.cluster.api_server
        pids = {"operator": [running.process.pid], "sidecars": [each.pid for each in spending]}
        pids |= {name: [pid] for name, pid in (api_server.pids if api_server else {}).items()}

        async def numbers() -> list[float]:
            samples = await running.samples()
            return [
                total(samples, _WRITES, result="written"),
                total(samples, _BYTES),
                total(samples, _STATUSES, result="written"),
                *(sum(usage(pid).cpu for pid in of) for of in pids.values()),
            ]

        await asyncio.sleep(self.sizes.settle)
        # Asking for so many quotas' metrics holds up the operator, and so is no part of what is waited for.
        before, began = await numbers(), time.monotonic()
        await asyncio.sleep(_QUIET)
        await asyncio.gather(*(each.order("heard") for each in spending))
        await asyncio.sleep(self.sizes.hold - _QUIET)
        heard = await asyncio.gather(*(each.order("heard") for each in spending))
        after, seconds = await numbers(), time.monotonic() - began
        writes, size, statuses, *cores = ((now - then) / seconds for now, then in zip(after, before, strict=True))
        waited = [each * 1000 for one in heard for each in one["waited"]] or [0.0]
        point = Point(
            busy=busy,
            writes=writes,
            kib=size / 1024,
            statuses=statuses,
            waited_p50=percentile(waited, 50),
            waited_p99=percentile(waited, 99),
            refused=sum(one["refused"] for one in heard),
            cores=dict(zip(pids, cores, strict=True)),
            ended=any(_END in said for one in heard for said in one["said"]),
        )
        self.points.append(point)
        self.console.print(f"  {point}")
        return point

    async def _to_the_end(self, running: Operator, spending: Sequence[Program]) -> None:
        sizes = self.sizes
        while not self.points[-1].ended and self.points[-1].busy + sizes.step <= sizes.most:
            if sum(self.points[-1].cores.values()) > _FULLY_BUSY * len(os.sched_getaffinity(0)):
                break
            busy = self.points[-1].busy + sizes.step
            await self._more(running, spending, busy, seconds=sizes.step_spread)
            await self._measured(running, spending, busy)

    def _report(self, point: Point) -> None:
        sizes, rows = self.sizes, self.rows
        of = f"{sizes.busy:,} busy of {sizes.namespaces:,} namespaces"
        rows.append(row(f"{of}: writes of the ledger", point.writes, "1/s", limit=float(WRITES_PER_SECOND)))
        rows.append(row(f"{of}: bytes of the ledger", point.kib, "KiB/s", limit=BYTES_PER_SECOND / 1024))
        rows.append(row(f"{of}: statuses of quotas", point.statuses, "1/s"))
        rows.append(row(f"{of}: a grant, p50", point.waited_p50, "ms"))
        rows.append(row(f"{of}: a grant, p99", point.waited_p99, "ms"))

    @asynccontextmanager
    async def _programs(self) -> AsyncIterator[Sequence[Program]]:
        async with programs(2, "granting.spenders") as spending:
            yield spending

    def _say(self, what: str) -> None:
        self.console.print(f"[bold]{what}[/bold]")
