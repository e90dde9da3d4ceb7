"""Helm as a fixture. It is built as the API server is; where it cannot be, its tests are skipped or fail likewise."""

import os
from pathlib import Path

import pytest

from cluster.charts.rendering import helm_binaries
from cluster.harness.binaries import BinariesError, NoUsableGoError, build, report_on_stderr
from cluster.harness.node.helm import Helm

PREPARED = pytest.StashKey[Path | BinariesError]()


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build Helm before the first test, whose time limit is not meant for that."""
    if not session.config.option.collectonly and any(
        "helm" in getattr(item, "fixturenames", ()) for item in session.items
    ):
        _prepared(session.config)


@pytest.fixture(scope="session")
def helm(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm, with no cluster to talk to."""
    prepared = _prepared(pytestconfig)
    if isinstance(prepared, NoUsableGoError) and not _must_run():
        pytest.skip(f"needs Helm, which is built from its Go module: {prepared}")
    if isinstance(prepared, BinariesError):
        pytest.fail(f"no Helm: {prepared}", pytrace=False)
    return Helm(binary=prepared, kubeconfig=Path(os.devnull), folder=tmp_path_factory.mktemp("helm"))


def _prepared(config: pytest.Config) -> Path | BinariesError:
    if PREPARED not in config.stash:
        capture = config.pluginmanager.getplugin("capturemanager")
        try:
            binaries = helm_binaries()
            with capture.global_and_fixture_disabled():
                build(binaries, os.environ, report=report_on_stderr)
            config.stash[PREPARED] = binaries.path("helm")
        except BinariesError as error:
            config.stash[PREPARED] = error
    return config.stash[PREPARED]


def _must_run() -> bool:
    on_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    return on_ci or os.environ.get("POINTSMAN_REQUIRE_CLUSTER") == "1"
