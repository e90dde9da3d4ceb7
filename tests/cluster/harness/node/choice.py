"""Which node the tests run on: a given cluster, one of kind's where Docker runs, or one of our own.

Reads the environment, builds what the choice needs and starts it; what is then done with it is the tests'.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.harness.binaries import NODE_TIER, Binaries, Report, build, cache_folder, locate
from cluster.harness.choice import KUBECONFIG_VARIABLE, ChoiceError
from cluster.harness.node import own, places, residue
from cluster.harness.node.images import PLANES, Image, build_images
from cluster.harness.node.machine import check_fitness, install_missing
from cluster.harness.node.places import Node

IMAGES_VARIABLE = "POINTSMAN_TEST_IMAGES"


@dataclass(frozen=True, kw_only=True)
class Tools:
    """Where kubectl and helm are: on PATH, or else among what is built."""

    found: Mapping[str, Path]
    binaries: tuple[Binaries, ...]

    def path(self, name: str) -> Path:
        """This program."""
        return self.found.get(name) or _built(self.binaries, name)

    def prepare(self, environ: Mapping[str, str], *, report: Report) -> None:
        """Build those that are not on PATH."""
        for binaries in self.binaries:
            names = [
                name for name in ("kubectl", "helm") if name not in self.found and name in binaries.module.packages
            ]
            if names:
                build(binaries, environ, report=report, names=names)


@dataclass(frozen=True, kw_only=True)
class Given:
    """Somebody's cluster, and where it finds the images."""

    kubeconfig: Path
    images: Mapping[str, Image]
    tools: Tools

    def __str__(self) -> str:
        return f"the one that {self.kubeconfig} names, with images like {self.images['operator'].name}"

    def prepare(self, environ: Mapping[str, str], *, report: Report) -> Mapping[str, Image]:
        """Build the tools that are missing; the images are there already."""
        self.tools.prepare(environ, report=report)
        return self.images

    @contextlib.contextmanager
    def running(self, *, folder: Path) -> Iterator[Node]:
        """The cluster; at the end what was made in it is deleted."""
        kubectl, helm = self.tools.path("kubectl"), self.tools.path("helm")
        with places.given(kubeconfig=self.kubeconfig, folder=folder, kubectl=kubectl, helm=helm) as node:
            yield node


@dataclass(frozen=True, kw_only=True)
class Kind:
    """A cluster that kind makes."""

    tools: Tools

    def __str__(self) -> str:
        return "one that kind makes in Docker"

    def prepare(self, environ: Mapping[str, str], *, report: Report) -> Mapping[str, Image]:
        """Build the tools that are missing, and the images with Docker."""
        self.tools.prepare(environ, report=report)
        return build_images(environ, engine="docker", report=report)

    @contextlib.contextmanager
    def running(self, *, folder: Path) -> Iterator[Node]:
        """Make it, and delete it at the end."""
        name = f"pointsman-{secrets.token_hex(3)}"
        kubectl, helm = self.tools.path("kubectl"), self.tools.path("helm")
        with places.kind_running(name=name, folder=folder, kubectl=kubectl, helm=helm) as node:
            yield node


@dataclass(frozen=True, kw_only=True)
class Own:
    """A node of our own, gone with the run."""

    binaries: tuple[Binaries, ...]
    cache: Path

    def __str__(self) -> str:
        state = "to be built" if any(binaries.missing() for binaries in self.binaries) else "built"
        return f"its own, Kubernetes {self.binaries[0].version}, {state} in {self.cache}"

    def prepare(self, environ: Mapping[str, str], *, report: Report) -> Mapping[str, Image]:
        """Install Debian's packages, build binaries and images, and remove what killed runs left."""
        install_missing(environ, report=report)
        for binaries in self.binaries:
            build(binaries, environ, report=report)
        for name in residue.remove_left_behind(self.cache / "nodes"):
            report(f"removed {name}, which a killed run had left")
        return build_images(environ, engine="buildah", report=report)

    @contextlib.contextmanager
    def running(self, *, folder: Path) -> Iterator[Node]:
        """Start it, and stop it at the end: nothing needs deleting."""
        records = self.cache / "nodes"
        with own.running(
            folder=folder, locate=lambda name: _built(self.binaries, name), records=records, environ=os.environ
        ) as node:
            yield node


def choose(environ: Mapping[str, str]) -> Given | Kind | Own:
    """Take the cluster of POINTSMAN_TEST_KUBECONFIG, else kind's where Docker runs, else a node of our own."""
    path = environ.get("PATH")
    if named := environ.get(KUBECONFIG_VARIABLE):
        kubeconfig = Path(named).expanduser().absolute()
        if not kubeconfig.is_file():
            raise ChoiceError(f"{KUBECONFIG_VARIABLE} names {named}, which is not a file")
        return Given(kubeconfig=kubeconfig, images=_named_images(environ), tools=_tools(environ))
    if shutil.which("kind", path=path) and _docker_runs(path):
        return Kind(tools=_tools(environ))
    check_fitness()
    binaries = tuple(locate(environ, module) for module in NODE_TIER)
    return Own(binaries=binaries, cache=cache_folder(environ))


def _named_images(environ: Mapping[str, str]) -> dict[str, Image]:
    pattern = environ.get(IMAGES_VARIABLE, "")
    if "{}" not in pattern:
        raise ChoiceError(
            f"{KUBECONFIG_VARIABLE} names a cluster, so {IMAGES_VARIABLE} must say where it finds the "
            "images, with {} for the plane: registry.example/pointsman-{}:tag"
        )
    return {plane: Image(name=pattern.replace("{}", plane)) for plane in PLANES}


def _tools(environ: Mapping[str, str]) -> Tools:
    path = environ.get("PATH")
    found = {name: Path(program) for name in ("kubectl", "helm") if (program := shutil.which(name, path=path))}
    needed = len(found) < len(("kubectl", "helm"))
    return Tools(found=found, binaries=tuple(locate(environ, module) for module in NODE_TIER) if needed else ())


def _built(all_binaries: tuple[Binaries, ...], name: str) -> Path:
    return next(binaries.path(name) for binaries in all_binaries if name in binaries.module.packages)


def _docker_runs(path: str | None) -> bool:
    docker = shutil.which("docker", path=path)
    return docker is not None and subprocess.run([docker, "info"], capture_output=True, check=False).returncode == 0
