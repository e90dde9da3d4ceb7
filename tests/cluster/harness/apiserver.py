"""A real etcd and kube-apiserver on 127.0.0.1, without root, controllers or nodes.

Starts, restarts and stops the two and says how to reach them; what is done with them is the caller's.
"""

import contextlib
import json
import secrets
import shutil
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Self

from cluster.harness.binaries import Binaries
from cluster.harness.commands import api_server_command, etcd_command
from cluster.harness.processes import Process, answers_ok

READY_SECONDS = 40


class ApiServer:
    """Runs from `with` to the end of its block. Its logs stay in the folder, its data does not."""

    def __init__(self, *, binaries: Binaries, folder: Path) -> None:
        self.kubeconfig = folder / "kubeconfig"
        self.logs = folder / "logs"
        self._binaries = binaries
        self._data = folder / "data"
        self._pki = folder / "pki"
        self._tokens = folder / "tokens.csv"
        self._admin_token = secrets.token_urlsafe()
        self._etcd_port, self._peer_port, self._port = free_ports(3)
        self._etcd: Process | None = None
        self._apiserver: Process | None = None

    def __enter__(self) -> Self:
        self.logs.mkdir(parents=True)
        self._tokens.touch(mode=0o600)
        self._tokens.write_text(f"{self._admin_token},admin,admin,system:masters\n")
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.stop)
            self._etcd = self._start_etcd()
            self._apiserver = self._start_apiserver()
            on_error.pop_all()
        self._write_kubeconfig()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def restart(self) -> None:
        """Kill the API server as a crash would, and start it again on the same port and data."""
        with self.away():
            pass

    @contextlib.contextmanager
    def away(self) -> Iterator[None]:
        """Kill the API server as a crash would; after the block it is there again, on the same port and data."""
        if self._apiserver is not None:
            self._apiserver.kill()
        try:
            yield
        finally:
            self._apiserver = self._start_apiserver()

    @property
    def pids(self) -> dict[str, int]:
        """The processes that run now, by the names of their programs."""
        running = {"etcd": self._etcd, "kube-apiserver": self._apiserver}
        return {name: process.pid for name, process in running.items() if process is not None}

    def stop(self) -> None:
        """Stop both, the API server first, and remove their data."""
        for process in (self._apiserver, self._etcd):
            if process is not None:
                process.stop()
        shutil.rmtree(self._data, ignore_errors=True)

    def _start_etcd(self) -> Process:
        client, peer = (f"http://127.0.0.1:{port}" for port in (self._etcd_port, self._peer_port))
        etcd = Process(
            "etcd",
            etcd_command(self._binaries.path("etcd"), data=self._data, client=client, peer=peer),
            log=self.logs / "etcd.log",
        )
        etcd.wait_until_ready(lambda: answers_ok(self._etcd_port, "/readyz"), seconds=READY_SECONDS)
        return etcd

    def _start_apiserver(self) -> Process:
        certificate = self._pki / "apiserver.crt"
        server = Process(
            "kube-apiserver",
            [
                *api_server_command(
                    self._binaries.path("kube-apiserver"),
                    etcd=f"http://127.0.0.1:{self._etcd_port}",
                    port=self._port,
                    pki=self._pki,
                    tokens=self._tokens,
                ),
                "--bind-address=127.0.0.1",
                "--advertise-address=127.0.0.1",
                "--authorization-mode=RBAC",
                # Both need what this tier has not: a controller that makes each namespace's default service
                # account, and an address other than loopback for the `kubernetes` Service to point to.
                "--disable-admission-plugins=ServiceAccount",
                "--endpoint-reconciler-type=none",
            ],
            log=self.logs / "kube-apiserver.log",
        )
        bearer = {"Authorization": f"Bearer {self._admin_token}"}
        server.wait_until_ready(
            lambda: answers_ok(self._port, "/readyz", ca_file=certificate, headers=bearer),
            seconds=READY_SECONDS,
        )
        return server

    def _write_kubeconfig(self) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "clusters": [
                {
                    "name": "tests",
                    "cluster": {
                        "server": f"https://127.0.0.1:{self._port}",
                        "certificate-authority": str(self._pki / "apiserver.crt"),
                    },
                }
            ],
            "users": [{"name": "admin", "user": {"token": self._admin_token}}],
            "contexts": [{"name": "tests", "context": {"cluster": "tests", "user": "admin"}}],
            "current-context": "tests",
        }
        self.kubeconfig.touch(mode=0o600)
        self.kubeconfig.write_text(json.dumps(config, indent=2))  # JSON is YAML


def free_ports(count: int) -> list[int]:
    """Ports of 127.0.0.1 that are free now."""
    with contextlib.ExitStack() as held:  # all held at once, or the same port would be found twice
        sockets = [held.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]
