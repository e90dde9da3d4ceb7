"""The part of `make bench-ledger` that needs a cluster works, at sizes too small to say anything."""

import json
import os
import sys
from pathlib import Path
from subprocess import run

import pytest

from cluster.harness.cluster import Cluster

ROOT = Path(__file__).resolve().parents[2]
PATHS = os.pathsep.join(str(ROOT / each) for each in ("tests", "bench/shared", "bench/ledger"))


@pytest.mark.timeout(120)
def test_the_bench_measures_what_busy_quotas_write_and_says_where_that_ends(cluster: Cluster, tmp_path: Path) -> None:
    if cluster.api_server is None:
        pytest.skip("the bench starts an API server of its own, which has to be built; this run was given a cluster")

    done = run(
        [sys.executable, "-m", "granting", "--quick", "--only=busy", f"--output={tmp_path}"],
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": PATHS, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    points = json.loads((tmp_path / "results.json").read_text())["points"]
    assert [point["busy"] for point in points] == [20, 40]
    assert points[-1]["writes"] > 0
    assert points[-1]["kib"] > 0
    assert points[-1]["cores"]["kube-apiserver"] > 0
    assert "With 40 busy sidecars" in done.stdout
