"""Helm and Prometheus' parser as fixtures."""

import os
from pathlib import Path

import pytest

from cluster.harness.node.helm import Helm
from cluster.programs import build_those_needed, path_of

PROGRAMS = {"helm": "helm", "promql": "promql"}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build what is missing before the first test."""
    build_those_needed(session, PROGRAMS)


@pytest.fixture(scope="session")
def helm(pytestconfig: pytest.Config, tmp_path_factory: pytest.TempPathFactory) -> Helm:
    """Helm, with no cluster to talk to."""
    binary = path_of("helm", pytestconfig)
    return Helm(binary=binary, kubeconfig=Path(os.devnull), folder=tmp_path_factory.mktemp("helm"))


@pytest.fixture(scope="session")
def promql(pytestconfig: pytest.Config) -> Path:
    """Reads PromQL as Prometheus does."""
    return path_of("promql", pytestconfig)
