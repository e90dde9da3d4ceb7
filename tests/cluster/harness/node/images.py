"""The images of both planes, as archives in the cache: built by `images/build.py`, which builds only what has changed.

What is loaded where is the node's.
"""

import subprocess
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.harness.binaries import Report
from cluster.harness.node.machine import path_with_system_folders

BUILD = Path(__file__).resolve().parents[4] / "images" / "build.py"
PLANES = ("operator", "sidecar", "examples")


@dataclass(frozen=True, kw_only=True)
class Image:
    """One image: its name, as pods ask for it, and its archive unless the cluster finds it by itself."""

    name: str
    archive: Path | None = None


class ImagesError(Exception):
    """The images cannot be built; the message says why."""


def build_images(environ: Mapping[str, str], *, engine: str, report: Report) -> dict[str, Image]:
    """Build both, unless the cache has them, and return them by plane."""
    report(f"images: built with {engine}, unless the cache has them")
    done = subprocess.run(
        [sys.executable, BUILD, "--engine", engine],
        env={**environ, "PATH": path_with_system_folders(environ)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,  # its progress goes to stderr, and so to whoever waits
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise ImagesError("the images could not be built; the reason stands above")
    lines = [line.split("\t") for line in done.stdout.splitlines()]
    return {plane: Image(name=name, archive=Path(archive)) for plane, name, archive in lines}
