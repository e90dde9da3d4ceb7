"""`make bench` works, at sizes too small to say anything."""

import json
import os
import sys
from pathlib import Path
from subprocess import run

import pytest

ROOT = Path(__file__).resolve().parents[3]
PATHS = os.pathsep.join(str(ROOT / each) for each in ("tests", "bench/shared", "bench/requests"))


@pytest.mark.timeout(180)
def test_the_bench_measures_both_doors_under_both_policies_and_a_bare_relay(tmp_path: Path) -> None:
    done = run(
        [sys.executable, "-m", "speed", "--quick", f"--output={tmp_path}"],
        env={**os.environ, "PYTHONPATH": PATHS, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )

    assert done.returncode == 0, done.stdout + done.stderr
    found = json.loads((tmp_path / "results.json").read_text())
    assert found["facts"]["quick"]
    assert found["floor"]["in_flight_1"]["p50_ms"] > 0
    assert set(found["systems"]) == {"Pointsman", "Pointsman, heavy policy", "Bare relay"}
    for system in found["systems"].values():
        assert system["ready_s"] > 0
        assert system["rss_loaded_mib"] >= system["rss_rest_mib"] > 0
        for numbers in system["doors"].values():
            assert numbers["in_flight_16"]["requests_per_s"] > 0
            assert {"long_streams", "prompt_400_kb", "cpu_per_chunk_us"} <= numbers.keys()
    assert "<svg" in (tmp_path / "results.svg").read_text()
    assert "Added p50, 1 in flight, gRPC" in done.stdout
