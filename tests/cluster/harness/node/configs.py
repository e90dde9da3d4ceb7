"""The configuration files of a node's parts, as text. Pure: where they are written is `node`'s.

Every path in them is one inside the node's world.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass

from cluster.harness.node.world import ADDRESS, BRIDGE, DATA, POD_NETWORK

CLUSTER_DOMAIN = "cluster.local"
API_PORT = 6443
PROXY_HEALTH_PORT = 10256
DNS_READY_PORT = 8181
PAUSE_IMAGE = "pointsman.dev/pause:1"
CONTAINERD_SOCKET = "/run/containerd/containerd.sock"


@dataclass(frozen=True, kw_only=True)
class User:
    """Who the API server knows by a token."""

    name: str
    groups: tuple[str, ...] = ()


def users(*, node: str) -> dict[str, User]:
    """The administrator and the cluster's parts, each with the name that Kubernetes' own roles expect."""
    return {
        "admin": User(name="admin", groups=("system:masters",)),
        "kube-controller-manager": User(name="system:kube-controller-manager"),
        "kube-scheduler": User(name="system:kube-scheduler"),
        "kube-proxy": User(name="system:kube-proxy"),
        "kubelet": User(name=f"system:node:{node}", groups=("system:nodes",)),
        "coredns": User(name="coredns"),
    }


def token_file(*, node: str, tokens: Mapping[str, str]) -> str:
    """The API server's list of users and their tokens."""
    lines = (f'{tokens[key]},{user.name},{key},"{",".join(user.groups)}"' for key, user in users(node=node).items())
    return "\n".join(lines) + "\n"


def kubeconfig(*, server: str, ca_file: str, token: str) -> str:
    """How one user reaches the API server."""
    config = {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "tests", "cluster": {"server": server, "certificate-authority": ca_file}}],
        "users": [{"name": "user", "user": {"token": token}}],
        "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "user"}}],
        "current-context": "tests",
    }
    return json.dumps(config, indent=2)  # JSON is YAML


def containerd() -> str:
    """containerd's: everything in the node's own folders, and no AppArmor, which a machine need not have."""
    return f"""
version = 2
root = "{DATA}/containerd"
state = "/run/containerd"

[grpc]
address = "{CONTAINERD_SOCKET}"

[plugins."io.containerd.internal.v1.opt"]
path = "{DATA}/containerd-opt"

[plugins."io.containerd.grpc.v1.cri"]
sandbox_image = "{PAUSE_IMAGE}"
restrict_oom_score_adj = true
disable_apparmor = true

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc]
runtime_type = "io.containerd.runc.v2"

[plugins."io.containerd.grpc.v1.cri".containerd.runtimes.runc.options]
SystemdCgroup = false

[plugins."io.containerd.grpc.v1.cri".cni]
bin_dir = "/usr/lib/cni"
conf_dir = "{DATA}/cni"
"""


def pod_network() -> str:
    """The network plugins': pods on one bridge, their addresses from one range."""
    bridge = {
        "type": "bridge",
        "bridge": BRIDGE,
        "isGateway": True,
        "hairpinMode": True,  # a pod may reach itself through its Service
        "ipam": {
            "type": "host-local",
            "dataDir": f"{DATA}/addresses",
            "ranges": [[{"subnet": POD_NETWORK, "gateway": ADDRESS}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    port_map = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "0.4.0", "name": "pods", "plugins": [bridge, port_map]}, indent=2)


def kubelet(*, cgroup_root: str) -> str:
    """kubelet's: as secure as the default, at home on a machine that is not given to it alone."""
    config = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": f"{DATA}/pki/kubelet-client.crt"},
        },
        "authorization": {"mode": "Webhook"},
        "clusterDNS": [ADDRESS],
        "clusterDomain": CLUSTER_DOMAIN,
        "resolvConf": "",  # the machine's own servers are out of reach
        "podLogsDir": f"{DATA}/pod-logs",
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup_root}",
        "enforceNodeAllocatable": [],
        "failCgroupV1": False,
        "failSwapOn": False,
        # A full disk is the machine's matter; no pod or image goes because of it.
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        # So that a pod starts when it can, not a second later.
        "syncFrequency": "10s",
        "nodeStatusUpdateFrequency": "4s",
        "registryPullQPS": 0,
    }
    return json.dumps(config, indent=2)


def kube_proxy(*, node: str) -> str:
    """kube-proxy's: Services by nftables, known a moment after their pods are ready, and no setting of the kernel's."""
    config = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "clientConnection": {"kubeconfig": f"{DATA}/kubeconfigs/kube-proxy"},
        "hostnameOverride": node,
        "mode": "nftables",
        "clusterCIDR": POD_NETWORK,
        "nftables": {"minSyncPeriod": "100ms"},
        # Zero leaves alone: these settings are the whole machine's.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    return json.dumps(config, indent=2)


def core_dns() -> str:
    """CoreDNS's: the cluster's names, and no others."""
    return f"""
.:53 {{
    bind {ADDRESS}
    errors
    ready {ADDRESS}:{DNS_READY_PORT}
    kubernetes {CLUSTER_DOMAIN} in-addr.arpa ip6.arpa {{
        kubeconfig {DATA}/kubeconfigs/coredns
        ttl 1
    }}
    cache 1
}}
"""


def roles() -> str:
    """What must be allowed beyond Kubernetes' own roles: DNS reads what it names."""
    rules = [
        {"apiGroups": [""], "resources": ["services", "namespaces", "pods", "endpoints"], "verbs": ["list", "watch"]},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"]},
    ]
    rbac = "rbac.authorization.k8s.io"
    items = [
        {"apiVersion": f"{rbac}/v1", "kind": "ClusterRole", "metadata": {"name": "coredns"}, "rules": rules},
        {
            "apiVersion": f"{rbac}/v1",
            "kind": "ClusterRoleBinding",
            "metadata": {"name": "coredns"},
            "roleRef": {"apiGroup": rbac, "kind": "ClusterRole", "name": "coredns"},
            "subjects": [{"apiGroup": rbac, "kind": "User", "name": "coredns"}],
        },
    ]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items})
