"""The operator's eyes and hands in the cluster: all that talks to the Kubernetes API, and nothing that decides.

kopf watches policies, providers and namespaces from a thread of its own; the Kubernetes client lists them, now and then
and when asked, watches the Secrets of the operator's own namespace, and writes statuses. `Keeper` brings the news of
all of them together into one world and hands that to the hub.
"""

from pointsman_operator.watch.cluster import Cluster, ClusterError
from pointsman_operator.watch.connection import Connector, NoConnectionError
from pointsman_operator.watch.keeper import Keeper, WatchMetrics
from pointsman_operator.watch.kopf_thread import KopfThread

__all__ = [
    "Cluster",
    "ClusterError",
    "Connector",
    "Keeper",
    "KopfThread",
    "NoConnectionError",
    "WatchMetrics",
]
