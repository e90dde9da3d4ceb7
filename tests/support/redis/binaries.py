"""Where tests get a Redis or Valkey server from: the machine's own, else Debian's package, unpacked into the cache.

Nothing is installed: the package and the two libraries that it needs are unpacked beside each other.
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

VARIABLE = "POINTSMAN_TEST_REDIS"
_NAMES = ("redis-server", "valkey-server")
_PACKAGES = ("redis-server", "redis-tools", "libjemalloc2", "liblzf1")
_SECONDS = 120


class NoRedisError(Exception):
    """There is none to be had; the message says what was tried."""


@dataclass(frozen=True, kw_only=True)
class Binary:
    """A server, and what it needs in its environment."""

    path: Path
    environ: Mapping[str, str] = field(default_factory=dict)


def find(environ: Mapping[str, str]) -> Binary:
    """The server of POINTSMAN_TEST_REDIS, or of PATH, or of the cache, into which it is put. Raise NoRedisError."""
    if named := environ.get(VARIABLE):
        if not os.access(named, os.X_OK):
            raise NoRedisError(f"{VARIABLE} is {named}, which cannot be run")
        return Binary(path=Path(named))
    for name in _NAMES:
        if found := shutil.which(name, path=environ.get("PATH")):
            return Binary(path=Path(found))
    return _cached(Path(environ.get("POINTSMAN_CACHE") or Path.home() / ".cache/pointsman") / "redis")


def find_or_skip() -> Binary:
    """The server, or the test is skipped with what was tried."""
    try:
        return find(os.environ)
    except NoRedisError as error:
        pytest.skip(str(error))


def _cached(folder: Path) -> Binary:
    version = _debian_version()
    root = folder / version.replace(":", "_")
    if not root.exists():
        _unpack(root, version=version)
    libraries = sorted({str(file.parent) for file in root.rglob("*.so.*")})
    return Binary(path=root / "usr/bin/redis-server", environ={"LD_LIBRARY_PATH": ":".join(libraries)})


def _debian_version() -> str:
    shown = _run("apt-cache", "policy", _PACKAGES[0])
    version = next((line.split()[-1] for line in shown.splitlines() if "Candidate:" in line), "(none)")
    if version == "(none)":
        raise NoRedisError("there is no redis-server to be had: install it, run `apt-get update`, or set " + VARIABLE)
    return version


def _unpack(root: Path, *, version: str) -> None:
    root.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=root.parent) as folder:
        unpacked = Path(folder, "root")
        unpacked.mkdir()
        pinned = [f"{name}={version}" for name in _PACKAGES[:2]]
        _run("apt-get", "download", *pinned, *_PACKAGES[2:], folder=Path(folder))
        for package in Path(folder).glob("*.deb"):
            _run("dpkg-deb", "-x", str(package), str(unpacked))
        try:
            unpacked.rename(root)
        except OSError:
            if not root.exists():
                raise


def _run(*command: str, folder: Path | None = None) -> str:
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_SECONDS, check=True)
    except FileNotFoundError as error:
        raise NoRedisError(f"there is no redis-server, and no {command[0]} to get one: set {VARIABLE}") from error
    except subprocess.SubprocessError as error:
        said = getattr(error, "stderr", "") or ""
        raise NoRedisError(f"`{' '.join(command)}` failed: {error} {said}; install redis-server") from error
    return done.stdout
