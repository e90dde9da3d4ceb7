"""The node as tests see it, whoever's it is, and the two that are not our own: kind's, and a given one.

What differs between the three is here and in `own`, and nowhere else: how it comes up and goes, and how an image gets
into it.
"""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from cluster.harness.cluster import Cluster
from cluster.harness.kubectl import Kubectl
from cluster.harness.node.helm import Helm

KIND_CONFIG = Path(__file__).resolve().parents[4] / "kind-config.yaml"


class PlaceError(Exception):
    """A command that the place needs has failed; the message holds what it said."""


class Node(Protocol):
    """A Kubernetes whose pods run."""

    @property
    def cluster(self) -> Cluster:
        """kubectl, namespaces and users."""

    @property
    def helm(self) -> Helm:
        """Helm, as the cluster's administrator."""

    def load_image(self, archive: Path) -> None:
        """Make the image of a docker-archive known to the node, by the name in the archive."""


@dataclass(frozen=True, kw_only=True)
class KindNode:
    """A cluster of kind's, in Docker."""

    name: str
    cluster: Cluster
    helm: Helm

    def load_image(self, archive: Path) -> None:
        """Have kind copy it into its node."""
        _run("kind", "load", "image-archive", archive, "--name", self.name)

    def exists(self) -> bool:
        """Whether kind has made it already."""
        return self.name in _run("kind", "get", "clusters").split()

    def create(self, *, show: bool = False) -> None:
        """Have kind make it, and write its kubeconfig; with `show`, what kind tells meanwhile is seen."""
        where = ("--name", self.name, "--kubeconfig", self.cluster.kubeconfig)
        _run("kind", "create", "cluster", "--config", KIND_CONFIG, "--wait=2m", *where, show=show)

    def fetch_kubeconfig(self) -> None:
        """Write the kubeconfig of a cluster that is there already."""
        _run("kind", "export", "kubeconfig", "--name", self.name, "--kubeconfig", self.cluster.kubeconfig)

    def delete(self) -> None:
        """Have kind delete it."""
        _run("kind", "delete", "cluster", "--name", self.name, "--kubeconfig", self.cluster.kubeconfig)


@dataclass(frozen=True, kw_only=True)
class GivenNode:
    """Somebody's cluster, which takes its images from a registry."""

    cluster: Cluster
    helm: Helm

    def load_image(self, archive: Path) -> None:
        """Refuse: where this cluster takes its images from is not known here."""
        raise PlaceError(f"{archive} cannot be loaded into a given cluster")


def kind_node(*, name: str, folder: Path, kubectl: Path, helm: Path) -> KindNode:
    """A cluster of kind's by this name, there or not. Its kubeconfig lies in the folder, and no other is touched."""
    kubeconfig = folder / "kubeconfig"
    cluster = _cluster(kubeconfig, folder=folder, kubectl=kubectl)
    return KindNode(name=name, cluster=cluster, helm=Helm(binary=helm, kubeconfig=kubeconfig, folder=folder / "helm"))


@contextmanager
def kind_running(*, name: str, folder: Path, kubectl: Path, helm: Path) -> Iterator[KindNode]:
    """A cluster made by kind, and deleted at the end."""
    node = kind_node(name=name, folder=folder, kubectl=kubectl, helm=helm)
    try:
        node.create()
        yield node
    finally:
        _run("kind", "export", "logs", folder / "logs", "--name", name, check=False)
        node.delete()


@contextmanager
def given(*, kubeconfig: Path, folder: Path, kubectl: Path, helm: Path) -> Iterator[GivenNode]:
    """A given cluster; at the end what was made in it is deleted."""
    cluster = _cluster(kubeconfig, folder=folder, kubectl=kubectl)
    try:
        yield GivenNode(cluster=cluster, helm=Helm(binary=helm, kubeconfig=kubeconfig, folder=folder / "helm"))
    finally:
        cluster.clean_up()


def _cluster(kubeconfig: Path, *, folder: Path, kubectl: Path) -> Cluster:
    command = Kubectl(binary=kubectl, kubeconfig=kubeconfig, cache=folder / "discovery")
    return Cluster(kubectl=command, folder=folder, has_controllers=True)


def _run(*command: str | Path, check: bool = True, show: bool = False) -> str:
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, stdout=None if show else subprocess.PIPE,
        stderr=None if show else subprocess.PIPE, text=True, check=False,
    )  # fmt: skip
    if check and done.returncode != 0:
        said = "the reason stands above" if show else done.stderr.strip()
        raise PlaceError(f"{' '.join(map(str, command))} ended with {done.returncode}: {said}")
    return done.stdout or ""
