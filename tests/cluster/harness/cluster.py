"""A Kubernetes as tests see it, whoever's it is: kubectl, fresh namespaces, users, and a clean end.

Knows nothing of how the cluster came to be, of pytest, or of what Pointsman's resources mean.
"""

import dataclasses
import json
import secrets
from collections.abc import Mapping
from pathlib import Path
from subprocess import CompletedProcess

from cluster.harness.apiserver import ApiServer
from cluster.harness.kubectl import Kubectl


class Cluster:
    """A running cluster. `api_server` is there where it is ours to restart, else None.

    Where the cluster `has_controllers`, a namespace is ready for pods once it is made.
    """

    def __init__(
        self, *, kubectl: Kubectl, folder: Path, api_server: ApiServer | None = None, has_controllers: bool = False
    ) -> None:
        self.kubectl = kubectl
        self._has_controllers = has_controllers
        self.api_server = api_server
        self._folder = folder
        self._made: list[str] = []

    @property
    def kubeconfig(self) -> Path:
        """The administrator's kubeconfig."""
        return self.kubectl.kubeconfig

    def apply(self, text: str, *, namespace: str | None = None, check: bool = True) -> CompletedProcess[str]:
        """`kubectl apply` these documents; with `check` off a refusal is returned instead of raised."""
        where = [] if namespace is None else ["--namespace", namespace]
        return self.kubectl("apply", *where, "-f", "-", stdin=text, check=check)

    def unique(self, name: str) -> str:
        """A name that nobody else uses, for what is shared by the whole cluster."""
        return f"{name}-{secrets.token_hex(3)}"

    def namespace(self, name: str, labels: Mapping[str, str] | None = None) -> str:
        """Make a fresh namespace whose name begins with `name`, and return its whole name."""
        whole = self.unique(name)
        self._create("v1", "Namespace", {"name": whole, "labels": {**(labels or {})}})
        self.delete_at_end(f"namespace/{whole}")
        if self._has_controllers:
            self.kubectl("wait", "--for=create", "--timeout=25s", "-n", whole, "serviceaccount/default")
        return whole

    def kubeconfig_for(self, service_account: str, *, namespace: str) -> Path:
        """Make a service account, which may do nothing yet, and return a kubeconfig that acts as it."""
        self._create("v1", "ServiceAccount", {"name": service_account, "namespace": namespace})
        answer = self.kubectl(
            "create",
            "--raw",
            f"/api/v1/namespaces/{namespace}/serviceaccounts/{service_account}/token",
            "-f",
            "-",
            stdin=json.dumps({"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {}}),
        )
        config = json.loads(self.kubectl("config", "view", "--raw", "--minify", "--flatten", "-o", "json").stdout)
        config["users"][0]["user"] = {"token": json.loads(answer.stdout)["status"]["token"]}
        kubeconfig = self._folder / f"{namespace}.{service_account}.kubeconfig"
        kubeconfig.touch(mode=0o600)
        kubeconfig.write_text(json.dumps(config))
        return kubeconfig

    def kubectl_as(self, kubeconfig: Path) -> Kubectl:
        """The same kubectl, acting as another user."""
        return dataclasses.replace(self.kubectl, kubeconfig=kubeconfig)

    def install_crds(self, folder: Path) -> None:
        """Apply the CRDs of a folder and wait until the server serves them.

        Those that were there before are brought to this folder's version and left at the end: deleting a CRD
        deletes every object of its kind.
        """
        before = self.kubectl("get", "crds", "-o", "name").stdout.split()
        applied = self.kubectl("apply", "-f", folder, "-o", "name").stdout.split()
        self.delete_at_end(*(crd for crd in applied if crd not in before))
        self.kubectl("wait", "--for=condition=Established", "--timeout=25s", *applied)

    def delete_at_end(self, *resources: str) -> None:
        """Have `clean_up` delete these, each written as kind/name; for what lies in no fresh namespace."""
        self._made += resources

    def clean_up(self) -> None:
        """Delete what was made, the latest first."""
        if self._made:
            self.kubectl("delete", "--ignore-not-found", "--wait=false", *reversed(self._made))
            self._made.clear()

    def _create(self, api_version: str, kind: str, metadata: Mapping[str, object]) -> None:
        body = json.dumps({"apiVersion": api_version, "kind": kind, "metadata": metadata})
        self.kubectl("apply", "-f", "-", stdin=body)
