"""What a run found, as a table and as files."""

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from scale.charts import distribution
from scale.results import Results

_MARKS = {True: "met", False: "NOT MET", None: ""}


def show(results: Results, console: Console) -> None:
    """Print the table."""
    table = Table(title="The operator's scale")
    for column, justify in (
        ("measured", "left"),
        ("value", "right"),
        ("must be under", "right"),
        ("", "left"),
        ("", "left"),
    ):
        table.add_column(column, justify=justify)  # type: ignore[arg-type]
    for row in results.rows:
        limit = "" if row.limit is None else f"{row.limit:g} {row.unit}"
        table.add_row(row.what, f"{row.value:.3g} {row.unit}", limit, _MARKS[row.met], row.beside)
    console.print(table)


def write(results: Results, folder: Path) -> None:
    """Write the numbers and their charts."""
    folder.mkdir(parents=True, exist_ok=True)
    document = results.document()
    (folder / "results.json").write_text(json.dumps(document, indent=1) + "\n", encoding="utf-8")
    streams = {name.partition(":")[0]: each for name, each in results.series.items() if name.endswith("change to ACK")}
    (folder / "changes.svg").write_text(
        distribution(streams, title="From a policy's change to a sidecar's ACK", unit="s"), encoding="utf-8"
    )
    admissions = {"Webhook": results.series["Admissions"]}
    (folder / "admissions.svg").write_text(
        distribution(admissions, title="Time of an admission", unit="ms"), encoding="utf-8"
    )
