"""The webhooks that the API server asks before it stores something: pods that want a sidecar, and resources of ours.

`reviews`, `mutating` and `validating` are pure: from a review to its answer. `AdmissionServer` does the I/O, over TLS,
and asks nobody on the way: what it answers from is in memory, so that it goes on while the API server is busy with
itself. `CaBundles` tells the API server whom to trust.

    server = AdmissionServer(certificates=certificates, sidecar=sidecar, world=lambda: hub.world, ...)
    await server.start(address)
    server.problem()                               # why the API server would be answered nothing, or None
    await CaBundles(cluster, ...).run()            # until cancelled
"""

from pointsman_operator.admission.ca_bundles import CaBundles
from pointsman_operator.admission.metrics import AdmissionMetrics
from pointsman_operator.admission.server import AdmissionServer, Certificates

__all__ = ["AdmissionMetrics", "AdmissionServer", "CaBundles", "Certificates"]
