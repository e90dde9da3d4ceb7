"""What is measured, one thing after the other, on one cluster that only grows."""

import asyncio
import json
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from cluster.harness.cluster import Cluster
from measuring.api import Api, all_of, collection
from measuring.operators import Operator, Program, authority, operator, prepared, programs, until
from measuring.percentiles import percentile
from measuring.processes import usage
from pointsman_operator.tls.certificates import make_authority, make_leaf
from scale import objects
from scale.results import Results, spread
from scale.sizes import Sizes

_AUDIENCE = "pointsman.dev"
_SNAPSHOT_BYTES = 700  # about what the operator's snapshot of the fleet's policy has
_MILLI = 1000
_REST_SECONDS, _AT_REST = 3.0, 0.05
Json = dict[str, Any]


@dataclass(kw_only=True)
class Bench:
    """One run."""

    cluster: Cluster
    api: Api
    sizes: Sizes
    folder: Path
    results: Results
    console: Console
    proven: bool
    revision: int = 0
    kubeconfig: Path = field(init=False)
    fleet: list[Json] = field(default_factory=list)

    async def run(self) -> None:
        """Measure everything."""
        await self._prepare()
        await self._floor()
        with self._operator() as running:
            await self._until_quiet(running)
            few = await self._cost_per_change(running)
        await self._grow()
        with self._operator() as running:
            self._say("All of it for the first time")
            self.results.add("Cold start, no status written yet", await running.ready(), "s")
            await self._until_quiet(running)
        with self._operator() as running:
            await self._cold_start(running, "Cold start", limit=30)
            many = await self._cost_per_change(running)
            sizes = self.sizes
            self.results.add(
                f"Cost of a change, {sizes.policies} policies against {sizes.few_policies}",
                many / few if few else 0,
                "times",
                limit=1.5,
                beside=f"{many:.1f} ms against {few:.1f} ms of CPU",
            )
            await self._with_fleet(running)
            await self._admissions(running)
            used = running.usage()
            self.results.add("Operator's memory at its peak", used.peak, "MiB", limit=300)
            self.results.add("Operator's memory at the end", used.rss, "MiB")

    def _operator(self) -> Any:
        return operator(self.kubeconfig, folder=self.folder, proven=self.proven)

    async def _prepare(self) -> None:
        sizes = self.sizes
        self._say("Preparing the cluster")
        self.kubeconfig = prepared(self.cluster)
        for name in (objects.FLEET_NAMESPACE, *objects.namespaces(sizes.policies)):
            metadata = {"name": name, "labels": {"team": name}}
            await self.api.ask("POST", "/api/v1/namespaces", {"metadata": metadata})
        accounts = f"/api/v1/namespaces/{objects.FLEET_NAMESPACE}/serviceaccounts"
        await self.api.ask("POST", accounts, {"metadata": {"name": objects.ACCOUNT}})
        secret = {"metadata": {"name": "provider"}, "stringData": {"key": "sk-bench"}}
        await self.api.ask("POST", "/api/v1/namespaces/pointsman-system/secrets", secret)
        await self.api.ask(
            "POST",
            "/apis/pointsman.dev/v1alpha1/modelproviders",
            objects.provider(secret="provider"),  # noqa: S106 - a name
        )
        await self.api.create(objects.policy(objects.FLEET_POLICY, namespace=objects.FLEET_NAMESPACE, selector=None))
        await self._create("policies", objects.policies(0, sizes.few_policies), sizes.few_policies)
        pods = await self._create("pods of sidecars", objects.fleet_pods(sizes.sidecars), sizes.sidecars)
        self.fleet = [await self._member(pod) for pod in pods] if not self.proven else await self._with_tokens(pods)

    async def _member(self, pod: Json) -> Json:
        metadata = pod["metadata"]
        return {"namespace": metadata["namespace"], "name": metadata["name"], "labels": metadata["labels"]}

    async def _with_tokens(self, pods: Sequence[Json]) -> list[Json]:
        async def member(pod: Json) -> Json:
            token = await self.api.token(objects.FLEET_NAMESPACE, objects.ACCOUNT, pod=pod, audience=_AUDIENCE)
            return {**await self._member(pod), "token": token}

        with self._progress("tokens", len(pods)) as done:
            return await all_of((partial(member, pod) for pod in pods), done=done)

    async def _grow(self) -> None:
        sizes = self.sizes
        left = sizes.policies - sizes.few_policies
        await self._create("more policies", objects.policies(sizes.few_policies, sizes.policies), left)
        others = sizes.pods - sizes.sidecars
        await self._create("more pods", objects.other_pods(others, policies=sizes.policies), others)

    async def _create(self, what: str, values: Iterable[Json], count: int) -> list[Json]:
        with self._progress(what, count) as done:
            return await all_of((partial(self.api.create, value) for value in values), done=done)

    async def _floor(self) -> None:
        """What bare streams cost here and now, without any operator behind them."""
        self._say("Bare streams, as the floor")
        now, day = datetime.now(UTC), timedelta(days=1)
        ca = make_authority(now=now, lifetime=day)
        leaf = make_leaf(ca, names=["localhost"], now=now, lifetime=day)
        certificate, key = self.folder / "bare.crt", self.folder / "bare.key"
        certificate.write_bytes(leaf.certificate)
        key.touch(mode=0o600)
        key.write_bytes(leaf.key)
        options = (f"--certificate={certificate}", f"--key={key}", f"--padding={_SNAPSHOT_BYTES}")
        async with programs(1, "scale.bare", *options) as (bare,), self._fleet_programs() as fleet:
            address = (await bare.said()).strip()
            before = usage(bare.pid)
            took = await self._connect(fleet, address=address, ca=ca.certificate.decode())
            connected = usage(bare.pid)
            self._per_stream("Bare", took, connected.cpu - before.cpu, connected.rss - before.rss)
            times, cpu = [], usage(bare.pid).cpu
            for revision in range(1, self.sizes.changes + 1):
                start = float(await bare.ask("push"))
                times.append(await self._applied(fleet, revision, start))
            self._changes("Bare", times, cpu=usage(bare.pid).cpu - cpu)

    async def _cold_start(self, running: Operator, what: str, *, limit: float | None = None) -> None:
        self._say(f"{what}: {self.sizes.policies} policies, {self.sizes.pods} pods")
        took, used = await running.ready(), running.usage()
        await self._at_rest(running)
        settled = running.usage()
        self.results.add(
            what, took, "s", limit=limit, beside=f"{used.cpu:.1f} s of CPU; with all news taken in {settled.cpu:.1f} s"
        )
        self.results.add(f"{what}: memory", settled.rss, "MiB", beside=f"peak {settled.peak:.0f} MiB")

    async def _until_quiet(self, running: Operator) -> None:
        await running.ready()
        self._say("Waiting until all statuses are written")
        await running.quiet("pointsman_operator_status_writes_total")
        writes = await running.counted("pointsman_operator_status_writes_total", result="written")
        self.console.print(f"  {writes:.0f} statuses after {time.monotonic() - running.started:.1f} s")

    async def _cost_per_change(self, running: Operator) -> float:
        """Milliseconds of CPU for a policy's change, from the watch to its status."""
        policies = int(await running.counted("pointsman_operator_policies", compiles="true"))
        self._say(f"Cost of a change among {policies} policies")
        path = f"{collection('ModelRoutingPolicy', 'team-000')}/app-00"
        idle = await self._at_rest(running)
        cpu, start = running.usage().cpu, time.monotonic()
        for _ in range(self.sizes.costed_changes):
            self.revision += 1
            changed = await self.api.ask("PATCH", path, objects.revised(self.revision))
            generation = changed["metadata"]["generation"]
            await until(partial(self._observed, path, generation))
        used = running.usage().cpu - cpu - idle * (time.monotonic() - start)
        cost = used * _MILLI / self.sizes.costed_changes
        self.results.add(f"CPU of a change among {policies} policies", cost, "ms")
        return cost

    async def _observed(self, path: str, generation: int) -> bool:
        status = (await self.api.ask("GET", path)).get("status", {})
        return bool(status.get("observedGeneration") == generation)

    async def _acknowledged(self, running: Operator, count: float) -> bool:
        return await running.counted("pointsman_operator_answers_total", verdict="ack") >= count

    async def _at_rest(self, running: Operator) -> float:
        """Wait until the operator has nothing left to do; the CPU that it takes then, in seconds a second."""
        share = 1.0
        while share > _AT_REST:
            cpu, start = running.usage().cpu, time.monotonic()
            await asyncio.sleep(_REST_SECONDS)
            share = (running.usage().cpu - cpu) / (time.monotonic() - start)
        return share

    async def _with_fleet(self, running: Operator) -> None:
        self._say(f"{self.sizes.sidecars} sidecars connect, {'with tokens' if self.proven else 'believed'}")
        async with self._fleet_programs() as fleet:
            before = running.usage()
            took = await self._connect(fleet, address=running.address, ca=authority(self.cluster))
            after = running.usage()
            self._per_stream("Operator", took, after.cpu - before.cpu, after.rss - before.rss)
            await running.quiet("pointsman_operator_status_writes_total", seconds=2)
            self._say(f"{self.sizes.changes} changes of the policy that all of them have")
            path = f"{collection('ModelRoutingPolicy', objects.FLEET_NAMESPACE)}/{objects.FLEET_POLICY}"
            times, known, cpu = [], [], running.usage().cpu
            for revision in range(1, self.sizes.changes + 1):
                answers = await running.counted("pointsman_operator_answers_total", verdict="ack")
                start = time.monotonic()
                await self.api.ask("PATCH", path, objects.revised(revision))
                times.append(await self._applied(fleet, revision, start))
                # Not often: /metrics counts ten thousand pods each time.
                await until(partial(self._acknowledged, running, answers + self.sizes.sidecars), every=0.25)
                known.append(time.monotonic() - start)
                await running.quiet("pointsman_operator_status_writes_total", seconds=1.5)
            self._changes("Operator", times, cpu=running.usage().cpu - cpu, limit=1.0)
            self.results.add("Change to all ACKs known to the operator, slowest", max(known), "s")
            floor, ours = (percentile(self.results.series[f"{who}: change to ACK"], 99) for who in ("Bare", "Operator"))
            self.results.add("Change to ACK, p99, against bare streams", ours / floor, "times")
            self.results.add(
                "Operator's memory with everything known and connected", running.usage().rss, "MiB", limit=300
            )

    async def _connect(self, fleet: Sequence[Program], *, address: str, ca: str) -> float:
        shares = [self.fleet[number :: len(fleet)] for number in range(len(fleet))]
        start = time.monotonic()
        orders = [
            each.order("connect", address=address, ca=ca, pods=share) for each, share in zip(fleet, shares, strict=True)
        ]
        answers = await asyncio.gather(*orders)
        for why, times in sum((Counter(answer["broken"]) for answer in answers), Counter[str]()).items():
            self.console.print(f"  {times} times a stream ended and the sidecar came again: {why}")
        return float(max(answer["at"] for answer in answers) - start)

    async def _applied(self, fleet: Sequence[Program], revision: int, start: float) -> list[float]:
        counts = [len(self.fleet[number :: len(fleet)]) for number in range(len(fleet))]
        orders = [
            each.order("applied", revision=revision, count=count) for each, count in zip(fleet, counts, strict=True)
        ]
        return [at - start for answer in await asyncio.gather(*orders) for at in answer["times"]]

    def _per_stream(self, who: str, took: float, cpu: float, rss: float) -> None:
        streams = self.sizes.sidecars
        self.results.add(f"{who}: {streams} sidecars connected", took, "s")
        self.results.add(f"{who}: CPU to connect a sidecar", cpu * _MILLI / streams, "ms")
        self.results.add(f"{who}: memory of a stream", rss * 1024 / streams, "KiB")

    def _changes(self, who: str, times: list[list[float]], *, cpu: float, limit: float | None = None) -> None:
        every = [each for change in times for each in change]
        self.results.series[f"{who}: change to ACK"] = every
        self.results.add(
            f"{who}: change to ACK, p99", percentile(every, 99), "s", limit=limit, beside=spread(every, unit="s")
        )
        self.results.add(f"{who}: CPU of a change for each stream", cpu * _MILLI / len(every), "ms")

    async def _admissions(self, running: Operator) -> None:
        sizes = self.sizes
        self._say(f"{sizes.admissions_per_second} admissions/s for {sizes.admission_seconds} s")
        ca = self.folder / "webhook.crt"
        ca.write_text(authority(self.cluster))
        cpu = running.usage().cpu
        options = (
            f"--url=https://localhost:{running.webhook_port}/mutate-pods/by-pod?timeout=5s",
            *(f"--ca={ca}", f"--rate={sizes.admissions_per_second}", f"--seconds={sizes.admission_seconds}"),
        )
        async with programs(1, "scale.admissions", *options) as (program,):
            took: list[float] = json.loads(await program.said())
        self.results.series["Admissions"] = took
        self.results.add("Admission, p99", percentile(took, 99), "ms", limit=50, beside=spread(took, unit="ms"))
        self.results.add("CPU of an admission", (running.usage().cpu - cpu) * _MILLI / len(took), "ms")

    @asynccontextmanager
    async def _fleet_programs(self) -> AsyncIterator[Sequence[Program]]:
        async with programs(self.sizes.fleets, "scale.fleet") as fleet:
            yield fleet

    def _say(self, what: str) -> None:
        self.console.print(f"[bold]{what}[/bold]")

    def _progress(self, what: str, count: int) -> "_Counting":
        return _Counting(self.console, what, count)


class _Counting:
    """A progress bar as a context manager, whose value is to be called after each step."""

    def __init__(self, console: Console, what: str, count: int) -> None:
        columns = (TextColumn("  {task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
        self._progress = Progress(*columns, console=console)
        self._task = self._progress.add_task(what, total=count)

    def __enter__(self) -> Callable[[], object]:
        self._progress.start()
        return partial(self._progress.advance, self._task)

    def __exit__(self, *_: object) -> None:
        self._progress.stop()
