"""`make bench-ledger`: measure what budgets cost a request, how fast each store grants, and what many quotas write."""

import argparse
import asyncio
import json
import os
import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path

from prometheus_client import CollectorRegistry
from rich.console import Console

from cluster.charts.rights import rights
from cluster.harness.binaries import BinariesError, locate, report_on_stderr
from cluster.harness.choice import Own
from cluster.harness.cluster import Cluster
from cluster.harness.processes import ProcessError
from granting.busy import FULL, QUICK, Busy, Point
from granting.charts import picture
from granting.costs import cpu, latencies
from granting.grants import measure
from granting.report import table, where_it_ends, write_docs
from granting.rows import Rows, row
from measuring.api import ApiError, connected
from measuring.machines import machine
from measuring.operators import ProgramError, allow_files
from measuring.percentiles import percentile
from pointsman_operator.quotas import MemoryStore, Pace, RedisStore, SqliteStore, Store, StoreMetrics
from pointsman_operator.watch import Cluster as Client
from pointsman_operator.watch import Connector, OwnLedger
from support.redis.binaries import NoRedisError, find
from support.redis.servers import running

_ROOT = Path(__file__).resolve().parents[3]
_RESULTS = Path("bench/results/ledger")
_PAGE, _PICTURE = Path("docs/performance.md"), Path("docs/ledger.svg")
_GRANTS = ": grants"


async def granting(name: str, store: Store, *, seconds: float, rows: Rows) -> None:
    """How fast a store grants."""
    found = await measure(store, holders=64, seconds=seconds)
    rows.append(row(f"{name}{_GRANTS}", found.per_second, "1/s"))
    for percent in (50, 99):
        rows.append(row(f"{name}: a grant, p{percent}", percentile(found.latencies, percent) * 1000, "ms"))


async def requests(rows: Rows, *, quick: bool, folder: Path) -> None:
    """What budgets cost a request."""
    used = await cpu(rounds=3 if quick else 15, each=500 if quick else 3000, folder=folder)
    for number in (1, 3):
        rows.append(row(f"CPU per request, {number} budget(s)", used[number] - used[0], "µs", limit=10.0))
    took = await latencies(requests=2000 if quick else 30_000, folder=folder)
    for percent in (50, 99):
        of = {name: percentile(values, percent) * 1e6 for name, values in took.items()}
        for name, when in (("answered", "while the ledger answers"), ("away", "while it is away")):
            rows.append(row(f"Added at p{percent}, a held block, {when}", of[name] - of["none"], "µs"))


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
        sizes = QUICK if quick else FULL
        bench = Busy(cluster=cluster, api=api, folder=folder, sizes=sizes, console=console, rows=rows)
        await bench.run()
    return bench.points


def measured(rows: Rows, given: argparse.Namespace, *, folder: Path, console: Console) -> list[Point]:
    """Measure what is asked for."""
    seconds = 1.0 if given.quick else 10.0
    only = given.only or ("requests", "stores", "busy")
    if "requests" in only:
        asyncio.run(requests(rows, quick=given.quick, folder=folder))
    if "stores" in only:
        asyncio.run(granting("Memory", MemoryStore(), seconds=seconds, rows=rows))
        asyncio.run(granting("SQLite", SqliteStore(folder), seconds=seconds, rows=rows))
        try:
            asyncio.run(in_redis(rows, seconds=seconds, folder=folder / "redis"))
        except NoRedisError as error:
            console.print(f"bench-ledger: without Redis: {error}")
    points: list[Point] = []
    if not given.without_cluster and {"stores", "busy"} & set(only):
        own = Own(binaries=locate(os.environ))
        own.prepare(os.environ, report=report_on_stderr)
        with own.running(folder=folder / "cluster") as cluster:
            if "stores" in only:
                asyncio.run(in_the_cluster(cluster, rows, seconds=2 * seconds))
            if "busy" in only:
                points = asyncio.run(many_quotas(cluster, rows, quick=given.quick, folder=folder, console=console))
    return points


def main() -> int:
    """Run the bench; 1 where something that was aimed at was not reached, 2 where it could not be run."""
    parser = argparse.ArgumentParser(prog="make bench-ledger", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: that it works, and no more")
    parser.add_argument("--without-cluster", action="store_true", help="leave out what needs an API server")
    parser.add_argument(
        "--only", action="append", choices=["requests", "stores", "busy"], help="measure this part; may be repeated"
    )
    parser.add_argument("--output", type=Path, default=_RESULTS, help="the folder for the numbers")
    parser.add_argument("--docs", action="store_true", help=f"write the ledger's part of {_PAGE}, and {_PICTURE}, anew")
    given = parser.parse_args()
    if given.docs and (given.only or given.without_cluster):
        parser.error("--docs writes all of it: measure all of it, without --only and --without-cluster")
    console = Console(highlight=False)
    allow_files()
    facts = {**machine(), "command": "make bench-ledger", "quick": given.quick}
    rows: Rows = []
    try:
        with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as made:
            points = measured(rows, given, folder=Path(made), console=console)
    except (ApiError, BinariesError, ProcessError, ProgramError, TimeoutError) as error:
        console.print(f"bench-ledger: {error}")
        return 2
    console.print(table(rows))
    if points:
        console.print(where_it_ends(points, cpus=os.cpu_count() or 1))
    given.output.mkdir(parents=True, exist_ok=True)
    document = {"facts": facts, "rows": rows, "points": [asdict(point) for point in points]}
    (given.output / "results.json").write_text(json.dumps(document, indent=1) + "\n")
    if given.docs:
        grants = {each["what"].removesuffix(_GRANTS): each["value"] for each in rows if each["what"].endswith(_GRANTS)}
        _PICTURE.write_text(picture(grants=grants, points=points), encoding="utf-8")
        write_docs(_PAGE, _PICTURE, rows=rows, points=points, facts=facts)
    return 0 if given.quick or all(each["met"] is not False for each in rows) else 1


if __name__ == "__main__":
    sys.exit(main())
