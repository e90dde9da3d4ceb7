"""Who is calling. The way to know it is exchangeable; the one here is to believe the sidecar's own claim."""

import math
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


class IdentityUnavailableError(Exception):
    """Who is calling cannot be known now, and may be later; the message is a sentence that says why."""


@dataclass(frozen=True, kw_only=True)
class Peer:
    """The pod that a sidecar is in.

    `uid` tells it from another pod of the same name; empty where it is only claimed. `workload` is what it is part of,
    such as Deployment/web. `expires` is when what proves it ends, in seconds since 1970.
    """

    namespace: str
    pod: str
    labels: Mapping[str, str]
    uid: str = ""
    workload: str = ""
    expires: float = math.inf


class Identifier(Protocol):
    """A way to know who is calling. Either call may raise UnidentifiedError or IdentityUnavailableError."""

    async def identify(self, hello: control.Hello) -> Peer:
        """Return the pod that a stream begins from."""

    async def renew(self, peer: Peer, token: str) -> Peer:
        """Return the same pod with a fresh proof."""


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
        return Peer(
            namespace=claimed.namespace,
            pod=claimed.pod,
            labels=dict(claimed.labels),
            workload=f"Pod/{claimed.pod}",
        )

    async def renew(self, peer: Peer, token: str) -> Peer:  # noqa: ARG002 - the protocol's signature
        """Return the pod as it was: a claim has no end."""
        return peer
