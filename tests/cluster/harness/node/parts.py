"""The parts of a node and how each is started: its command, inside the node's world. Pure.

The order of `PARTS` is the order in which they are started: each waits by itself for those before it.
"""

from collections.abc import Callable
from pathlib import Path

from cluster.harness.commands import api_server_command, etcd_command
from cluster.harness.node.configs import API_PORT
from cluster.harness.node.world import ADDRESS, DATA

Command = list[str | Path]
Locate = Callable[[str], Path]
"""Where the binary of this name is."""

PARTS = (
    "etcd",
    "containerd",
    "kube-apiserver",
    "kube-controller-manager",
    "kube-scheduler",
    "kube-proxy",
    "coredns",
    "kubelet",
)


def command_of(part: str, *, node: str, locate: Locate) -> Command:
    """The command that starts this part."""
    return {
        "etcd": _etcd,
        "containerd": _containerd,
        "kube-apiserver": _api_server,
        "kube-controller-manager": _controller_manager,
        "kube-scheduler": _scheduler,
        "kube-proxy": _proxy,
        "coredns": _core_dns,
        "kubelet": _kubelet,
    }[part](node, locate)


def _etcd(_: str, locate: Locate) -> Command:
    return etcd_command(
        locate("etcd"), data=DATA / "etcd", client="http://127.0.0.1:2379", peer="http://127.0.0.1:2380"
    )


def _containerd(_: str, __: Locate) -> Command:
    return ["containerd", "--config", DATA / "containerd.toml"]


def _api_server(_: str, locate: Locate) -> Command:
    return [
        *api_server_command(
            locate("kube-apiserver"),
            etcd="http://127.0.0.1:2379",
            port=API_PORT,
            pki=DATA / "pki",
            tokens=DATA / "tokens.csv",
        ),
        "--bind-address=0.0.0.0",
        f"--advertise-address={ADDRESS}",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        # For logs, exec and port-forward. Signed by itself, and kubelet trusts that one certificate.
        f"--kubelet-client-certificate={DATA}/pki/kubelet-client.crt",
        f"--kubelet-client-key={DATA}/pki/kubelet-client.key",
        "--kubelet-preferred-address-types=InternalIP",
    ]


def _controller_manager(_: str, locate: Locate) -> Command:
    return [
        locate("kube-controller-manager"),
        _kubeconfig("kube-controller-manager"),
        "--use-service-account-credentials",
        f"--root-ca-file={DATA}/pki/apiserver.crt",
        f"--service-account-private-key-file={DATA}/pki/apiserver.key",
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]


def _scheduler(_: str, locate: Locate) -> Command:
    return [
        locate("kube-scheduler"),
        _kubeconfig("kube-scheduler"),
        "--bind-address=127.0.0.1",
        "--leader-elect=false",
    ]


def _proxy(_: str, locate: Locate) -> Command:
    return [locate("kube-proxy"), f"--config={DATA}/kube-proxy.json"]


def _core_dns(_: str, locate: Locate) -> Command:
    return [locate("coredns"), "-conf", DATA / "Corefile"]


def _kubelet(node: str, locate: Locate) -> Command:
    return [
        locate("kubelet"),
        _kubeconfig("kubelet"),
        f"--config={DATA}/kubelet.json",
        f"--root-dir={DATA}/kubelet",
        f"--hostname-override={node}",
        f"--node-ip={ADDRESS}",
    ]


def _kubeconfig(user: str) -> str:
    return f"--kubeconfig={DATA}/kubeconfigs/{user}"
