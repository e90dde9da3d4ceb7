"""Who is calling. The way to know it is exchangeable; today there is only the sidecar's own claim."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

from pointsman_api.v1 import control_pb2 as control

_MOST_LABELS = 256
_LABEL = r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?"
_DNS_LABEL = re.compile(_LABEL)
_DNS_NAME = re.compile(rf"(?=.{{1,253}}$){_LABEL}(\.{_LABEL})*")


class UnidentifiedError(Exception):
    """Who is calling cannot be known; the message is a sentence for whoever runs the sidecar."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The pod that a sidecar is in."""

    namespace: str
    pod: str
    labels: Mapping[str, str]


class Identifier(Protocol):
    """A way to know who is calling."""

    async def identify(self, hello: control.Hello) -> Peer:
        """Return the pod, or raise UnidentifiedError."""


class ClaimedIdentity:
    """Believes what a sidecar says of itself: for development, and for both planes in one process."""

    async def identify(self, hello: control.Hello) -> Peer:
        """Return the pod that the hello claims."""
        claimed = hello.claimed_identity
        if not hello.HasField("claimed_identity"):
            raise UnidentifiedError("the hello claims no identity; start the sidecar with its namespace and pod")
        if not _DNS_LABEL.fullmatch(claimed.namespace):
            raise UnidentifiedError(
                f"the claimed namespace {claimed.namespace[:63]!r} cannot be the name of a namespace"
            )
        if not _DNS_NAME.fullmatch(claimed.pod):
            raise UnidentifiedError(f"the claimed pod {claimed.pod[:253]!r} cannot be the name of a pod")
        if len(claimed.labels) > _MOST_LABELS:
            raise UnidentifiedError(f"the claimed pod has more than {_MOST_LABELS} labels")
        return Peer(namespace=claimed.namespace, pod=claimed.pod, labels=dict(claimed.labels))


class NoIdentity:
    """Believes nobody, since no proof can be checked yet."""

    async def identify(self, hello: control.Hello) -> Peer:  # noqa: ARG002 - the protocol's signature
        """Refuse."""
        raise UnidentifiedError(
            "this operator believes no claimed identity, and cannot check a token yet; "
            "for development, start it with --insecure-claimed-identity"
        )
