"""Sidecars spend one budget from a SQLite file, and are killed meanwhile, as the ledger is."""

import asyncio
from pathlib import Path

import pytest

from cluster.harness.apiserver import free_ports
from support.drills.driving import Drill, Killable, drill, pods_named, report
from support.drills.pods import LIMIT, SECONDS, SIDECARS, pods, under_fire

PARTS, PARTS_LIMIT = 48, 60_000
# Less than a call takes, so that each is above its own bound.
TOO_LITTLE = 25


@pytest.mark.timeout(SECONDS + 30)
async def test_nothing_is_overspent_though_sidecars_and_the_ledger_are_killed(tmp_path: Path) -> None:
    async with asyncio.timeout(SECONDS), drill(tmp_path) as running:
        ledger, address = await ledger_in(running, limit=LIMIT)
        options = ("--namespace", "shop", "--operator", address)
        sidecars = pods(running, pods_named("pod", SIDECARS), lambda _: options)
        await under_fire(
            sidecars,
            (
                (0.15, lambda: sidecars.crash(first=0)),
                (0.3, ledger.again),
                (0.45, lambda: sidecars.crash(first=SIDECARS // 3)),
                (0.6, ledger.again),
            ),
        )
        used, kills, seconds = await running.used(), sidecars.kills + ledger.kills, sidecars.seconds

    line = report(store="SQLite", sidecars=SIDECARS, limit=LIMIT, used=used, allowed=0, kills=kills, seconds=seconds)
    print(line)  # noqa: T201
    assert used <= LIMIT
    assert used >= 0.8 * LIMIT


@pytest.mark.timeout(120)
async def test_what_is_overspent_is_what_calls_used_above_their_own_bounds(tmp_path: Path) -> None:
    """Of each sidecar the part that spends, 16 to a process: what a whole one reserves is never too little here."""
    async with asyncio.timeout(50), drill(tmp_path) as running:
        ledger, address = await ledger_in(running, limit=PARTS_LIMIT)
        began = asyncio.get_running_loop().time()
        takes = await running.each_call_takes()
        options = ("--operator", address, "--bound", str(TOO_LITTLE))
        fleets = [await running.fleet(pods_named(f"fleet{at}", PARTS // 3), *options) for at in range(3)]
        for share, victim in ((0.15, fleets[0]), (0.3, ledger), (0.45, fleets[1]), (0.6, ledger)):
            await running.until_used(int(PARTS_LIMIT * share))
            await victim.again()
        await running.until_spent()
        kills = sum(each.kills for each in (*fleets, ledger))
        used, answers = await running.used() - takes, await running.answers() - 1
        seconds = asyncio.get_running_loop().time() - began

    allowed = answers * max(0, takes - TOO_LITTLE)
    line = report(
        store="SQLite, each call above its own bound",
        sidecars=PARTS,
        limit=PARTS_LIMIT,
        used=used,
        allowed=allowed,
        kills=kills,
        seconds=seconds,
    )
    print(line)  # noqa: T201
    assert used <= PARTS_LIMIT + allowed
    assert used >= 0.8 * PARTS_LIMIT


async def ledger_in(running: Drill, *, limit: int) -> tuple[Killable, str]:
    """A ledger that keeps its file beside the drill's; and its address."""
    (port,) = free_ports(1)
    told = ["--port", str(port), "--limit", str(limit), "--folder", str(running.folder)]
    arguments = ["-m", "support.drills.ledger", *told, "--provider", running.provider]
    ledger = Killable(arguments=arguments, log=running.folder / "ledger", ready="ready")
    await ledger.start()
    running.others.append(ledger)
    return ledger, f"127.0.0.1:{port}"
