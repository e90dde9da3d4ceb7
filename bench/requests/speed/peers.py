"""The gateways that we are measured beside, installed from their packages into the cache, each for itself.

LiteLLM is the latest whose proxy's dependencies can all be had.
"""

import shutil
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from subprocess import DEVNULL, PIPE, STDOUT, CalledProcessError, run

LITELLM = "1.106.12"
PORTKEY = "1.15.2"
TENSORZERO = "2026.6.0"
_SECONDS = 900


class PeersError(Exception):
    """A peer cannot be installed. The text says why."""


def installed(environment: Mapping[str, str], *, report: Callable[[str], None]) -> dict[str, Path]:
    """Where each peer is, installed if it is not yet.

    Raises:
        PeersError: one cannot be.
    """
    cache = Path(environment["POINTSMAN_CACHE"]) / "peers"
    return {
        "litellm": _python(cache / f"litellm-{LITELLM}", f"litellm[proxy]=={LITELLM}", report),
        "tensorzero": _python(cache / f"tensorzero-{TENSORZERO}", f"tensorzero=={TENSORZERO}", report),
        "portkey": _node(cache / f"portkey-{PORTKEY}", f"@portkey-ai/gateway@{PORTKEY}", report),
    }


def _python(folder: Path, requirement: str, report: Callable[[str], None]) -> Path:
    def fill(made: Path) -> None:
        _run([sys.executable, "-m", "venv", str(made)])
        _run([str(made / "bin" / "python"), "-m", "pip", "install", "--quiet", requirement])

    return _once(folder, fill, f"Installing {requirement} …", report)


def _node(folder: Path, requirement: str, report: Callable[[str], None]) -> Path:
    npm = shutil.which("npm")
    if npm is None:
        raise PeersError("Portkey's gateway needs Node and npm: install them, or run `make bench` without peers")

    def fill(made: Path) -> None:
        made.mkdir(parents=True)
        _run([npm, "install", "--silent", "--no-audit", "--no-fund", "--prefix", str(made), requirement])

    return _once(folder, fill, f"Installing {requirement} …", report)


def _once(folder: Path, fill: Callable[[Path], None], what: str, report: Callable[[str], None]) -> Path:
    # Filled in place, since a virtual environment cannot be moved; the mark is made last.
    mark = folder / ".installed"
    if not mark.exists():
        report(what)
        shutil.rmtree(folder, ignore_errors=True)
        fill(folder)
        mark.touch()
    return folder


def _run(command: list[str]) -> None:
    try:
        run(command, stdin=DEVNULL, stdout=PIPE, stderr=STDOUT, text=True, check=True, timeout=_SECONDS)
    except CalledProcessError as error:
        raise PeersError(f"{' '.join(command)} failed: {error.stdout[-2000:]}") from error
