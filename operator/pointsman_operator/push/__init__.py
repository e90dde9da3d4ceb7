"""To the sidecars: what each is to have in force, and the streams that bring it there.

Runs in any event loop and without Kubernetes. Deciding is pure: `verdicts` (one for each policy) and `targets` (one for
each sidecar) say what should be, `Session` says what a sidecar has, and its `next_update` is the difference. The `Hub`
keeps the three up to date; `ControlService` does the I/O.

    hub = Hub(secrets_namespace="pointsman-system", metrics=HubMetrics(registry))
    service = ControlService(hub, identifier=ClaimedIdentity(), relist=relist)
    control_pb2_grpc.add_ControlServicer_to_server(service, server)
    hub.update(world)      # whenever the world changed, on the server's loop
    hub.trust(ca_bundle)   # which authorities they must trust from now on
    hub.sidecars()         # who is connected and what they have
    hub.verdicts()         # which policies compile, and why the others do not
    service.close()        # before server.stop(): streams end with UNAVAILABLE, so that sidecars reconnect
"""

from pointsman_operator.push.facts import SidecarFacts, facts_of
from pointsman_operator.push.hub import Hub, News
from pointsman_operator.push.identity import (
    ClaimedIdentity,
    Identifier,
    IdentityUnavailableError,
    Peer,
    UnidentifiedError,
)
from pointsman_operator.push.metrics import HubMetrics
from pointsman_operator.push.service import ControlService, RelistError
from pointsman_operator.push.session import Counted, Held, Rejection, Session
from pointsman_operator.push.targets import Target
from pointsman_operator.push.tunings import Published, Tunings
from pointsman_operator.push.verdicts import Verdict

__all__ = [
    "ClaimedIdentity",
    "ControlService",
    "Counted",
    "Held",
    "Hub",
    "HubMetrics",
    "Identifier",
    "IdentityUnavailableError",
    "News",
    "Peer",
    "Published",
    "Rejection",
    "RelistError",
    "Session",
    "SidecarFacts",
    "Target",
    "Tunings",
    "UnidentifiedError",
    "Verdict",
    "facts_of",
]
