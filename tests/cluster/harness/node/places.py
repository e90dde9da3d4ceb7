"""The node as tests see it, whoever's it is, and the two that are not our own: kind's, and a given one.

What differs between the three is here and in `own`, and nowhere else: how it comes up and goes, and how an image gets
into it.
"""

import os
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


@dataclass(frozen=True, kw_only=True)
class GivenNode:
    """Somebody's cluster, which takes its images from a registry."""

    cluster: Cluster
    helm: Helm

    def load_image(self, archive: Path) -> None:
        """Refuse: where this cluster takes its images from is not known here."""
        raise PlaceError(f"{archive} cannot be loaded into a given cluster")


@contextmanager
def kind_running(*, name: str, folder: Path, kubectl: Path, helm: Path) -> Iterator[KindNode]:
    """A cluster made by kind, and deleted at the end."""
    kubeconfig = folder / "kubeconfig"
    try:
        _run("kind", "create", "cluster", "--name", name, "--config", KIND_CONFIG, "--kubeconfig", kubeconfig)
        cluster = _cluster(kubeconfig, folder=folder, kubectl=kubectl)
        yield KindNode(
            name=name, cluster=cluster, helm=Helm(binary=helm, kubeconfig=kubeconfig, folder=folder / "helm")
        )
    finally:
        _run("kind", "export", "logs", folder / "logs", "--name", name, check=False)
        _run("kind", "delete", "cluster", "--name", name, "--kubeconfig", kubeconfig)


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


def _run(*command: str | Path, check: bool = True) -> None:
    done = subprocess.run(command, env=os.environ, capture_output=True, text=True, check=False)
    if check and done.returncode != 0:
        raise PlaceError(f"{' '.join(map(str, command))} ended with {done.returncode}: {done.stderr.strip()}")
