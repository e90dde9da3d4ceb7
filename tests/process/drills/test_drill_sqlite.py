"""50 sidecars spend one budget from a SQLite file, and are killed meanwhile, as the ledger is."""

import asyncio
import json
from pathlib import Path

import pytest

from cluster.harness.apiserver import free_ports
from support.drills.driving import Killable, drill, pods_named, report, whole_sidecar

LIMIT = 60_000
# More than a call takes; and less, so that each call is above its own bound.
ENOUGH, TOO_LITTLE = 60, 25


@pytest.mark.timeout(120)
@pytest.mark.parametrize("bound", [ENOUGH, TOO_LITTLE])
async def test_nothing_is_overspent_though_sidecars_and_the_ledger_are_killed(bound: int, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    async with asyncio.timeout(50), drill(tmp_path) as running:
        told = ["--port", str(port), "--limit", str(LIMIT), "--folder", str(tmp_path), "--provider", running.provider]
        ledger = Killable(arguments=["-m", "support.drills.ledger", *told], log=tmp_path / "ledger", ready="ready")
        await ledger.start()
        running.others.append(ledger)
        takes = await running.each_call_takes()
        options = ("--operator", f"127.0.0.1:{port}", "--bound", str(bound))
        fleets = [await running.fleet(pods_named(f"fleet{at}", 16), *options) for at in range(3)]
        whole_is_killed = asyncio.Event()
        (tmp_path / "whole-0").mkdir()
        (tmp_path / "whole-1").mkdir()
        wholes = [
            asyncio.create_task(
                whole_sidecar(
                    f"127.0.0.1:{port}", f"whole-{at}", state=tmp_path / f"whole-{at}", killed=whole_is_killed
                )
            )
            for at in range(2)
        ]

        for share, victim in ((0.15, fleets[0]), (0.3, ledger), (0.45, fleets[1]), (0.6, ledger)):
            await running.until_used(int(LIMIT * share))
            await victim.kill()
            await victim.start()
            if victim is fleets[1]:
                whole_is_killed.set()
        await running.until_spent()
        kills = sum(await asyncio.gather(*wholes)) + sum(each.kills for each in (*fleets, ledger))
        used, answers = await running.used() - takes, await running.answers() - 1

    allowed = answers * max(0, takes - bound)
    print(report(store="SQLite", limit=LIMIT, used=used, allowed=allowed, kills=kills))  # noqa: T201
    (tmp_path / "report.json").write_text(
        json.dumps({"used": used, "limit": LIMIT, "allowed": allowed, "kills": kills})
    )
    assert used <= LIMIT + allowed
    assert used >= 0.8 * LIMIT
