"""`make bench-ledger` works, at sizes too small to say anything."""

import json
import os
import sys
from pathlib import Path
from subprocess import run

import pytest

ROOT = Path(__file__).resolve().parents[3]
PATHS = os.pathsep.join(str(ROOT / each) for each in ("tests", "bench/shared", "bench/ledger"))


@pytest.mark.timeout(120)
def test_the_bench_measures_requests_and_stores(tmp_path: Path) -> None:
    done = run(
        [sys.executable, "-m", "granting", "--quick", "--without-cluster", f"--output={tmp_path}"],
        env={**os.environ, "PYTHONPATH": PATHS, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    values = {row["what"]: row["value"] for row in found["rows"]}
    assert found["facts"]["quick"]
    assert values["SQLite: grants"] > 0
    assert values["SQLite: a grant, p99"] >= values["SQLite: a grant, p50"] > 0
    assert values["CPU per request, 3 budget(s)"] > 0
    assert "The ledger of budgets" in done.stdout
