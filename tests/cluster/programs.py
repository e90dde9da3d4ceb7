"""Programs that tests use beside a cluster, built from their Go modules as the API server is.

A conftest names those that its fixtures are; where one cannot be built, its tests are skipped, or fail on CI.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import pytest

from cluster.harness.binaries import NODE_TIER, READERS, BinariesError, NoUsableGoError, build, locate, report_on_stderr

PREPARED = pytest.StashKey[dict[str, Path | BinariesError]]()


def build_those_needed(session: pytest.Session, programs: Mapping[str, str]) -> None:
    """Build those whose fixtures are asked for, before the first test, whose time limit is not meant for that."""
    asked = {name for item in session.items for name in getattr(item, "fixturenames", ())}
    if not session.config.option.collectonly:
        for fixture, program in programs.items():
            if fixture in asked:
                _prepared(session.config, program)


def path_of(program: str, config: pytest.Config) -> Path:
    """Where it is; skips the test or fails it where it is not to be had."""
    prepared = _prepared(config, program)
    if isinstance(prepared, NoUsableGoError) and not _must_run():
        pytest.skip(f"needs {program}, which is built from its Go module: {prepared}")
    if isinstance(prepared, BinariesError):
        pytest.fail(f"no {program}: {prepared}", pytrace=False)
    return prepared


def _prepared(config: pytest.Config, program: str) -> Path | BinariesError:
    stash = config.stash.setdefault(PREPARED, {})
    if program not in stash:
        capture = config.pluginmanager.getplugin("capturemanager")
        (module,) = (module for module in (*NODE_TIER, *READERS) if program in module.packages)
        try:
            binaries = locate(os.environ, module)
            with capture.global_and_fixture_disabled():
                build(binaries, os.environ, report=report_on_stderr)
            stash[program] = binaries.path(program)
        except BinariesError as error:
            stash[program] = error
    return stash[program]


def _must_run() -> bool:
    on_ci = os.environ.get("CI", "").lower() not in {"", "0", "false"}
    return on_ci or os.environ.get("POINTSMAN_REQUIRE_CLUSTER") == "1"
