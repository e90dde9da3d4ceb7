"""Several operators on one API server, as real processes."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

from cluster.harness.apiserver import free_ports
from cluster.harness.cluster import Cluster
from cluster.harness.processes import wait_until
from cluster.operators import Operator, create_token, operators_namespace, start_operator

SECONDS = 20


@dataclass(kw_only=True)
class Operators:
    """The replicas of one operator."""

    cluster: Cluster
    folder: Path
    namespace: str
    running: dict[str, Operator] = field(default_factory=dict)

    @classmethod
    @contextmanager
    def none_yet(cls, cluster: Cluster, folder: Path) -> Iterator[Self]:
        """None yet, in a namespace of their own; all are ended with it."""
        made = cls(cluster=cluster, folder=folder, namespace=operators_namespace(cluster))
        try:
            yield made
        finally:
            for operator in made.running.values():
                operator.process.stop()

    def start(self, name: str, *options: str) -> Operator:
        """One more replica, of this name; one that was killed comes back at its address."""
        address = self.running[name].address if name in self.running else f"127.0.0.1:{free_ports(1)[0]}"
        token = self.folder / f"{name}.token"
        token.write_text(self._token(name))
        told = (
            f"--lease={self.namespace}",
            "--lease-duration=5s",
            f"--replica={name}",
            f"--advertise={address}",
            f"--replica-token-file={token}",
            *options,
        )
        started = start_operator(
            self.cluster, self.folder, namespace=self.namespace, listen=address, name=name, options=told
        )
        self.running[name] = started
        return started

    def holder(self) -> str:
        """The name of the replica that holds the Lease; empty where none does."""
        path = "-o=jsonpath={.spec.holderIdentity}"
        found = self.cluster.kubectl("get", "lease", self.namespace, "-n", self.namespace, path, check=False).stdout
        return found.partition("_")[0]

    def wait_for_holder(self, *names: str) -> str:
        """Wait until one of these holds the Lease."""
        wait_until(lambda: self.holder() in names, seconds=SECONDS, what=f"the Lease is held by one of {names}")
        return self.holder()

    def said(self, name: str, event: str) -> bool:
        """Whether a replica has logged this."""
        return f'"event": "{event}"' in self.running[name].process.log.read_text()

    def _token(self, name: str) -> str:
        """As the kubelet projects it into the replica's pod."""
        manifest = {
            "apiVersion": "v1",
            "kind": "Pod",
            "metadata": {"name": name},
            "spec": {"serviceAccountName": "operator", "containers": [{"name": "operator", "image": "operator"}]},
        }
        self.cluster.apply(json.dumps(manifest), namespace=self.namespace)
        bound = ("--bound-object-kind=Pod", f"--bound-object-name={name}")
        return create_token(
            self.cluster, self.namespace, "--audience=pointsman.dev/replica", *bound, account="operator"
        )
