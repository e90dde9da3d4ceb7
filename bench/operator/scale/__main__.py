"""`make bench-operator`: measure the operator's scale on an API server of its own, and say what came of it."""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from cluster.harness.binaries import BinariesError, locate, report_on_stderr
from cluster.harness.choice import Own
from cluster.harness.processes import ProcessError
from measuring.api import ApiError, connected
from measuring.machines import machine
from measuring.operators import ProgramError, allow_files
from scale.phases import Bench
from scale.report import show, write
from scale.results import Results
from scale.sizes import FULL, QUICK

_ROOT = Path(__file__).resolve().parents[3]
_RESULTS = Path("bench/results/operator")


def main() -> int:
    """Run the bench; 1 where something that was aimed at was not reached, 2 where it could not be run."""
    parser = argparse.ArgumentParser(prog="make bench-operator", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small sizes: that it works, and no more")
    parser.add_argument(
        "--claimed", action="store_true", help="believe sidecars, in plain text, instead of their tokens"
    )
    parser.add_argument(
        "--output", type=Path, help=f"the folder for numbers and charts (default: {_RESULTS}; none with --quick)"
    )
    given = parser.parse_args()
    console = Console(highlight=False)
    allow_files()
    sizes = QUICK if given.quick else FULL
    facts = {
        **machine(),
        "command": "make bench-operator",
        "quick": given.quick,
        "claimed": given.claimed,
        **vars(sizes),
    }
    results = Results(facts=facts)
    try:
        own = Own(binaries=locate(os.environ))
        own.prepare(os.environ, report=report_on_stderr)
        with tempfile.TemporaryDirectory(prefix="pointsman-bench-") as made:
            folder = Path(made)
            with own.running(folder=folder) as cluster:
                cluster.install_crds(_ROOT / "crds")

                async def run() -> None:
                    async with connected(cluster.kubeconfig) as api:
                        bench = Bench(
                            cluster=cluster,
                            api=api,
                            sizes=sizes,
                            folder=folder,
                            results=results,
                            console=console,
                            proven=not given.claimed,
                        )
                        await bench.run()

                asyncio.run(run())
    except (ApiError, BinariesError, ProcessError, ProgramError, TimeoutError) as error:
        console.print(f"bench-operator: {error}")
        return 2
    except KeyboardInterrupt:
        console.print("bench-operator: stopped; nothing is left of it")
        return 130
    show(results, console)
    # Small sizes prove nothing about the numbers, and must not take the place of those that do.
    if output := given.output or (None if given.quick else _RESULTS):
        write(results, output)
        console.print(f"Written to {output}")
    return 0 if given.quick or all(row.met is not False for row in results.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
