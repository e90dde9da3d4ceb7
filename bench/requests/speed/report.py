"""What a run found: as a table, as files, and as the page in the docs."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from speed.charts import bars
from speed.results import BARE
from speed.rounds import PROMPTS
from speed.targets import Target, judged

_BEGIN, _END = "<!-- requests: written by make bench, not by hand -->\n", "<!-- end of requests -->\n"
_Rows = list[list[str]]


class MarksError(Exception):
    """The page has no part to write; the message says what is missing."""


def show(document: Mapping[str, Any], console: Console) -> None:
    """Print the tables."""
    for title, rows in _tables(document):
        table = Table(*rows[0], title=title)
        for row in rows[1:]:
            table.add_row(*row)
        console.print(table)


def write(document: Mapping[str, Any], folder: Path) -> None:
    """Write the numbers and their chart."""
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    (folder / "results.svg").write_text(bars(document), encoding="utf-8")


def write_docs(document: Mapping[str, Any], folder: Path) -> None:
    """Write the requests' part of the page anew, its chart and its numbers beside it; the rest of the page stays.

    Raises:
        MarksError: the page has no such part.
    """
    page = folder / "performance.md"
    page.write_text(with_part(page.read_text(encoding="utf-8"), measured(document)), encoding="utf-8")
    (folder / "performance.svg").write_text(bars(document), encoding="utf-8")
    (folder / "performance.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")


def with_part(page: str, part: str) -> str:
    """The page with another part between the marks.

    Raises:
        MarksError: the marks are not there.
    """
    before, begin, rest = page.partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise MarksError(f"the page has no part between {_BEGIN.strip()} and {_END.strip()}: put both lines back")
    return before + begin + "\n" + part + "\n" + end + after


def measured(document: Mapping[str, Any]) -> str:
    """The numbers in Markdown."""
    facts = document["facts"]
    where = (
        f"`{facts['command']}` on {facts['cpus']} CPUs ({facts['cpu']}), {facts['memory_mib']:,} MiB, Linux "
        f"{facts['kernel']}, Python {facts['python']}; load average before it began: {facts['load_before']:.1f}."
    )
    lines = [
        where,
        "",
        "![CPU, latency, memory and start](performance.svg)",
    ]
    for title, rows in _tables(document):
        lines += ["", f"#### {title}", "", _line(rows[0]), _line(["---", *["---:"] * (len(rows[0]) - 1)])]
        lines += [_line(row) for row in rows[1:]]
    return "\n".join([*lines, ""])


def _line(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _tables(document: Mapping[str, Any]) -> Iterator[tuple[str, _Rows]]:
    yield "What is aimed at", [["", "measured", "at most", "", "aim", ""], *map(_target, judged(document))]
    doors = [
        (f"{name}, {door}" if len(system["doors"]) > 1 else name, numbers)
        for name, system in document["systems"].items()
        for door, numbers in system["doors"].items()
    ]
    beside_bare = {name: _beside_bare(name, numbers, dict(doors)) for name, numbers in doors}
    floor = document["floor"]
    straight = [f"{floor[key]['p50_ms']:.2f} ms" for key in ("in_flight_1", "in_flight_16")]
    yield (
        f"A request (straight to the provider: {straight[0]} at p50 with 1 in flight, {straight[1]} with 16)",
        [
            [
                "",
                "added p50, 1 in flight",
                "added p99",
                "CPU",
                "added p50, 16 in flight",
                "added p99",
                "CPU",
                "requests/s",
            ],
            *(
                [
                    name,
                    *(
                        f"{each[field]:.2f} ms"
                        for each in (numbers["in_flight_1"], numbers["in_flight_16"])
                        for field in ("added_p50_ms", "added_p99_ms", "cpu_ms")
                    ),
                    f"{numbers['in_flight_16']['requests_per_s']:,.0f}",
                ]
                for name, numbers in doors
            ),
        ],
    )
    yield (
        "A stream",
        [
            ["", "CPU per chunk, 16 streams", "one alone", "to the bare relay's", "first token added p50"],
            *(
                [
                    name,
                    *(
                        [
                            f"{numbers['cpu_per_chunk_us']:.0f} µs",
                            f"{numbers['cpu_per_chunk_alone_us']:.0f} µs",
                            beside_bare[name],
                            f"{numbers['first_token']['first_token_added_p50_ms']:.2f} ms",
                        ]
                        if "failed" not in numbers
                        else ["it failed", "", "", f"`{next(iter(numbers['failed'].values())).splitlines()[0]}`"]
                    ),
                ]
                for name, numbers in doors
            ),
        ],
    )
    yield (
        "A process",
        [
            ["", "first answer after", "RSS at rest", "RSS under load"],
            *(
                [
                    name,
                    f"{system['ready_s']:.2f} s",
                    f"{system['rss_rest_mib']:.0f} MiB",
                    f"{system['rss_loaded_mib']:.0f} MiB",
                ]
                for name, system in document["systems"].items()
            ),
        ],
    )
    yield (
        "A longer prompt: CPU, and what is added at p50",
        [
            ["", *(f"{size} KB" for size in PROMPTS)],
            *([name, *(_prompt(numbers[f"prompt_{size}_kb"]) for size in PROMPTS)] for name, numbers in doors),
        ],
    )


def _beside_bare(name: str, numbers: Mapping[str, Any], doors: Mapping[str, Any]) -> str:
    """A lone stream's chunk in times of what it costs the bare relay through such a door."""
    alone = "cpu_per_chunk_alone_us"
    bare = doors[f"{BARE}, {'gRPC' if name.endswith(', gRPC') else 'HTTP'}"]
    return f"{numbers[alone] / bare[alone]:.2f}" if alone in numbers and bare[alone] > 0 else ""


def _prompt(numbers: Mapping[str, float]) -> str:
    return f"{numbers['cpu_ms']:.2f} ms, {numbers['added_p50_ms']:.2f} ms"


def _target(target: Target) -> list[str]:
    return [
        target.what,
        f"{target.value:.3g} {target.unit}",
        f"{target.limit:.3g} {target.unit}",
        "met" if target.met else "NOT MET",
        "" if target.aim is None else f"{target.aim:.3g} {target.unit}",
        {True: "reached", False: "not reached", None: ""}[target.reached],
    ]
