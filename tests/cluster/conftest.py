"""The cluster of this tier as fixtures, and what the user is told of it.

Where no cluster can be had the tier is skipped with the reason; on CI, where it must run, it fails.
"""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from cluster.harness.apiserver import ApiServer
from cluster.harness.binaries import BinariesError, NoUsableGoError, report_on_stderr
from cluster.harness.choice import KUBECONFIG_VARIABLE, ChoiceError, Given, Own, choose
from cluster.harness.cluster import Cluster

CRDS = Path(__file__).resolve().parents[2] / "crds"
PREPARED = pytest.StashKey[Given | Own | Exception]()
FOLDER = pytest.StashKey[Path]()


def pytest_report_header() -> str:
    """Name the cluster, or say why there is none."""
    try:
        return f"cluster: {choose(os.environ)}"
    except (BinariesError, ChoiceError) as error:
        return f"cluster: none, {error}"


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test, whose time limit is not meant for that."""
    if not session.config.option.collectonly and any("cluster" in _fixtures(item) for item in session.items):
        _prepared(session.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """After a failure, say where the servers' logs lie; pytest keeps those of the last three runs."""
    logs = config.stash.get(FOLDER, Path()) / "logs"
    if FOLDER in config.stash and logs.is_dir() and {"failed", "error"} & terminalreporter.stats.keys():
        terminalreporter.write_line(f"The logs of etcd and kube-apiserver: {logs}")


@pytest.fixture(scope="session")
def cluster(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """The cluster of this run: a given one, or an API server of our own."""
    prepared = _prepared(pytestconfig)
    if isinstance(prepared, NoUsableGoError) and not _must_run():
        pytest.skip(f"needs a cluster: {prepared}, or name one's kubeconfig in {KUBECONFIG_VARIABLE}")
    if isinstance(prepared, Exception):
        pytest.fail(f"no cluster: {prepared}", pytrace=False)
    folder = tmp_path_factory.mktemp("cluster")
    pytestconfig.stash[FOLDER] = folder
    with prepared.running(folder=folder) as running:
        yield running


@pytest.fixture(scope="session")
def crds(cluster: Cluster) -> None:
    """Pointsman's CustomResourceDefinitions, served by the cluster."""
    cluster.install_crds(CRDS)


@pytest.fixture
def api_server(cluster: Cluster) -> ApiServer:
    """The API server, for tests that restart it; a given one is not ours to restart."""
    if cluster.api_server is None:
        pytest.skip(f"{KUBECONFIG_VARIABLE} names a cluster whose API server is not ours to restart")
    return cluster.api_server


def _prepared(config: pytest.Config) -> Given | Own | Exception:
    if PREPARED not in config.stash:
        capture = config.pluginmanager.getplugin("capturemanager")
        try:
            choice = choose(os.environ)
            with capture.global_and_fixture_disabled():
                choice.prepare(os.environ, report=report_on_stderr)
            config.stash[PREPARED] = choice
        except (BinariesError, ChoiceError) as error:
            config.stash[PREPARED] = error
    return config.stash[PREPARED]


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


def _must_run() -> bool:
    on_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    return on_ci or os.environ.get("POINTSMAN_REQUIRE_CLUSTER") == "1"
