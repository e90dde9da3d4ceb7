"""What was measured, as people read it: pure but for the files that it writes."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rich.table import Table

from granting.busy import Point
from granting.rows import Rows

_BEGIN, _END = "<!-- ledger: written by make bench-ledger, not by hand -->\n", "<!-- end of ledger -->\n"
_MET = {True: "met", False: "NOT MET", None: ""}


def table(rows: Rows) -> Table:
    """For the terminal."""
    made = Table("measured", "value", "at most", "", title="The ledger of budgets")
    for each in rows:
        made.add_row(each["what"], _value(each), _limit(each), _MET[each["met"]])
    return made


def write_docs(page: Path, picture: Path, *, rows: Rows, points: Sequence[Point], facts: Mapping[str, Any]) -> None:
    """Write the ledger's part of the page anew; the rest of the page stays."""
    before, begin, rest = page.read_text(encoding="utf-8").partition(_BEGIN)
    _, end, after = rest.partition(_END)
    if not (begin and end):
        raise SystemExit(f"{page} has no part between {_BEGIN.strip()} and {_END.strip()}: put both lines back")
    where = (
        f"`{facts['command']}{' ARGS=--quick' if facts['quick'] else ''}` on {facts['cpus']} CPUs ({facts['cpu']}), "
        f"Linux {facts['kernel']}, Python {facts['python']}; load average before it began: {facts['load_before']:.1f}."
    )
    if facts["quick"]:
        where += " These are the small sizes: they say that it works, and no more."
    lines = [where, "", f"![Grants in a second, and what is written]({picture.name})", ""]
    lines += ["| measured | value | at most | |", "| --- | ---: | ---: | --- |"]
    lines += [f"| {each['what']} | {_value(each)} | {_limit(each)} | {_MET[each['met']]} |" for each in rows]
    if points:
        lines += ["", *_points(points, facts)]
    page.write_text(before + begin + "\n" + "\n".join(lines) + "\n\n" + end + after, encoding="utf-8")


def where_it_ends(points: Sequence[Point], *, cpus: int) -> str:
    """A sentence on the last of the points."""
    last, so_far = points[-1], max((point.busy for point in points if not point.ended), default=0)
    if last.ended:
        return f"With {last.busy:,} busy sidecars the operator says that its ledger is at its end, with {so_far:,} not."
    used = ", ".join(f"{name} {cores:.2f}" for name, cores in sorted(last.cores.items(), key=lambda each: -each[1]))
    return (
        f"With {last.busy:,} busy sidecars, the most that were tried, the operator has not said that its ledger is at "
        f"its end. Of this machine's {cpus} CPUs were used: {used}."
    )


def _points(points: Sequence[Point], facts: Mapping[str, Any]) -> list[str]:
    names = list(points[0].cores)
    heads = ["busy", "writes/s", "KiB/s", "statuses/s", "a grant, p50", "p99", "calls refused", "at its end"]
    heads += [f"CPU, {name}" for name in names]
    lines = [where_it_ends(points, cpus=facts["cpus"]), ""]
    lines += [f"| {' | '.join(heads)} |", "|" + " ---: |" * len(heads)]
    for each in points:
        cells = [
            *(f"{each.busy:,}", f"{each.writes:.1f}", f"{each.kib:.0f}", f"{each.statuses:.1f}"),
            *(f"{each.waited_p50:.0f} ms", f"{each.waited_p99:.0f} ms", f"{each.refused:,}"),
            "yes" if each.ended else "no",
            *(f"{each.cores[name]:.2f}" for name in names),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _value(row: Mapping[str, Any]) -> str:
    return f"{row['value']:.4g} {row['unit']}"


def _limit(row: Mapping[str, Any]) -> str:
    return "" if row["limit"] is None else f"{row['limit']:.4g} {row['unit']}"
