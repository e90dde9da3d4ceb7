"""A node of our own: a whole Kubernetes on one machine, in a world of its own.

Starts its parts, kills and restarts any of them, loads images, and says how tests reach it.
"""

import contextlib
import os
import secrets
import shutil
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from cluster.harness.apiserver import free_ports
from cluster.harness.cluster import Cluster
from cluster.harness.kubectl import Kubectl, KubectlError
from cluster.harness.node import configs
from cluster.harness.node.archives import write_image
from cluster.harness.node.helm import Helm
from cluster.harness.node.machine import path_with_system_folders
from cluster.harness.node.parts import PARTS, Locate, command_of
from cluster.harness.node.world import ADDRESS, DATA, World, kill, opened
from cluster.harness.processes import Process, wait_until

NAME = "node"
READY_SECONDS = 90
# Of a line of a container's log: when, stdout or stderr, whether it is whole, and what was written.
_LOG_FIELDS = 4


class NodeError(Exception):
    """The node refused a command; the message holds what was said."""


class OwnNode:
    """A running node. Its logs stay in the folder, its data does not."""

    def __init__(self, *, world: World, folder: Path, locate: Locate) -> None:
        self.logs = folder / "logs"
        self._folder = folder
        self._world = world
        self._locate = locate
        self._path = path_with_system_folders(os.environ)
        self._running: dict[str, Process] = {}
        self._port = free_ports(1)[0]
        kubectl = Kubectl(binary=locate("kubectl"), kubeconfig=folder / "kubeconfig", cache=folder / "discovery")
        self.cluster = Cluster(kubectl=kubectl, folder=folder, has_controllers=True)
        self.helm = Helm(binary=locate("helm"), kubeconfig=kubectl.kubeconfig, folder=folder / "helm")

    def load_image(self, archive: Path) -> None:
        """Make an image known to the node, from a docker-archive; pods then use it by the name in the archive."""
        done = self._ctr("--namespace", "k8s.io", "images", "import", archive)
        if done.returncode != 0:
            raise NodeError(f"containerd refused {archive}: {done.stderr.strip()}")

    def inside(
        self, command: Sequence[str | Path], *, network_only: bool = False, seconds: float = 30
    ) -> subprocess.CompletedProcess[str]:
        """Run a command where Services and pods can be reached by their addresses.

        With `network_only` it sees this machine's files and processes, as a client of the cluster should.
        """
        return subprocess.run(
            self._world.enter(command, network_only=network_only),
            env={**os.environ, "PATH": self._path},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=seconds,
            check=False,
        )

    def enter(self, command: Sequence[str | Path]) -> list[str | Path]:
        """The command that runs this command in the node's network, for processes that a test starts itself."""
        return self._world.enter(command, network_only=True)

    def kill_container(self, namespace: str, pod: str, container: str) -> None:
        """Kill a pod's container as a crash would, without a word to anybody; the kubelet starts it again."""
        labels = {"pod.namespace": namespace, "pod.name": pod, "container.name": container}
        wanted = ",".join(f'labels."io.kubernetes.{name}"=={value}' for name, value in labels.items())
        found = self._ctr("--namespace", "k8s.io", "containers", "ls", "-q", wanted).stdout.split()
        # Those that ended before are still listed, and have no task to kill.
        done = [self._ctr("--namespace", "k8s.io", "tasks", "kill", "-s", "SIGKILL", each) for each in found]
        if not any(each.returncode == 0 for each in done):
            raise NodeError(f"container {container} of pod {namespace}/{pod} does not run")

    def said(self, namespace: str, pod: str, container: str) -> list[str]:
        """The lines that a pod's containers of this name have written so far, read where no API server is needed."""
        files = sorted((self._world.data / "pod-logs").glob(f"{namespace}_{pod}_*/{container}/*.log"))
        lines = [line.split(" ", 3) for file in files for line in file.read_text().splitlines()]
        return [line[3] for line in lines if len(line) == _LOG_FIELDS]

    def signing_key(self) -> bytes:
        """The key that service accounts' tokens are signed with, for tests that forge what time alone would bring."""
        return (self._world.data / "pki" / "apiserver.key").read_bytes()

    def kill(self, part: str) -> None:
        """Kill a part as a crash would; it stays down until `start`."""
        kill(self._running.pop(part))

    def start(self, part: str) -> None:
        """Start a part that is down, and wait until it serves again."""
        self._launch(part)
        ready = {
            "etcd": self._api_ready,
            "containerd": lambda: self._ctr("version").returncode == 0,
            "kube-apiserver": self._api_ready,
            "kubelet": self._kubelet_ready,
        }
        if part in ready:
            self._running[part].wait_until_ready(ready[part], seconds=READY_SECONDS)

    def restart(self, part: str) -> None:
        """Kill a part and start it again."""
        self.kill(part)
        self.start(part)

    def bring_up(self) -> None:
        """Start every part, and wait until pods can run."""
        self.logs.mkdir(exist_ok=True)
        self._write_files()
        self._forward_api()
        with ThreadPoolExecutor(1) as beside:
            for part in PARTS[:2]:
                self._launch(part)
            imported = beside.submit(self._import_pause)
            self._launch("kube-apiserver")
            self._running["kube-apiserver"].wait_until_ready(self._api_ready, seconds=READY_SECONDS)
            self.cluster.apply(configs.roles())
            for part in PARTS[3:]:
                self._launch(part)
            imported.result()
        for part, ready in {
            "kube-proxy": lambda: self._accepts(configs.PROXY_HEALTH_PORT),
            "coredns": lambda: self._accepts(configs.DNS_READY_PORT),
            "kubelet": self._node_ready,
        }.items():
            self._running[part].wait_until_ready(ready, seconds=READY_SECONDS)
        for part, process in self._running.items():
            if (code := process.exit_code()) is not None:
                raise NodeError(f"{part} ended with {code}. {process.end_of_log()}")

    def take_down(self) -> None:
        """Keep what pods said, and end the world, which nothing outlives: so nothing needs an orderly end."""
        with contextlib.suppress(KubectlError):
            said = self.cluster.kubectl("get", "pods,events", "--all-namespaces", "-o", "wide", check=False, seconds=5)
            (self.logs / "pods-and-events.txt").write_text(said.stdout + said.stderr)
        shutil.copytree(self._world.data / "pod-logs", self.logs / "pods", dirs_exist_ok=True)
        self._world.end()
        for process in reversed(self._running.values()):
            process.kill()
        self._running.clear()

    def _launch(self, part: str) -> None:
        command = command_of(part, node=NAME, locate=self._locate)
        self._running[part] = Process(
            part,
            self._world.enter(command),
            log=self.logs / f"{part}.log",
            env={"PATH": self._path},
        )

    def _write_files(self) -> None:
        data = self._world.data
        tokens = {user: secrets.token_urlsafe() for user in configs.users(node=NAME)}
        for folder in ("cni", "kubeconfigs", "pki", "pod-logs"):
            (data / folder).mkdir(mode=0o700)
        for file, text in {
            "containerd.toml": configs.containerd(),
            "cni/pods.conflist": configs.pod_network(),
            "kubelet.json": configs.kubelet(cgroup_root=self._world.name),
            "kube-proxy.json": configs.kube_proxy(node=NAME),
            "Corefile": configs.core_dns(),
            "tokens.csv": configs.token_file(node=NAME, tokens=tokens),
        }.items():
            _write_secret(data / file, text)
        for user, token in tokens.items():
            server = f"https://{ADDRESS}:{configs.API_PORT}"
            text = configs.kubeconfig(server=server, ca_file=f"{DATA}/pki/apiserver.crt", token=token)
            _write_secret(data / "kubeconfigs" / user, text)
        # The server's certificate names localhost, and no other address of this machine.
        server = f"https://localhost:{self._port}"
        ca_file = str(data / "pki" / "apiserver.crt")
        _write_secret(
            self.cluster.kubeconfig, configs.kubeconfig(server=server, ca_file=ca_file, token=tokens["admin"])
        )
        _make_client_certificate(data / "pki", path=self._path)

    def _forward_api(self) -> None:
        """Let this machine reach the API server, and nothing else of the node, on a port of 127.0.0.1."""
        connect = ["socat", "STDIO", f"TCP:{ADDRESS}:{configs.API_PORT}"]
        inside = " ".join(map(str, self._world.enter(connect, network_only=True))).replace(":", r"\:")
        self._running["forward"] = Process(
            "forward",
            ["socat", f"TCP-LISTEN:{self._port},bind=127.0.0.1,reuseaddr,fork", f"EXEC:{inside}"],
            log=self.logs / "forward.log",
            env={"PATH": self._path},
        )

    def _import_pause(self) -> None:
        archive = self._folder / "pause.tar"
        write_image(archive, name=configs.PAUSE_IMAGE, program=self._locate("pause"))
        wait_until(lambda: self._ctr("version").returncode == 0, seconds=READY_SECONDS, what="containerd serves")
        self.load_image(archive)
        archive.unlink()

    def _ctr(self, *arguments: str | Path) -> subprocess.CompletedProcess[str]:
        return self.inside(["ctr", "--address", configs.CONTAINERD_SOCKET, *arguments], seconds=120)

    def _api_ready(self) -> bool:
        return self.cluster.kubectl("get", "--raw", "/readyz", check=False).stdout == "ok"

    def _kubelet_ready(self) -> bool:
        return self.cluster.kubectl("get", "--raw", f"/api/v1/nodes/{NAME}/proxy/healthz", check=False).stdout == "ok"

    def _node_ready(self) -> bool:
        jsonpath = '{.status.conditions[?(@.type=="Ready")].status}'
        return self.cluster.kubectl("get", "node", NAME, "-o", f"jsonpath={jsonpath}", check=False).stdout == "True"

    def _accepts(self, port: int) -> bool:
        probe = ["socat", "-u", "OPEN:/dev/null", f"TCP:{ADDRESS}:{port}"]
        return self.inside(probe, network_only=True).returncode == 0


@contextmanager
def running(*, folder: Path, locate: Locate, records: Path, environ: Mapping[str, str]) -> Iterator[OwnNode]:
    """A node, from its first process to its last."""
    folder.joinpath("logs").mkdir(parents=True, exist_ok=True)
    with opened(
        name=f"pointsman-{secrets.token_hex(4)}",
        data=folder / "data",
        pause=locate("pause"),
        log=folder / "logs" / "world.log",
        records=records,
        path=path_with_system_folders(environ),
    ) as world:
        node = OwnNode(world=world, folder=folder, locate=locate)
        try:
            node.bring_up()
            yield node
        finally:
            node.take_down()


def _make_client_certificate(folder: Path, *, path: str) -> None:
    subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
         "-subj", "/O=system:masters/CN=kube-apiserver", "-days", "2",
         "-keyout", folder / "kubelet-client.key", "-out", folder / "kubelet-client.crt"],
        env={"PATH": path},
        capture_output=True,
        check=True,
    )  # fmt: skip


def _write_secret(file: Path, text: str) -> None:
    file.touch(mode=0o600)
    file.write_text(text)
