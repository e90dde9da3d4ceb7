"""`make fuzz`: hostile requests through both doors of a real sidecar, and what came of them."""

import argparse
import asyncio
import json
import secrets
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from hostile.attack import Run, attack

_MOST_SHOWN = 20
_MOST_STALL = 50.0


def main() -> int:
    """Run; 1 where something was found."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=100_000, help="how many (default: 100000)")
    parser.add_argument("--seed", type=int, help="which cases they are (default: drawn, and printed)")
    parser.add_argument("--case", type=int, help="send this one alone, as a finding names it")
    parser.add_argument(
        "--output", type=Path, default=Path("bench/results/hostile"), help="the folder for results.json"
    )
    given = parser.parse_args()
    seed = secrets.randbits(32) if given.seed is None else given.seed
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    console.print(f"Seed {seed}")
    first, cases = (0, given.cases) if given.case is None else (given.case, 1)
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as shown:
        task = shown.add_task("cases", total=cases)

        def progress(done: int, found: int) -> None:
            shown.update(task, completed=done, description=f"cases, {found} findings")

        run = asyncio.run(attack(seed=seed, first=first, cases=cases, progress=progress))
    show(run, console)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "results.json").write_text(json.dumps(run.document(), indent=1) + "\n", encoding="utf-8")
    console.print(f"Written to {given.output}")
    return 1 if run.findings or (given.case is None and run.stall > _MOST_STALL) else 0


def show(run: Run, console: Console) -> None:
    """Print what came of it."""
    answers = Table(title=f"{run.cases:,} hostile requests")
    answers.add_column("what came back")
    answers.add_column("cases", justify="right")
    for name, count in sorted(run.outcomes.items()):
        answers.add_row(name, f"{count:,}")
    console.print(answers)
    times = Table(title="Normal completions beside them (ms)")
    columns = ("completions", "p50", "p99", "p99.9", "max", "above 50 ms")
    times.add_column("the requests, the sidecar, the door", no_wrap=True)
    for name in columns:
        times.add_column(name, justify="right")
    for name, each in run.latencies.items():
        times.add_row(name, *(f"{each[column]:,.1f}".removesuffix(".0") for column in columns))
    console.print(times)
    console.print(f"Longer beside hostile requests than by the machine's noise: {run.stall:.1f} ms (p99.9; limit 50)")
    if run.before and run.after:
        console.print(
            f"Memory {run.before.rss:.0f} MiB after the ordinary requests, {run.peak:.0f} at its peak, "
            f"{run.after.rss:.0f} at the end; {run.after.sockets} sockets, {run.after.threads} threads, "
            f"{run.after.in_flight:g} completions in flight at the end"
        )
    for found in run.findings[:_MOST_SHOWN]:
        where = (
            ""
            if "case" not in found
            else f" ({found['what']}; make fuzz ARGS='--seed {run.seed} --case {found['case']}')"
        )
        console.print(f"FOUND: {found['finding']}{where}", markup=False)
    if len(run.findings) > _MOST_SHOWN:
        console.print(f"and {len(run.findings) - _MOST_SHOWN} more: see the results")


if __name__ == "__main__":
    sys.exit(main())
