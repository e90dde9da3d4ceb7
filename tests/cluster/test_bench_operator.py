"""`make bench-operator` works, at sizes too small to say anything."""

import json
import os
import sys
from pathlib import Path
from subprocess import run

import pytest

from cluster.harness.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join(str(ROOT / each) for each in ("tests", "bench/shared", "bench/operator"))
MEASURED = (
    "Cold start",
    "Operator: change to ACK, p99",
    "Change to ACK, p99, against bare streams",
    "Admission, p99",
    "Operator's memory at its peak",
)


@pytest.mark.timeout(240)
def test_the_bench_measures_what_is_promised_and_leaves_nothing_behind(cluster: Cluster, tmp_path: Path) -> None:
    if cluster.api_server is None:
        pytest.skip("the bench starts an API server of its own, which has to be built; this run was given a cluster")
    work = tmp_path / "work"
    work.mkdir()

    done = run(
        [sys.executable, "-m", "scale", "--quick", f"--output={tmp_path / 'out'}"],
        env={
            **os.environ,
            "PYTHONPATH": PATHS,
            "TMPDIR": str(work),
        },
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "out" / "results.json").read_text())
    values = {row["what"]: row["value"] for row in found["rows"]}
    assert all(values[what] > 0 for what in MEASURED), values
    assert found["facts"]["cpus"] > 0
    assert "<svg" in (tmp_path / "out" / "changes.svg").read_text()
    assert list(work.iterdir()) == []
