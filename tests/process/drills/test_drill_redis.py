"""50 sidecars spend one budget from a real Redis, which is killed meanwhile, as sidecars and the ledger are."""

import asyncio
from pathlib import Path

import pytest

from cluster.harness.apiserver import free_ports
from support.drills.driving import Killable, drill, pods_named, report
from support.redis.binaries import find_or_skip
from support.redis.servers import RedisServer, running

LIMIT = 60_000
BOUND = 60


@pytest.mark.timeout(120)
async def test_nothing_is_overspent_though_sidecars_the_ledger_and_redis_are_killed(
    tmp_path: Path,
) -> None:
    (port,) = free_ports(1)
    with running(find_or_skip(), tmp_path / "redis") as server:
        async with asyncio.timeout(100), drill(tmp_path) as running_drill:
            told = ["--port", str(port), "--limit", str(LIMIT), "--redis", str(server.port)]
            arguments = ["-m", "support.drills.ledger", *told, "--provider", running_drill.provider]
            ledger = Killable(arguments=arguments, log=tmp_path / "ledger", ready="ready")
            await ledger.start()
            running_drill.others.append(ledger)
            takes = await running_drill.each_call_takes()
            options = ("--operator", f"127.0.0.1:{port}", "--bound", str(BOUND))
            fleets = [await running_drill.fleet(pods_named(f"fleet{at}", 17), *options) for at in range(3)]
            victims: tuple[tuple[float, Killable | RedisServer], ...] = (
                (0.2, fleets[0]),
                (0.4, server),
                (0.6, ledger),
            )
            for share, victim in victims:
                await running_drill.until_used(int(LIMIT * share))
                await kill_and_start(victim)
            await running_drill.until_spent()
            used = await running_drill.used() - takes

    print(report(store="Redis", limit=LIMIT, used=used, allowed=0, kills=3))  # noqa: T201
    assert used <= LIMIT
    assert used >= 0.8 * LIMIT


async def kill_and_start(victim: Killable | RedisServer) -> None:
    """End it as by kill -9, and begin it anew on what it had written."""
    if isinstance(victim, Killable):
        await victim.kill()
        await victim.start()
    else:
        await asyncio.to_thread(victim.kill)
        await asyncio.to_thread(victim.start)
