"""Which Kubernetes the tests run on: the one that they were given, or an API server of their own.

Reads the environment and starts what was chosen; what is then done with it is `cluster`'s.
"""

import contextlib
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from cluster.harness.apiserver import ApiServer
from cluster.harness.binaries import Binaries, Report, build, locate
from cluster.harness.cluster import Cluster
from cluster.harness.kubectl import Kubectl

KUBECONFIG_VARIABLE = "POINTSMAN_TEST_KUBECONFIG"


class ChoiceError(Exception):
    """The environment asks for what cannot be; the message says what."""


@dataclass(frozen=True, kw_only=True)
class Given:
    """Somebody's cluster: the tests leave nothing in it."""

    kubeconfig: Path
    kubectl: Path
    binaries: Binaries | None  # where `kubectl` comes from if none is on PATH

    def __str__(self) -> str:
        return f"the one that {self.kubeconfig} names, with {self.kubectl}"

    def prepare(self, environ: Mapping[str, str], *, report: Report) -> None:
        """Build kubectl if it is to be ours and the cache lacks it."""
        if self.binaries is not None:
            build(self.binaries, environ, names=["kubectl"], report=report)

    @contextlib.contextmanager
    def running(self, *, folder: Path) -> Iterator[Cluster]:
        """The cluster; at the end what was made in it is deleted."""
        kubectl = Kubectl(binary=self.kubectl, kubeconfig=self.kubeconfig, cache=folder / "discovery")
        cluster = Cluster(kubectl=kubectl, folder=folder)
        try:
            yield cluster
        finally:
            cluster.clean_up()


@dataclass(frozen=True, kw_only=True)
class Own:
    """An etcd and a kube-apiserver of our own, gone with the run."""

    binaries: Binaries

    def __str__(self) -> str:
        state = "to be built" if self.binaries.missing() else "built"
        return f"its own API server {self.binaries.version}, {state} in {self.binaries.folder}"

    def prepare(self, environ: Mapping[str, str], *, report: Report) -> None:
        """Build what the cache lacks."""
        build(self.binaries, environ, report=report)

    @contextlib.contextmanager
    def running(self, *, folder: Path) -> Iterator[Cluster]:
        """Start it, and stop it at the end: nothing needs deleting."""
        with ApiServer(binaries=self.binaries, folder=folder) as server:
            kubectl = Kubectl(
                binary=self.binaries.path("kubectl"), kubeconfig=server.kubeconfig, cache=folder / "discovery"
            )
            yield Cluster(kubectl=kubectl, folder=folder, api_server=server)


def choose(environ: Mapping[str, str]) -> Given | Own:
    """Take the cluster of POINTSMAN_TEST_KUBECONFIG if one is named, else an API server of our own."""
    named = environ.get(KUBECONFIG_VARIABLE)
    if not named:
        return Own(binaries=locate(environ))
    kubeconfig = Path(named).expanduser().absolute()
    if not kubeconfig.is_file():
        raise ChoiceError(f"{KUBECONFIG_VARIABLE} names {named}, which is not a file")
    if kubectl := shutil.which("kubectl", path=environ.get("PATH")):
        return Given(kubeconfig=kubeconfig, kubectl=Path(kubectl), binaries=None)
    binaries = locate(environ)
    return Given(kubeconfig=kubeconfig, kubectl=binaries.path("kubectl"), binaries=binaries)
