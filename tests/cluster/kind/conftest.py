"""What reads a cluster's configuration as kind does, as a fixture."""

from pathlib import Path

import pytest

from cluster.programs import build_those_needed, path_of

PROGRAMS = {"kind_config": "kind-config"}


def pytest_collection_finish(session: pytest.Session) -> None:
    """Build it before the first test."""
    build_those_needed(session, PROGRAMS)


@pytest.fixture(scope="session")
def kind_config(pytestconfig: pytest.Config) -> Path:
    """Reads a configuration with kind's own types, and refuses what kind would refuse."""
    return path_of("kind-config", pytestconfig)
