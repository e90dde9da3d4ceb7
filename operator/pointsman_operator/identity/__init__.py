"""Which pod a sidecar is in, proven by its service-account token.

Deciding is pure: `tokens` reads a token's own end, `reviews` judges what the API server says of it, and `cache` keeps
that for a short while. `Reviewer` asks the API server, never more often or more at once than it should;
`ProvenIdentity` adds the pod's labels, from the watch where it knows the pod; `Presence` cuts off sidecars whose pods
are gone.
"""

from pointsman_operator.identity.metrics import IdentityMetrics
from pointsman_operator.identity.pacing import Pacer
from pointsman_operator.identity.presence import Presence
from pointsman_operator.identity.proofs import Proofs, ProofUnavailableError
from pointsman_operator.identity.proven import ProvenIdentity
from pointsman_operator.identity.reviewer import Reviewer

__all__ = [
    "IdentityMetrics",
    "Pacer",
    "Presence",
    "ProofUnavailableError",
    "Proofs",
    "ProvenIdentity",
    "Reviewer",
]
