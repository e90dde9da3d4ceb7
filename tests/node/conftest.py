"""The cluster of this tier as fixtures: one with a node, whose pods run.

Where none can be had the tier is skipped with the reason; on CI, where it must run, it fails.
"""

import os
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from cluster.harness.binaries import BinariesError, NoUsableGoError
from cluster.harness.choice import KUBECONFIG_VARIABLE, ChoiceError
from cluster.harness.cluster import Cluster
from cluster.harness.node.choice import Given, Kind, Own, choose
from cluster.harness.node.images import Image, ImagesError
from cluster.harness.node.machine import MachineError, MachineUnfitError, report_on_stderr
from cluster.harness.node.own import OwnNode
from cluster.harness.node.places import Node
from cluster.harness.node.world import ADDRESS
from cluster.harness.processes import Process
from node.chart import KEY, LATER_KEY, Installed, installing

# The first test waits for the node; kind fetches its image before that.
STARTS_WITHIN = 300
PREPARED = pytest.StashKey[tuple[Given | Kind | Own, Mapping[str, Image]] | Exception]()
FOLDERS = pytest.StashKey[list[Path]]()
STUB_PORT = 18090
ERRORS = (BinariesError, ChoiceError, MachineError, ImagesError)


def pytest_report_header() -> str:
    """Name the node, or say why there is none."""
    try:
        return f"node: {choose(os.environ)}"
    except ERRORS as error:
        return f"node: none, {error}"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give each test the time that the node's start may take."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(STARTS_WITHIN))


def pytest_collection_finish(session: pytest.Session) -> None:
    """Install and build what is missing before the first test, whose time limit is not meant for that."""
    if not session.config.option.collectonly and any(
        {"node", "empty_node", "built_images"} & set(_fixtures(item)) for item in session.items
    ):
        _prepared(session.config)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """After a failure, say where the logs lie; pytest keeps those of the last three runs."""
    if {"failed", "error"} & terminalreporter.stats.keys():
        for folder in config.stash.get(FOLDERS, []):
            if (folder / "logs").is_dir():
                terminalreporter.write_line(f"The logs of a node's parts and pods: {folder / 'logs'}")


@pytest.fixture(scope="session")
def node(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """The node of this run: of a given cluster, of kind's, or our own."""
    with _choice(pytestconfig).running(folder=_folder(pytestconfig, tmp_path_factory, "node")) as running:
        yield running


@pytest.fixture(scope="module")
def empty_node(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Node]:
    """A second one beside it, on which nothing was ever installed."""
    choice = _choice(pytestconfig)
    if isinstance(choice, Given):
        pytest.skip("a given cluster need not be empty")
    with choice.running(folder=_folder(pytestconfig, tmp_path_factory, "empty-node")) as running:
        yield running


@pytest.fixture(scope="session")
def cluster(node: Node) -> Cluster:
    """The node's cluster."""
    return node.cluster


@pytest.fixture(scope="session")
def built_images(pytestconfig: pytest.Config) -> Mapping[str, Image]:
    """The project's images by plane."""
    _choice(pytestconfig)  # skips or fails where there is nothing prepared
    prepared = _prepared(pytestconfig)
    assert not isinstance(prepared, Exception)
    return prepared[1]


@pytest.fixture(scope="session")
def images(node: Node, built_images: Mapping[str, Image]) -> dict[str, str]:
    """The names of the project's images by plane, known to the node."""
    for image in built_images.values():
        if image.archive is not None:
            node.load_image(image.archive)
    return {plane: image.name for plane, image in built_images.items()}


@pytest.fixture(scope="session")
def own_node(node: Node) -> OwnNode:
    """The node, for tests that break parts of it: only our own is ours to break."""
    if not isinstance(node, OwnNode):
        pytest.skip("the node is not ours to break")
    return node


@pytest.fixture(scope="session")
def installed(node: Node, images: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Both charts installed, for all tests of a run."""
    with installing(node, images=images, folder=tmp_path_factory.mktemp("chart")) as made:
        yield made


@pytest.fixture
def stub_url(own_node: OwnNode, tmp_path: Path) -> Iterator[str]:
    """A stub provider that pods can reach, as they would reach one outside of the cluster."""
    log = tmp_path / "stub.log"
    keys = [f"--api-key={key}" for key in (KEY, LATER_KEY)]
    command = [sys.executable, "-m", "pointsman_stub", "--host", ADDRESS, "--port", str(STUB_PORT), *keys]
    stub = Process("stub", own_node.enter(command), log=log)
    try:
        stub.wait_until_ready(lambda: "listening on" in log.read_text(), seconds=20)
        yield f"http://{ADDRESS}:{STUB_PORT}/v1"
    finally:
        stub.stop()


def _choice(config: pytest.Config) -> Given | Kind | Own:
    prepared = _prepared(config)
    if isinstance(prepared, MachineUnfitError | NoUsableGoError) and not _must_run():
        pytest.skip(f"needs a node: {prepared}; or name a cluster's kubeconfig in {KUBECONFIG_VARIABLE}")
    if isinstance(prepared, Exception):
        pytest.fail(f"no node: {prepared}", pytrace=False)
    return prepared[0]


def _folder(config: pytest.Config, factory: pytest.TempPathFactory, name: str) -> Path:
    folder = factory.mktemp(name)
    config.stash.setdefault(FOLDERS, []).append(folder)
    return folder


def _prepared(config: pytest.Config) -> tuple[Given | Kind | Own, Mapping[str, Image]] | Exception:
    if PREPARED not in config.stash:
        capture = config.pluginmanager.getplugin("capturemanager")
        try:
            choice = choose(os.environ)
            with capture.global_and_fixture_disabled():
                config.stash[PREPARED] = (choice, choice.prepare(os.environ, report=report_on_stderr))
        except ERRORS as error:
            config.stash[PREPARED] = error
    return config.stash[PREPARED]


def _fixtures(item: pytest.Item) -> list[str]:
    return item.fixturenames if isinstance(item, pytest.Function) else []


def _must_run() -> bool:
    on_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    return on_ci or os.environ.get("POINTSMAN_REQUIRE_NODE") == "1"
