"""Keys and certificates: made, written as PEM, and read back. Takes the time that it is, and does no I/O."""

import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.types import PrivateKeyTypes
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# Clocks differ: a certificate made here must be good already where the clock is behind.
_BACKDATED = timedelta(minutes=5)
_COMMON_NAME = "Pointsman CA"


class CertificateError(Exception):
    """A certificate or key cannot be read or used; the message says which, and never shows a key."""


@dataclass(frozen=True, kw_only=True)
class KeyPair:
    """A certificate (or a chain, the leaf first) and its key, as PEM."""

    certificate: bytes
    key: bytes = field(repr=False)


@dataclass(frozen=True, kw_only=True)
class Validity:
    """From when to when a certificate is good. `begins` is when it was made, and not when it was dated to."""

    begins: datetime
    ends: datetime


def make_authority(*, now: datetime, lifetime: timedelta) -> KeyPair:
    """A new CA that signs itself, and may sign leaves only."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, _COMMON_NAME)])
    identifier = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
    certificate = (
        _builder(now=now, ends=now + lifetime)
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(_key_usage(signs_certificates=True), critical=True)
        .add_extension(identifier, critical=False)
        .sign(key, hashes.SHA256())
    )
    return KeyPair(certificate=_pem(certificate), key=_key_pem(key))


def make_leaf(authority: KeyPair, *, names: Sequence[str], now: datetime, lifetime: timedelta) -> KeyPair:
    """A new server certificate for these names, which ends no later than the authority does.

    Raise CertificateError if the authority is none that `make_authority` made.
    """
    issuer, signer = _read_certificate(authority.certificate), _read_key(authority.key)
    if not isinstance(signer, ec.EllipticCurvePrivateKey):
        raise CertificateError("the CA's key is no ECDSA key")
    key = ec.generate_private_key(ec.SECP256R1())
    ends = min(now + lifetime, issuer.not_valid_after_utc)
    certificate = (
        _builder(now=now, ends=ends)
        .subject_name(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "pointsman-operator")]))
        .issuer_name(issuer.subject)
        .public_key(key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_key_usage(signs_certificates=False), critical=True)
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .add_extension(x509.SubjectAlternativeName([_general_name(name) for name in names]), critical=False)
        .add_extension(
            # Two authorities have the same name while one follows the other: this says which of them it was.
            x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()),
            critical=False,
        )
        .sign(signer, hashes.SHA256())
    )
    return KeyPair(certificate=_pem(certificate), key=_key_pem(key))


def validity(certificate: bytes) -> Validity:
    """When a certificate is good. Raise CertificateError if it cannot be read."""
    read = _read_certificate(certificate)
    return Validity(begins=read.not_valid_before_utc + _BACKDATED, ends=read.not_valid_after_utc)


def check_pair(pair: KeyPair) -> None:
    """Raise CertificateError unless the key is the certificate's."""
    if _read_certificate(pair.certificate).public_key() != _read_key(pair.key).public_key():
        raise CertificateError("the key is not the certificate's")


def check_bundle(bundle: bytes) -> None:
    """Raise CertificateError unless this is one certificate or several."""
    try:
        x509.load_pem_x509_certificates(bundle)
    except ValueError as error:
        raise CertificateError("there is no certificate in PEM form") from error


def _builder(*, now: datetime, ends: datetime) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BACKDATED)
        .not_valid_after(ends)
    )


def _key_usage(*, signs_certificates: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not signs_certificates,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=signs_certificates,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _general_name(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(name))
    except ValueError:
        return x509.DNSName(name)


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _key_pem(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _read_certificate(pem: bytes) -> x509.Certificate:
    try:
        return x509.load_pem_x509_certificate(pem)
    except ValueError as error:
        raise CertificateError("the certificate is not one in PEM form") from error


def _read_key(pem: bytes) -> PrivateKeyTypes:
    try:
        return serialization.load_pem_private_key(pem, password=None)
    except (TypeError, ValueError, UnsupportedAlgorithm):
        # Without its cause: what a parser says of a key may quote it.
        raise CertificateError("the key is not one in PEM form without a password") from None
