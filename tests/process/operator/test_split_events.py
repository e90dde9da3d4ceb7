"""A rollback is in the policy's status and in an Event, once, whoever writes them and however often."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from pointsman_operator.push import Hub, HubMetrics
from pointsman_operator.resources import Key
from pointsman_operator.status import EventError, SplitAnnouncer, SplitView, StatusMetrics, StatusWriter
from pointsman_operator.status import writer as writer_module
from pointsman_operator.tuning.arms import ArmCounts
from pointsman_operator.tuning.splits import Phase, SplitRule, SplitState
from pointsman_operator.world import Change
from process.operator.test_status_writer import Client
from pure.operator.objects import OPERATOR_NAMESPACE, policy, provider, world
from support.waiting import until

NOW = datetime(2026, 3, 1, 10, tzinfo=UTC)
KEY = Key("shop", "support")
RULE = SplitRule(route="new", split="s-1", stable="mini", canary="next", weights=(95, 5))


@dataclass
class Events:
    """Takes Events, as long as it does."""

    made: list[Mapping[str, Any]] = field(default_factory=list)
    broken: bool = False

    async def create_event(self, value: Mapping[str, Any]) -> None:
        """Make an Event."""
        if self.broken:
            raise EventError("the API server is away")
        self.made.append(value)


@dataclass
class Splits:
    """Where the one split stands."""

    phase: Phase = Phase.PROGRESSING

    def __call__(self, _: Key) -> tuple[SplitView, ...]:
        """As the writer asks for it."""
        nothing = ArmCounts()
        state = SplitState(
            split="s-1",
            phase=self.phase,
            step=0,
            since=NOW.timestamp(),
            began=NOW.timestamp(),
            stable_from=nothing,
            canary_from=nothing,
            reason="ErrorRate",
            message="next was rolled back",
        )
        return (SplitView(rule=RULE, state=state),)


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("SETTLE_SECONDS", "FIRST_RETRY_SECONDS", "LAST_RETRY_SECONDS"):
        monkeypatch.setattr(writer_module, name, 0.01)


@asynccontextmanager
async def writing(client: Client, events: Events, splits: Splits) -> AsyncIterator[StatusWriter]:
    """A writer at work."""
    hub = Hub(secrets_namespace=OPERATOR_NAMESPACE, metrics=HubMetrics(CollectorRegistry()))
    writer = StatusWriter(
        hub,
        client=client,
        sidecars_in=lambda _: (),
        observe=lambda kind, value: hub.update(hub.world.observe(kind, Change.WRITTEN, value)),
        secrets_namespace=OPERATOR_NAMESPACE,
        now=lambda: NOW,
        metrics=StatusMetrics(CollectorRegistry()),
        splits=splits,
        announce=SplitAnnouncer(events, instance="r-1", now=lambda: NOW).announce,
    )
    task = asyncio.create_task(writer.run())
    try:
        hub.update(world(policies=[client.objects[KEY]], providers=[provider()]))
        writer.begin()
        yield writer
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def phase_of(client: Client) -> str:
    """What the written status says."""
    splits = client.objects[KEY].get("status", {}).get("splits") or [{}]
    return str(splits[0].get("phase", ""))


async def test_a_rollback_is_announced_once() -> None:
    client, events, splits = Client({KEY: policy(), Key("", "openai"): provider()}), Events(), Splits()
    async with writing(client, events, splits) as writer:
        await until(lambda: phase_of(client) == "Progressing")
        splits.phase = Phase.ROLLED_BACK
        writer.sidecars_changed(["shop"])
        await until(lambda: phase_of(client) == "RolledBack")
        await until(lambda: bool(events.made))
        writer.sidecars_changed(["shop"])
        await until(lambda: not writer._namespaces)

    (made,) = events.made
    assert (made["reason"], made["type"], made["regarding"]["name"]) == ("SplitRolledBack", "Warning", "support")
    assert made["note"] == "route new: next was rolled back"
    assert client.objects[KEY]["status"]["splitsSummary"] == "new RolledBack"


async def test_an_event_that_cannot_be_made_holds_up_no_status() -> None:
    client, events, splits = (
        Client({KEY: policy(), Key("", "openai"): provider()}),
        Events(broken=True),
        Splits(phase=Phase.ROLLED_BACK),
    )
    async with writing(client, events, splits):
        await until(lambda: phase_of(client) == "RolledBack")

    assert events.made == []
