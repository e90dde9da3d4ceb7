"""What `kubectl get` shows: conditions and counts.

`amounts`, `conditions`, `events`, `pods`, `policies`, `providers`, `quotas`, `quota_events`, `splits` and `views` are
pure: from what is known to the status that should stand there. `Census` knows the pods that asked for a sidecar, and
counts them for Prometheus, as `QuotaGauges` does what statuses say of budgets.
`StatusWriter` and `QuotaWriter` do the I/O: they write where the two differ, and nowhere else. `SplitAnnouncer` makes
the Events of splits.
"""

from pointsman_operator.status.census import Census
from pointsman_operator.status.policies import PolicyView, SidecarView, policy_status
from pointsman_operator.status.providers import provider_status
from pointsman_operator.status.quota_metrics import QuotaGauges
from pointsman_operator.status.quota_writer import EventError, Ledger, QuotaWriter
from pointsman_operator.status.quotas import LedgerState, Standing, standings_in
from pointsman_operator.status.split_announcer import SplitAnnouncer
from pointsman_operator.status.splits import SplitView, split_views
from pointsman_operator.status.views import views_of
from pointsman_operator.status.writer import (
    StatusConflictError,
    StatusMetrics,
    StatusUnavailableError,
    StatusWriter,
)

__all__ = [
    "Census",
    "EventError",
    "Ledger",
    "LedgerState",
    "PolicyView",
    "QuotaGauges",
    "QuotaWriter",
    "SidecarView",
    "SplitAnnouncer",
    "SplitView",
    "Standing",
    "StatusConflictError",
    "StatusMetrics",
    "StatusUnavailableError",
    "StatusWriter",
    "policy_status",
    "provider_status",
    "split_views",
    "standings_in",
    "views_of",
]
