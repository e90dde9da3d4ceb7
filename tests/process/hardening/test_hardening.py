"""The short forms of `make fuzz` and `make soak`: hostile requests, and providers that fail now and then."""

import json
import os
import sys
from pathlib import Path
from subprocess import run
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]


def bench(name: str, *arguments: str, output: Path) -> dict[str, Any]:
    """Run one of the benches, and read what it found."""
    done = run(
        [sys.executable, "-m", name, *arguments, f"--output={output}"],
        env={**os.environ, "PYTHONPATH": f"{ROOT / 'tests'}:{ROOT / 'bench' / 'hardening'}"},
        capture_output=True,
        text=True,
        check=False,
    )
    results = output / "results.json"
    assert results.exists(), done.stdout + done.stderr
    found: dict[str, Any] = json.loads(results.read_text())
    return found


@pytest.mark.timeout(300)
def test_hostile_requests_are_refused_in_a_sentence_and_leave_nothing_behind(tmp_path: Path) -> None:
    found = bench("hostile", "--cases=2000", "--seed=5", output=tmp_path)

    assert found["findings"] == []
    assert sum(found["outcomes"].values()) == 2000
    assert found["after"]["in_flight"] == 0
    # Both doors refuse, and both answer what is good among them.
    assert {"HTTP 200", "HTTP 400", "HTTP 413", "gRPC OK", "gRPC INVALID_ARGUMENT"} <= found["outcomes"].keys()
    assert all(each["completions"] > 0 for each in found["latencies"].values())


@pytest.mark.timeout(240)
def test_providers_that_fail_now_and_then_are_not_noticed(tmp_path: Path) -> None:
    found = bench("soak", "--minutes=0.33", "--measuring=3", output=tmp_path)

    assert {kind: each["errors"] for kind, each in found["asked"].items()} == {kind: {} for kind in found["asked"]}
    assert all(each["completions"] > 0 for each in found["asked"].values())
    assert found["faults"] > 0
    assert found["left"] == []
