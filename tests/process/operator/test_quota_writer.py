"""The statuses of quotas over real HTTP: written where they differ, at their pace, and their steps announced once."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pointsman_operator.ledger.windows import Window
from pointsman_operator.push import Hub, HubMetrics
from pointsman_operator.resources import Key, Kind, TokenQuota
from pointsman_operator.status import LedgerState, QuotaGauges, QuotaWriter, Standing, StatusMetrics
from pointsman_operator.status import quota_writer as writer_module
from pointsman_operator.watch import Cluster, Connector
from pointsman_operator.world import Change
from process.operator.fake_api import EVENTS, GROUP, QUOTAS, FakeApi
from pure.operator.objects import OPERATOR_NAMESPACE, Json, provider, quota, world
from support.waiting import until

NOON = datetime(2026, 3, 1, 12, tzinfo=UTC)
MONTH = Key("shop", "month")
STATUS = f"{GROUP}/namespaces/shop/tokenquotas/month/status"
STEPS = [{"atPercent": 80, "maxOutputTokens": 256}]


@dataclass
class Ledger:
    """Says what it is told to, and of which window it was asked."""

    known: dict[Key, list[Standing]] = field(default_factory=dict)
    asked: list[Window] = field(default_factory=list)
    now: LedgerState = field(default_factory=LedgerState)

    def state(self) -> LedgerState:
        """Whether it can grant."""
        return self.now

    def standings(self, quota: TokenQuota, window: Window) -> Sequence[Standing]:
        """How the quota's budgets stand."""
        self.asked.append(window)
        return self.known.get(quota.metadata.key, [])


@dataclass
class Clock:
    """Stands still, unless it is moved."""

    passed: float = 0.0

    def steady(self) -> float:
        """Seconds, of no calendar."""
        return self.passed

    def now(self) -> datetime:
        """The calendar's time."""
        return NOON + timedelta(seconds=self.passed)


@dataclass
class Stage:
    """A writer at work on one API server."""

    api: FakeApi
    hub: Hub
    writer: QuotaWriter
    ledger: Ledger = field(default_factory=Ledger)
    clock: Clock = field(default_factory=Clock)

    def spend(self, used: int, held: int = 0) -> None:
        """The ledger learns of it, and says so."""
        self.ledger.known[MONTH] = [Standing(subject="", used=used, held=held)]
        self.writer.look_at([MONTH])

    def pass_time(self, seconds: float) -> None:
        """Time passes at once."""
        self.clock.passed += seconds
        self.writer.look_at([MONTH])

    async def looked(self) -> None:
        """Wait until the writer has looked once more."""
        before = len(self.ledger.asked)
        self.writer.look_at([MONTH])
        await until(lambda: len(self.ledger.asked) > before)

    def status(self, name: str = "month") -> Json:
        """What stands there."""
        found: Json = self.api.objects[QUOTAS][name].get("status", {})
        return found

    def said(self) -> list[str]:
        """The reasons of the Events."""
        return [each["reason"] for each in self.api.events.values()]


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writer_module, "SETTLE_SECONDS", 0.0)
    monkeypatch.setattr(writer_module, "_RETRY_SECONDS", 0.0)


@asynccontextmanager
async def staged(folder: Path, *quotas: Json) -> AsyncIterator[Stage]:
    """A writer whose turn it is not yet; the quotas are stored, and the hub knows them."""
    registry = CollectorRegistry()
    async with FakeApi.running() as api:
        for each in quotas:
            api.write(QUOTAS, each)
        connector = Connector(kubeconfig=api.kubeconfig(folder))
        async with Cluster(connector, secrets_namespace=OPERATOR_NAMESPACE) as cluster:
            hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(registry))
            hub.update(world(quotas=list(api.objects[QUOTAS].values()), providers=[provider()], version=200))
            ledger, clock = Ledger(), Clock()
            writer = QuotaWriter(
                hub,
                client=cluster,
                events=cluster,
                ledger=ledger,
                observe=lambda kind, value: hub.update(hub.world.observe(kind, Change.WRITTEN, value)),
                now=clock.now,
                clock=clock.steady,
                instance="pointsman-0",
                metrics=StatusMetrics(registry),
            )
            task = asyncio.create_task(writer.run())
            try:
                yield Stage(api=api, hub=hub, writer=writer, ledger=ledger, clock=clock)
            finally:
                task.cancel()
                await asyncio.gather(task, return_exceptions=True)


def condition(status: Json, type_: str) -> Any:
    return next((each["status"] for each in status.get("conditions", ()) if each["type"] == type_), None)


async def test_it_writes_once_it_is_its_turn_and_then_only_what_differs(tmp_path: Path) -> None:
    async with staged(tmp_path, quota()) as stage:
        stage.hub.update(stage.hub.world.observe(Kind.QUOTA, Change.WRITTEN, quota("other", version=300)))
        assert not stage.api.patches
        stage.api.write(QUOTAS, quota("other"))
        stage.hub.update(stage.hub.world.observe(Kind.QUOTA, Change.WRITTEN, stage.api.objects[QUOTAS]["other"]))
        stage.writer.begin()
        await until(lambda: condition(stage.status(), "Ready") == "True")
        await stage.looked()
        await stage.looked()

        assert len([each for each in stage.api.patches if each["path"] == STATUS]) == 1
        assert not stage.api.events


async def test_amounts_wait_for_half_a_minute_and_a_step_does_not(tmp_path: Path) -> None:
    async with staged(tmp_path, quota(steps=STEPS)) as stage:
        stage.writer.begin()
        await until(lambda: stage.status().get("used") == "0")
        stage.spend(100)
        await stage.looked()
        assert stage.status()["used"] == "0"

        stage.pass_time(31)
        await until(lambda: stage.status()["used"] == "100")
        stage.pass_time(3)
        stage.spend(850, 50)
        await until(lambda: stage.status()["used"] == "850")

        assert (stage.status()["step"], stage.status()["held"]) == (80, "50")
        await until(lambda: stage.said() == ["Reached80Percent"])


async def test_prometheus_is_told_of_quotas_that_are_used_by_the_one_who_writes(tmp_path: Path) -> None:
    async with staged(tmp_path, quota(), quota("idle")) as stage:
        registry = CollectorRegistry()
        QuotaGauges(quotas=lambda: stage.hub.world.quotas, writing=lambda: stage.writer.writing, registry=registry)
        labels = {"namespace": "shop", "quota": "month", "unit": "tokens"}

        def counted(name: str, **other: str) -> float | None:
            return registry.get_sample_value(f"pointsman_operator_quota_{name}", {**labels, **other})

        stage.spend(850, 50)
        stage.writer.begin()
        await until(lambda: counted("used") == 850)

        assert (counted("held"), counted("limit")) == (50, 1000)
        assert counted("used", quota="idle") is None
        stage.writer.pause()
        assert counted("used") is None


async def test_the_end_of_a_window_gives_back_what_was_used(tmp_path: Path) -> None:
    async with staged(tmp_path, quota(steps=STEPS)) as stage:
        stage.spend(1000)
        stage.writer.begin()
        await until(lambda: stage.said() == ["Reached80Percent", "Exhausted"])
        assert condition(stage.status(), "Exhausted") == "True"

        stage.ledger.known.clear()
        stage.pass_time(12 * 3600)
        await until(lambda: condition(stage.status(), "Exhausted") == "False")

        assert stage.ledger.asked[-1].start == NOON.timestamp() + 12 * 3600
        assert (stage.status()["used"], stage.status()["display"]["used"]) == ("0", "0%")
        assert stage.status().keys().isdisjoint({"step", "resetsAt"})
        assert stage.said() == ["Reached80Percent", "Exhausted"]


async def test_what_is_read_wrongly_says_so_and_takes_its_amounts_back(tmp_path: Path) -> None:
    async with staged(tmp_path, quota()) as stage:
        stage.spend(1000)
        stage.writer.begin()
        await until(lambda: condition(stage.status(), "Exhausted") == "True")
        stage.clock.passed += 3
        stage.api.write(QUOTAS, {**stage.api.objects[QUOTAS]["month"], "spec": {"window": "Week"}})
        stage.hub.update(stage.hub.world.observe(Kind.QUOTA, Change.WRITTEN, stage.api.objects[QUOTAS]["month"]))
        await until(lambda: condition(stage.status(), "Ready") == "False")

        assert stage.status().keys() == {"observedGeneration", "conditions"}


async def test_a_write_that_fails_is_made_again(tmp_path: Path) -> None:
    async with staged(tmp_path, quota()) as stage:
        stage.api.failing[STATUS] = 503
        stage.writer.begin()
        await until(lambda: stage.api.refused[STATUS] > 1)
        stage.api.failing.clear()
        await until(lambda: condition(stage.status(), "Ready") == "True")


async def test_an_event_that_fails_keeps_no_status_from_being_written(tmp_path: Path) -> None:
    events = f"{EVENTS}/namespaces/shop/events"
    async with staged(tmp_path, quota(limit={"tokens": 0})) as stage:
        stage.api.failing[events] = 403
        stage.writer.begin()
        await until(lambda: stage.api.refused[events] == 1)

        assert condition(stage.status(), "Exhausted") == "True"


async def test_who_takes_over_announces_nothing_again(tmp_path: Path) -> None:
    async with staged(tmp_path, quota(steps=STEPS)) as stage:
        stage.spend(850)
        stage.writer.begin()
        await until(lambda: stage.said() == ["Reached80Percent"])
        stage.writer.pause()
        stage.writer.begin()
        await stage.looked()

        assert len([each for each in stage.api.writes if each.startswith("POST")]) == 1


async def test_a_writer_whose_turn_it_is_again_writes_how_things_stand_now(tmp_path: Path) -> None:
    async with staged(tmp_path, quota(), quota("other")) as stage:
        stage.writer.begin()
        await until(lambda: condition(stage.status("other"), "Ready") == "True")
        await until(lambda: condition(stage.status(), "Ready") == "True")
        stage.writer.pause()
        asked, patches = len(stage.ledger.asked), len(stage.api.patches)
        stage.clock.passed += 60
        stage.spend(1000)
        stage.writer.begin()
        await until(lambda: len(stage.api.patches) > patches)

        assert len(stage.ledger.asked) > asked
        assert stage.status()["used"] == "1000"
