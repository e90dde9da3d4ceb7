"""`make bench` and `make bench-peers`: measure what a request costs, and say what came of it."""

import argparse
import asyncio
import os
import sys
import tempfile
from pathlib import Path

from rich.console import Console

from measuring.machines import machine
from speed.peers import PeersError, installed
from speed.report import MarksError, show, with_part, write, write_docs
from speed.results import Results
from speed.rounds import FULL, QUICK, Bench, FailedError
from speed.systems import NotStartedError, bare_relay, gateways, sidecars, surroundings
from speed.targets import judged

_ROOT = Path(__file__).resolve().parents[3]


def main() -> int:
    """Run the bench; 1 where something that was aimed at was not reached, 2 where it could not be run."""
    parser = argparse.ArgumentParser(prog="make bench", description=__doc__)
    parser.add_argument("--peers", action="store_true", help="measure LiteLLM, Portkey and TensorZero too")
    parser.add_argument("--quick", action="store_true", help="small sizes: that it works, and no more")
    parser.add_argument("--docs", action="store_true", help="write the requests' part of docs/performance.md anew")
    parser.add_argument(
        "--output", type=Path, default=Path("bench/results/requests"), help="the folder for what comes of it"
    )
    given = parser.parse_args()
    console = Console(highlight=False)
    command = "make bench-peers" if given.peers else "make bench"
    results = Results(facts={**machine(), "command": command, "quick": given.quick})
    given.output.mkdir(parents=True, exist_ok=True)
    try:
        if given.docs:
            # That it can be written, before minutes are spent on it.
            with_part((_ROOT / "docs" / "performance.md").read_text(encoding="utf-8"), "")
        where = installed(os.environ, report=console.print) if given.peers else {}
        asyncio.run(_run(results, quick=given.quick, where=where, folder=given.output, console=console))
    except (MarksError, PeersError, NotStartedError, FailedError) as error:
        console.print(f"bench: {error}", markup=False)
        return 2
    document = results.document()
    show(document, console)
    write(document, given.output)
    console.print(f"Written to {given.output}")
    if given.docs:
        write_docs(document, _ROOT / "docs")
    # Small sizes prove nothing about the numbers.
    return 0 if given.quick or all(target.met is not False for target in judged(document)) else 1


async def _run(results: Results, *, quick: bool, where: dict[str, Path], folder: Path, console: Console) -> None:
    logs = Path(tempfile.mkdtemp(prefix="logs-", dir=folder))
    async with surroundings(logs) as around:
        systems = [*sidecars(around), bare_relay(around), *(gateways(around, where) if where else ())]
        bench = Bench(sizes=QUICK if quick else FULL, around=around, systems=systems, results=results, console=console)
        await bench.run()


if __name__ == "__main__":
    sys.exit(main())
