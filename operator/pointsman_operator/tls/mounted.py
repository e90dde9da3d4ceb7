"""Certificates that something else makes, such as cert-manager, in a folder that is mounted into the pod."""

import asyncio
from pathlib import Path

import structlog

from pointsman_operator.tls.certificates import CertificateError, KeyPair
from pointsman_operator.tls.serving import ServingCertificates

log = structlog.get_logger(__name__)

BETWEEN_LOOKS_SECONDS = 10.0


class MountedCertificates:
    """Has `serving` follow the folder's tls.crt, tls.key and ca.crt, which the kubelet exchanges while we run."""

    def __init__(self, serving: ServingCertificates, *, folder: Path) -> None:
        self._serving = serving
        self._folder = folder

    async def start(self) -> None:
        """Serve what the folder holds now. Raise CertificateError if that is no certificate, key and CA."""
        self._load()

    def _load(self) -> None:
        pair = KeyPair(certificate=self._read("tls.crt"), key=self._read("tls.key"))
        try:
            self._serving.put(pair, ca_bundle=self._read("ca.crt"))
        except CertificateError as error:
            raise CertificateError(f"{self._folder} cannot be served: {error}") from error

    async def run(self) -> None:
        """Follow the folder until cancelled. What cannot be served leaves what is."""
        wrong = ""
        while True:
            try:
                self._load()
                wrong = ""
            except CertificateError as error:
                if str(error) != wrong:
                    wrong = str(error)
                    log.warning("the mounted certificate is not taken over", error=wrong)
            await asyncio.sleep(BETWEEN_LOOKS_SECONDS)

    def _read(self, name: str) -> bytes:
        try:
            return (self._folder / name).read_bytes()
        except OSError as error:
            raise CertificateError(
                f"{self._folder / name} cannot be read: {error.strerror}; mount a Secret with tls.crt, tls.key and "
                "ca.crt, as cert-manager makes it"
            ) from error
