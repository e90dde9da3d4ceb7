"""Whole sidecars spend one budget from a real Redis, which is killed meanwhile, as sidecars and the ledger are."""

import asyncio
from pathlib import Path

import pytest

from cluster.harness.apiserver import free_ports
from support.drills.driving import Killable, drill, pods_named, report
from support.drills.pods import LIMIT, SECONDS, SIDECARS, pods, under_fire
from support.redis.binaries import find_or_skip
from support.redis.servers import running


@pytest.mark.timeout(SECONDS + 30)
async def test_nothing_is_overspent_though_sidecars_the_ledger_and_redis_are_killed(tmp_path: Path) -> None:
    (port,) = free_ports(1)
    with running(find_or_skip(), tmp_path / "redis") as server:
        async with asyncio.timeout(SECONDS), drill(tmp_path) as running_drill:
            told = ["--port", str(port), "--limit", str(LIMIT), "--redis", str(server.port)]
            arguments = ["-m", "support.drills.ledger", *told, "--provider", running_drill.provider]
            ledger = Killable(arguments=arguments, log=tmp_path / "ledger", ready="ready")
            await ledger.start()
            running_drill.others.append(ledger)
            options = ("--namespace", "shop", "--operator", f"127.0.0.1:{port}")
            sidecars = pods(running_drill, pods_named("pod", SIDECARS), lambda _: options)

            async def redis_is_killed() -> None:
                await asyncio.to_thread(server.kill)
                await asyncio.to_thread(server.start)

            await under_fire(
                sidecars,
                (
                    (0.15, lambda: sidecars.crash(first=0)),
                    (0.3, redis_is_killed),
                    (0.5, ledger.again),
                    (0.65, lambda: sidecars.crash(first=SIDECARS // 3)),
                ),
            )
            used, kills, seconds = await running_drill.used(), sidecars.kills + ledger.kills + 1, sidecars.seconds

    line = report(store="Redis", sidecars=SIDECARS, limit=LIMIT, used=used, allowed=0, kills=kills, seconds=seconds)
    print(line)  # noqa: T201
    assert used <= LIMIT
    assert used >= 0.8 * LIMIT
