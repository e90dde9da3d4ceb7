"""What the listeners hold: the certificate of now, which changes under them."""

import os
import ssl
from collections.abc import Callable

import grpc
import structlog

from pointsman_operator.tls.certificates import CertificateError, KeyPair, check_bundle, check_pair, validity

log = structlog.get_logger(__name__)


class ServingCertificates:
    """The server's certificate and the bundle that clients must trust. Belongs to one event loop.

    Empty until the first `put`: a listener that is opened before it can serve nobody.
    """

    def __init__(self) -> None:
        self.ssl_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.ssl_context.minimum_version = ssl.TLSVersion.TLSv1_2
        self.ca_bundle = b""
        self._pair: KeyPair | None = None
        self._callbacks: list[Callable[[], None]] = []

    @property
    def ready(self) -> bool:
        """Whether there is a certificate."""
        return self._pair is not None

    def on_change(self, callback: Callable[[], None]) -> None:
        """Call `callback` after each change of the certificate or the bundle; it must be quick."""
        self._callbacks.append(callback)

    def put(self, pair: KeyPair, *, ca_bundle: bytes) -> None:
        """Serve this from now on; connections that stand are left alone. Raise CertificateError if it is unusable."""
        if (pair, ca_bundle) == (self._pair, self.ca_bundle):
            return
        check_pair(pair)
        check_bundle(ca_bundle)
        _load(self.ssl_context, pair)
        self._pair, self.ca_bundle = pair, ca_bundle
        log.info("serving with another certificate or CA", ends=validity(pair.certificate).ends.isoformat())
        for callback in self._callbacks:
            callback()

    def grpc_credentials(self) -> grpc.ServerCredentials:
        """For a gRPC server, once there is a certificate. Each connection gets the one that is served when it comes."""
        if self._pair is None:
            raise RuntimeError("there is no certificate to serve yet")
        given = self._pair

        # Called by gRPC for each connection, in threads of its own. None says that nothing has changed, and must: gRPC
        # frees what it served with when it is given something, though another connection's handshake may be about to
        # use it (https://github.com/grpc/grpc/issues/36693). A few hundred connections at once ended the process so.
        def changed() -> grpc.ServerCertificateConfiguration | None:
            nonlocal given
            pair = self._pair
            if pair is None or pair is given:
                return None
            given = pair
            return _configuration(pair)

        # The stubs do not know that None is an answer.
        return grpc.dynamic_ssl_server_credentials(_configuration(given), changed)  # type: ignore[arg-type]


def _configuration(pair: KeyPair) -> grpc.ServerCertificateConfiguration:
    return grpc.ssl_server_certificate_configuration([(pair.key, pair.certificate)])


def _load(context: ssl.SSLContext, pair: KeyPair) -> None:
    """Load from memory, which Python can only do by way of a file: one that has no name and never reaches a disk."""
    with os.fdopen(os.memfd_create("certificate"), "wb") as file:
        file.write(pair.key + pair.certificate)
        file.flush()
        try:
            context.load_cert_chain(f"/proc/self/fd/{file.fileno()}")
        except ssl.SSLError as error:
            raise CertificateError(f"the certificate cannot be served: {error.reason}") from error
