"""The authorities as a Secret holds them, and how a Secret is reached."""

import base64
import binascii
from collections.abc import Mapping
from typing import Any, Protocol

from pointsman_operator.tls.certificates import CertificateError, KeyPair, check_bundle, check_pair
from pointsman_operator.tls.rotation import Authorities

NAME = "pointsman-ca"
_SIGNING = ("ca.crt", "ca.key")
_FOLLOWING = ("next.crt", "next.key")
_RETIRED = "retired.crt"
_END = b"-----END CERTIFICATE-----\n"


class SecretConflictError(Exception):
    """Somebody else wrote first: read again."""


class SecretUnavailableError(Exception):
    """The Secret cannot be read or written now; the message says why."""


class Secrets(Protocol):
    """Secrets of the operator's namespace. Each call may raise SecretUnavailableError."""

    async def read_secret(self, name: str) -> Mapping[str, Any] | None:
        """The Secret as it stands; None where there is none."""

    async def create_secret(self, name: str, data: Mapping[str, str]) -> None:
        """Make it. Raise SecretConflictError if it is there."""

    async def write_secret(self, name: str, data: Mapping[str, str | None], *, resource_version: str) -> None:
        """Set these entries, and remove those that are None. Raise SecretConflictError if it has changed or gone."""


def read(secret: Mapping[str, Any]) -> Authorities:
    """The authorities of a Secret. Raise CertificateError if they are not what we write."""
    data = secret.get("data") or {}
    signing = _pair(data, _SIGNING)
    if signing is None:
        raise CertificateError(f"{_SIGNING[0]} is missing")
    retired = _entry(data, _RETIRED)
    if retired:
        check_bundle(retired)
    return Authorities(
        signing=signing,
        following=_pair(data, _FOLLOWING),
        retired=tuple(part + _END for part in retired.split(_END) if part),
    )


def written(authorities: Authorities) -> dict[str, str | None]:
    """The entries of a Secret that holds these."""
    entries: dict[str, bytes | None] = {_RETIRED: b"".join(authorities.retired) or None}
    for names, pair in ((_SIGNING, authorities.signing), (_FOLLOWING, authorities.following)):
        entries[names[0]] = None if pair is None else pair.certificate
        entries[names[1]] = None if pair is None else pair.key
    return {name: None if value is None else base64.b64encode(value).decode() for name, value in entries.items()}


def _pair(data: Mapping[str, str], names: tuple[str, str]) -> KeyPair | None:
    certificate, key = (_entry(data, name) for name in names)
    if not certificate and not key:
        return None
    pair = KeyPair(certificate=certificate, key=key)
    try:
        check_pair(pair)
    except CertificateError as error:
        raise CertificateError(f"{names[0]} and {names[1]}: {error}") from error
    return pair


def _entry(data: Mapping[str, str], name: str) -> bytes:
    try:
        return base64.b64decode(data.get(name, ""), validate=True)
    except binascii.Error as error:
        raise CertificateError(f"{name} is not base64") from error
