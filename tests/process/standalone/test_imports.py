"""What a command does not need is not imported: neither Kubernetes' clients, nor more than the command at hand uses."""

import os
import subprocess
from pathlib import Path

import pytest

from process.standalone.processes import COMMAND, lay
from pure.cli.resources import policy, provider

KUBERNETES = frozenset({"kopf", "kubernetes"})
SERVING = frozenset({"grpc", "aiohttp", "opentelemetry"})


def imported(*arguments: str | Path) -> set[str]:
    """The top-level packages that the command imports, by the interpreter's own account."""
    python, *rest = COMMAND
    done = subprocess.run(
        [python, "-X", "importtime", *rest, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=dict(os.environ),
    )
    lines = [line for line in done.stderr.splitlines() if line.startswith("import time:")]
    return {line.rpartition("|")[2].strip().partition(".")[0] for line in lines}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return lay(tmp_path / "all.yaml", provider(), policy())


@pytest.mark.parametrize("prompt", [(), ("Hello?",)], ids=["check", "explain"])
def test_checking_and_explaining_import_nothing_that_serves(prompt: tuple[str, ...], file: Path) -> None:
    packages = imported("explain" if prompt else "check", "-f", file, *prompt)
    assert "pydantic" in packages
    assert packages & (KUBERNETES | SERVING) == set()


def test_running_imports_no_client_of_kubernetes_and_no_sdk(tmp_path: Path) -> None:
    packages = imported("run", "-f", tmp_path / "missing.yaml")
    assert packages >= SERVING
    assert packages & (KUBERNETES | {"openai", "httpx2"}) == set()
