"""`make bench-ledger`: measure what budgets cost a request, and how fast each store grants."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from prometheus_client import CollectorRegistry
from rich.console import Console
from rich.table import Table

from cluster.charts.rights import rights
from cluster.harness.binaries import BinariesError, locate, report_on_stderr
from cluster.harness.choice import Own
from cluster.harness.cluster import Cluster
from granting.costs import cpu, latencies
from granting.grants import account, many, measure
from measuring.machines import machine
from measuring.percentiles import percentile
from pointsman_operator.ledger.accounts import Account
from pointsman_operator.quotas import MemoryStore, Pace, RedisStore, SqliteStore, Store, StoreMetrics
from pointsman_operator.watch import Cluster as Client
from pointsman_operator.watch import Connector, OwnLedger
from support.redis.binaries import NoRedisError, find
from support.redis.servers import running

_RESULTS = Path("bench/results/ledger")
_BEGIN, _END = "<!-- ledger: written by make bench-ledger, not by hand -->\n", "<!-- end of ledger -->\n"
_NAMESPACES, _BUSY = 10_000, 500
# A block lasts for two minutes and is filled up when a quarter of it is left.
_INTERVAL = 90.0
Rows = list[dict[str, Any]]


def row(what: str, value: float, unit: str, *, limit: float | None = None) -> dict[str, Any]:
    """A number, and what it is not to be above."""
    return {
        "what": what,
        "value": value,
        "unit": unit,
        "limit": limit,
        "met": None if limit is None else value <= limit,
    }


async def granting(name: str, store: Store, *, seconds: float, rows: Rows) -> None:
    """How fast a store grants."""
    found = await measure(store, holders=64, seconds=seconds)
    rows.append(row(f"{name}: grants", found.per_second, "1/s"))
    for percent in (50, 99):
        rows.append(row(f"{name}: a grant, p{percent}", percentile(found.latencies, percent) * 1000, "ms"))


async def requests(rows: Rows, *, quick: bool, folder: Path) -> None:
    """What budgets cost a request."""
    used = await cpu(rounds=3 if quick else 15, each=500 if quick else 3000, folder=folder)
    for number in (1, 3):
        rows.append(row(f"CPU per request, {number} budget(s)", used[number] - used[0], "µs", limit=10.0))
    took = await latencies(requests=2000 if quick else 30_000, folder=folder)
    p99 = {name: percentile(values, 99) * 1e6 for name, values in took.items()}
    for name, when in (("answered", "while the ledger answers"), ("away", "while it is away")):
        rows.append(row(f"Added at p99, a held block, {when}", p99[name] - p99["none"], "µs"))


async def in_redis(rows: Rows, *, seconds: float, folder: Path) -> None:
    """A real Redis that writes each change to its disk, past the pause with which a server begins."""
    with running(find(os.environ), folder) as server:
        store = RedisStore(server.endpoint, metrics=StoreMetrics(CollectorRegistry()))
        try:
            await granting("Redis", store, seconds=seconds, rows=rows)
        finally:
            await store.close()


async def in_the_cluster(cluster: Cluster, rows: Rows, *, seconds: float) -> None:
    """ConfigMaps on a real API server: how fast they grant."""
    namespace = cluster.namespace("pointsman-ledger")
    kubeconfig = cluster.kubeconfig_for("operator", namespace=namespace)
    cluster.apply(rights(namespace=namespace))
    async with Client(Connector(kubeconfig=str(kubeconfig)), secrets_namespace=namespace) as client:
        pace = Pace(clock=time.monotonic)
        store = OwnLedger(client, namespace=namespace, pace=pace, metrics=StoreMetrics(CollectorRegistry()))
        await granting("ConfigMaps", store, seconds=seconds, rows=rows)


async def many_quotas(cluster: Cluster, rows: Rows, *, quick: bool, folder: Path, console: Console) -> list[Point]:
    """What 10,000 namespaces write, and with how many of them busy the cluster's own ledger is at its end."""
    cluster.install_crds(_ROOT / "crds")
    async with connected(cluster.kubeconfig) as api:
        bench = Busy(
            cluster=cluster, api=api, folder=folder, sizes=QUICK if quick else FULL, console=console, rows=rows
        )
        await bench.run()
    return bench.points


def write_docs(rows: Rows, facts: dict[str, Any], page: Path) -> None:
    """Write the ledger's part of the page anew; the rest of the page stays."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise SystemExit(f"{page} has no part between {_BEGIN.strip()} and {_END.strip()}: put both lines back")
    where = (
        f"`{facts['command']}{' ARGS=--quick' if facts['quick'] else ''}` on {facts['cpus']} CPUs ({facts['cpu']}), "
        f"Linux {facts['kernel']}, Python {facts['python']}; load average before it began: {facts['load_before']:.1f}."
    )
    lines = [where, "", "| measured | value | at most | |", "| --- | ---: | ---: | --- |"]
    for each in rows:
        limit = "" if each["limit"] is None else f"{each['limit']:g} {each['unit']}"
        met = {True: "met", False: "NOT MET", None: ""}[each["met"]]
        lines.append(f"| {each['what']} | {each['value']:.4g} {each['unit']} | {limit} | {met} |")
    page.write_text(before + begin + "\n" + "\n".join(lines) + "\n\n" + end + after, encoding="utf-8")


def main() -> int:
    """Run the bench; 1 where something that was aimed at was not reached, 2 where it could not be run."""
    parser = argparse.ArgumentParser(prog="make bench-ledger", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: that it works, and no more")
    parser.add_argument("--without-cluster", action="store_true", help="leave out what needs an API server")
    parser.add_argument("--output", type=Path, default=_RESULTS, help="the folder for the numbers")
    parser.add_argument("--docs", action="store_true", help="write the ledger's part of docs/performance.md anew")
    given = parser.parse_args()
    console = Console(highlight=False)
    facts = {**machine(), "command": "make bench-ledger", "quick": given.quick}
    rows: Rows = []
    seconds = 1.0 if given.quick else 10.0
    with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as made:
        folder = Path(made)
        asyncio.run(requests(rows, quick=given.quick, folder=folder))
        asyncio.run(granting("Memory", MemoryStore(), seconds=seconds, rows=rows))
        asyncio.run(granting("SQLite", SqliteStore(folder), seconds=seconds, rows=rows))
        try:
            asyncio.run(in_redis(rows, seconds=seconds, folder=folder / "redis"))
        except NoRedisError as error:
            console.print(f"bench-ledger: without Redis: {error}")
        if not given.without_cluster:
            try:
                own = Own(binaries=locate(os.environ))
                own.prepare(os.environ, report=report_on_stderr)
                with own.running(folder=folder / "cluster") as cluster:
                    asyncio.run(in_the_cluster(cluster, rows, quick=given.quick))
            except BinariesError as error:
                console.print(f"bench-ledger: {error}")
                return 2
    table = Table("measured", "value", "at most", "", title="The ledger of budgets")
    for each in rows:
        limit = "" if each["limit"] is None else f"{each['limit']:g} {each['unit']}"
        met = {True: "met", False: "NOT MET", None: ""}[each["met"]]
        table.add_row(each["what"], f"{each['value']:.3g} {each['unit']}", limit, met)
    console.print(table)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "results.json").write_text(json.dumps({"facts": facts, "rows": rows}, indent=1) + "\n")
    if given.docs:
        write_docs(rows, facts, Path("docs/performance.md"))
    return 0 if given.quick or all(each["met"] is not False for each in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
