"""How operator and sidecar prove to each other who they are: whose certificates are trusted, and the pod's token."""

import hashlib
import ssl
from dataclasses import dataclass
from pathlib import Path

# The kubelet writes a fresh token when a fifth of its life is left, two minutes at the very least.
_LOOK_SECONDS = 10.0


class TokenError(Exception):
    """The pod's token cannot be read. The text says which file, and why."""


class TrustError(Exception):
    """What should be trusted are no certificates. The text says so."""


class Trust:
    """The authorities whose certificates are accepted: those that the pod began with, until the operator names others.

    What the operator named outlives a restart, as the pod itself does; in a folder of the pod's own, under the name of
    what it began with, so that another beginning finds nothing there.
    """

    def __init__(self, initial: bytes, *, folder: Path | None) -> None:
        check(initial)
        name = f"trust-{hashlib.sha256(initial).hexdigest()[:16]}.pem"
        self._path = None if folder is None else folder / name
        self.bundle = self._load() or initial

    def replace(self, bundle: bytes) -> None:
        """Trust these from the next connection on.

        Raises:
            TrustError: these are no certificates; what was trusted stays.
            OSError: they cannot be stored; they are trusted all the same.
        """
        check(bundle)
        if bundle == self.bundle:
            return
        self.bundle = bundle
        if self._path is not None:
            new = self._path.with_suffix(".new")
            new.write_bytes(bundle)
            new.replace(self._path)

    def _load(self) -> bytes | None:
        try:
            stored = None if self._path is None else self._path.read_bytes()
            if stored is not None:
                check(stored)
        except (OSError, TrustError):
            return None
        return stored


@dataclass(frozen=True, kw_only=True, slots=True)
class OperatorTls:
    """`name` is what the operator's certificate must be for, `token_file` what proves which pod this is."""

    name: str
    token_file: Path
    trust: Trust
    look_every: float = _LOOK_SECONDS

    def token(self) -> str:
        """The token of now: the kubelet exchanges it while we run.

        Raises:
            TokenError: there is none.
        """
        try:
            token = self.token_file.read_text(encoding="ascii").strip()
        except (OSError, UnicodeDecodeError) as error:
            why = error.strerror if isinstance(error, OSError) else "it holds something else"
            raise TokenError(f"the pod's token cannot be read from {self.token_file}: {why}") from error
        if not token:
            raise TokenError(f"the pod's token cannot be read from {self.token_file}: it is empty")
        return token


def check(bundle: bytes) -> None:
    """See whether these are certificates.

    Raises:
        TrustError: they are not.
    """
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cadata=bundle.decode("ascii"))
    except (ssl.SSLError, ValueError) as error:
        raise TrustError("there is no certificate in PEM form") from error
