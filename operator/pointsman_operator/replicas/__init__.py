"""Several operators as one: each serves its share of the sidecars, and the Lease's holder knows them all.

`Fleet` is what the holder was told of the others' sidecars, `reports` what is said of one's own; neither does I/O.
`Reporter` speaks to the holder and `ReplicasService` is spoken to. `spreading` decides, purely, whose sidecars are too
many; `Spreader` sends them away, so that they come to another replica.
"""

from pointsman_operator.replicas.fleet import Fleet, Totals
from pointsman_operator.replicas.identity import ReplicaIdentity, account_of
from pointsman_operator.replicas.link import HolderLink, TokenUnreadableError
from pointsman_operator.replicas.reporter import Reporter, token_in
from pointsman_operator.replicas.service import ReplicasService
from pointsman_operator.replicas.spreading import Spreader, drain

__all__ = [
    "Fleet",
    "HolderLink",
    "ReplicaIdentity",
    "ReplicasService",
    "Reporter",
    "Spreader",
    "TokenUnreadableError",
    "Totals",
    "account_of",
    "drain",
    "token_in",
]
