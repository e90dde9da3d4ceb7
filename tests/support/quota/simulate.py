"""`make simulate-quota`: many long runs of the quota protocol's model, on all cores, each from a seed of its own."""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence

from support.quota.runs import PROFILES, run
from support.quota.stranding import Stranded, stranded

_EVENTS = 20_000
# With a budget so many times the largest reservation of all sidecars, which lasts so long, nearly all of it is spent.
_PROMISED, _LONG, _NEARLY_ALL = 1000, 600.0, 0.99


def _one(seed: int) -> tuple[int, str, int, int]:
    try:
        world = run(seed, events=_EVENTS)
    except Exception as error:  # noqa: BLE001 - whatever it is, its seed is worth telling
        return seed, f"{type(error).__name__}: {error}", 0, 0
    return seed, "", world.served, world.refused


def _stranded(size: tuple[int, float]) -> Stranded:
    times, seconds = size
    return stranded(times=times, seconds=seconds)


def show_stranded(jobs: int) -> int:
    """What is left of budgets at the first refusal; 1 if it is over 1 % where that is promised."""
    sizes = [(times, seconds) for times in (1, 10, 100, 1000) for seconds in (60.0, 600.0)]
    print("100 sidecars under Zipf's load; the budget is so many times the largest reservation of all of them")  # noqa: T201
    print("| budget | spent in about | calls | spent at the first refusal | under way | stranded |")  # noqa: T201
    print("| ---: | ---: | ---: | ---: | ---: | ---: |")  # noqa: T201
    failed = False
    with multiprocessing.Pool(jobs) as pool:
        for (_, seconds), found in zip(sizes, pool.imap(_stranded, sizes), strict=True):
            under_way = found.reserved / found.limit
            print(  # noqa: T201
                f"| {found.times:,}x | {seconds:g} s | {found.calls:,} | {found.share:.2%} | {under_way:.2%} "
                f"| {1 - found.share - under_way:.2%} |",
                flush=True,
            )
            promised = found.times >= _PROMISED and seconds >= _LONG
            failed = failed or (promised and found.share < _NEARLY_ALL)
    return 1 if failed else 0


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="simulate-quota", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="in all; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the first run; the others follow. Default %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; default: as many as cores")
    parser.add_argument("--stranded", action="store_true", help="say what is left of budgets when they first refuse")
    options = parser.parse_args(arguments)
    if options.stranded:
        return show_stranded(options.jobs)
    runs = max(1, -(-options.events // _EVENTS))
    began = time.monotonic()
    served = refused = done = 0
    broken: list[tuple[int, str]] = []
    print(f"{runs} runs of {_EVENTS:,} events from seed {options.seed}, in worlds {', '.join(PROFILES)}")  # noqa: T201
    with multiprocessing.Pool(options.jobs) as pool:
        for seed, violation, of_served, of_refused in pool.imap_unordered(
            _one, range(options.seed, options.seed + runs)
        ):
            done, served, refused = done + 1, served + of_served, refused + of_refused
            if violation:
                broken.append((seed, violation))
                print(f"\nseed {seed}: {violation}", flush=True)  # noqa: T201
            rate = done * _EVENTS / (time.monotonic() - began)
            end = "\n" if done == runs else "\r"
            if done == runs or sys.stdout.isatty() or done % 50 == 0:
                print(f"{done * _EVENTS:>12,} events, {rate:>9,.0f}/s, {len(broken)} broken", end=end, flush=True)  # noqa: T201
    print(f"{served:,} requests were served, {refused:,} were short of budget")  # noqa: T201
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
