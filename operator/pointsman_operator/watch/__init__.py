"""The operator's eyes and hands in the cluster: all that talks to the Kubernetes API, and nothing that decides.

kopf watches policies, providers, quotas, namespaces and pods from a thread of its own; the Kubernetes client lists
them, now and then and when asked, watches the Secrets of the operator's own namespace, writes statuses, Events and the
CA's Secret, and has tokens reviewed. `Keeper` brings what is watched and listed together into one world
and hands that to the hub.
`Scan` looks for what no watch tells of: pods that asked for a sidecar and have none.
"""

from pointsman_operator.watch.cluster import Cluster, ClusterError
from pointsman_operator.watch.connection import Connector, NoConnectionError
from pointsman_operator.watch.keeper import Keeper, WatchMetrics
from pointsman_operator.watch.kopf_thread import KopfThread
from pointsman_operator.watch.own_lease import OwnLease
from pointsman_operator.watch.own_ledger import OwnLedger
from pointsman_operator.watch.own_secrets import OwnSecrets
from pointsman_operator.watch.own_tunings import OwnTunings
from pointsman_operator.watch.proofs import ClusterProofs
from pointsman_operator.watch.scan import Scan

__all__ = [
    "Cluster",
    "ClusterError",
    "ClusterProofs",
    "Connector",
    "Keeper",
    "KopfThread",
    "NoConnectionError",
    "OwnLease",
    "OwnLedger",
    "OwnSecrets",
    "OwnTunings",
    "Scan",
    "WatchMetrics",
]
