"""`make soak`: a sidecar at half of what it can do while its providers fail, and what came of it."""

import argparse
import asyncio
import json
import sys
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from soak.run import Soak, quantiles, soak

_MOST_GROWTH = 5.0


def main() -> int:
    """Run; 1 where a completion failed, something was left, or memory grew."""
    parser = argparse.ArgumentParser(prog="make soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=10.0, help="how long (default: 10)")
    parser.add_argument("--measuring", type=float, default=10.0, help="seconds to measure the capacity (default: 10)")
    parser.add_argument("--output", type=Path, default=Path("bench/results/soak"), help="the folder for results.json")
    given = parser.parse_args()
    console = Console(highlight=False, width=None if sys.stdout.isatty() else 120)
    columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn())
    with Progress(*columns, console=console) as shown:
        task = shown.add_task("measuring the capacity", total=given.minutes * 60)

        def progress(done: float, what: str) -> None:
            shown.update(task, completed=done, description=what)

        found = asyncio.run(soak(seconds=given.minutes * 60, measuring=given.measuring, progress=progress))
    show(found, console)
    given.output.mkdir(parents=True, exist_ok=True)
    (given.output / "results.json").write_text(json.dumps(found.document(), indent=1) + "\n", encoding="utf-8")
    console.print(f"Written to {given.output}")
    return 1 if found.errors or found.left or found.growth > _MOST_GROWTH else 0


def show(found: Soak, console: Console) -> None:
    """Print what came of it."""
    table = Table(
        title=f"{found.seconds / 60:g} minutes at {found.rate:.0f} completions/s, half of {found.capacity:.0f}"
    )
    table.add_column("kind", no_wrap=True)
    for name in ("completions", "errors", "p50 (ms)", "p99 (ms)", "max (ms)"):
        table.add_column(name, justify="right")
    for kind, each in found.asked.items():
        times = [f"{value:,.1f}" for value in quantiles(each.took).values()]
        table.add_row(kind, f"{len(each.took):,}", str(sum(each.errors.values())), *times)
    console.print(table)
    calls = sum(found.attempts.values())
    by_outcome = ", ".join(f"{count:,.0f} {outcome}" for outcome, count in sorted(found.attempts.items()))
    console.print(f"Calls to the provider: {by_outcome} ({100 * found.faults / max(1.0, calls):.1f} % failed)")
    for kind, each in found.asked.items():
        for error, count in each.errors.items():
            console.print(f"ERROR, {kind}: {count} times {error}", markup=False)
    console.print(f"Memory: {found.memory[0]:.0f} MiB at first, {found.memory[-1]:.0f} at last, {found.growth:+.1f} %")
    console.print(f"Left at the end: {'; '.join(found.left) or 'nothing'}", markup=False)


if __name__ == "__main__":
    sys.exit(main())
