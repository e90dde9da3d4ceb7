"""How to reach the API server, and as whom: for the Kubernetes client and for kopf alike."""

import os
from dataclasses import dataclass
from pathlib import Path

import kopf
from kubernetes.aio import config
from kubernetes.aio.client.configuration import Configuration

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


class NoConnectionError(Exception):
    """It is not known how to reach the API server; the message says what to set."""


@dataclass(frozen=True, kw_only=True)
class Connector:
    """Reads the connection anew each time that it is asked, since tokens and certificates are exchanged while we run.

    An explicit kubeconfig wins; else the pod's service account; else KUBECONFIG; else the user's own kubeconfig.
    """

    kubeconfig: str = ""
    context: str = ""

    async def configuration(self) -> Configuration:
        """The connection, for the Kubernetes client. Raise NoConnectionError if there is none."""
        loaded = Configuration()
        try:
            if not self.kubeconfig and "KUBERNETES_SERVICE_HOST" in os.environ:
                config.load_incluster_config(client_configuration=loaded)  # type: ignore[no-untyped-call]
            else:
                await self._load_kubeconfig(loaded)
        except (config.ConfigException, OSError, ValueError) as error:
            raise NoConnectionError(
                f"no connection to Kubernetes: {error}; name a kubeconfig with --kubeconfig, or run in a pod"
            ) from error
        return loaded

    async def kopf_connection(self) -> kopf.ConnectionInfo:
        """The same connection, for kopf."""
        loaded = await self.configuration()
        header = await loaded.get_api_key_with_prefix("BearerToken", alias="authorization")
        scheme, _, token = (header or "").rpartition(" ")
        return kopf.ConnectionInfo(
            server=loaded.host,
            ca_path=loaded.ssl_ca_cert,
            insecure=not loaded.verify_ssl,
            scheme=scheme or None,
            token=token or None,
            certificate_path=loaded.cert_file,
            private_key_path=loaded.key_file,
            proxy_url=loaded.proxy,
        )

    async def _load_kubeconfig(self, loaded: Configuration) -> None:
        files = self.kubeconfig or os.environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")
        if not _any_file(files.split(os.pathsep)):
            raise FileNotFoundError(f"there is no kubeconfig {files}")
        await config.load_kube_config(  # type: ignore[no-untyped-call]
            config_file=files, context=self.context or None, client_configuration=loaded
        )


def _any_file(paths: list[str]) -> bool:
    # KUBECONFIG may name several, of which some may be missing.
    return any(Path(path).expanduser().is_file() for path in paths if path)
