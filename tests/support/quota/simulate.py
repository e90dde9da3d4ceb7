"""`make simulate-quota`: many long runs of the quota protocol's model, on all cores, each from a seed of its own."""

import argparse
import multiprocessing
import os
import sys
import time
from collections.abc import Sequence

from support.quota.runs import PROFILES, run

_EVENTS = 20_000


def _one(seed: int) -> tuple[int, str, int, int]:
    try:
        world = run(seed, events=_EVENTS)
    except Exception as error:  # noqa: BLE001 - whatever it is, its seed is worth telling
        return seed, f"{type(error).__name__}: {error}", 0, 0
    return seed, "", world.served, world.refused


def main(arguments: Sequence[str] | None = None) -> int:
    """Run it; 1 if a promise was broken."""
    parser = argparse.ArgumentParser(prog="simulate-quota", description=__doc__)
    parser.add_argument("--events", type=int, default=10_000_000, help="in all; default %(default)s")
    parser.add_argument("--seed", type=int, default=0, help="of the first run; the others follow. Default %(default)s")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes; default: as many as cores")
    options = parser.parse_args(arguments)
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
