"""The commands that start etcd and kube-apiserver, as far as they are alike in every tier. Pure."""

from pathlib import Path


def etcd_command(binary: Path, *, data: Path, client: str, peer: str) -> list[str | Path]:
    """A single etcd that serves clients at one URL."""
    return [
        binary,
        f"--data-dir={data}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--unsafe-no-fsync",  # nothing here must outlive a power cut, and every write is faster
    ]


def api_server_command(binary: Path, *, etcd: str, port: int, pki: Path, tokens: Path) -> list[str | Path]:
    """A kube-apiserver that makes its own certificate; where it listens and whom it lets in is the caller's to add."""
    key = pki / "apiserver.key"
    return [
        binary,
        f"--etcd-servers={etcd}",
        f"--secure-port={port}",
        # The server makes its own certificate here, CA included, before it reads any key: so the same
        # key signs the service accounts' tokens, and no tool is needed to make one.
        f"--cert-dir={pki}",
        f"--service-account-signing-key-file={key}",
        f"--service-account-key-file={key}",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--token-auth-file={tokens}",
        "--service-cluster-ip-range=10.96.0.0/16",
    ]
