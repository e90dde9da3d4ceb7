"""What `kubectl get` shows: conditions and counts.

`conditions`, `pods`, `policies`, `providers` and `views` are pure: from what is known to the status that should stand
there. `Census` knows the pods that asked for a sidecar, and counts them for Prometheus.
`StatusWriter` does the I/O: it writes where the two differ, and nowhere else.
"""

from pointsman_operator.status.census import Census
from pointsman_operator.status.policies import PolicyView, SidecarView, policy_status
from pointsman_operator.status.providers import provider_status
from pointsman_operator.status.views import views_of
from pointsman_operator.status.writer import (
    StatusConflictError,
    StatusMetrics,
    StatusUnavailableError,
    StatusWriter,
)

__all__ = [
    "Census",
    "PolicyView",
    "SidecarView",
    "StatusConflictError",
    "StatusMetrics",
    "StatusUnavailableError",
    "StatusWriter",
    "policy_status",
    "provider_status",
    "views_of",
]
