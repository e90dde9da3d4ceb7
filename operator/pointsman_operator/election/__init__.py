"""Which of the operator's replicas writes: the one that holds a Lease (coordination.k8s.io).

    elector = Elector(leases, me=Holder(name=..., address=...), ...)
    elector.subscribe(listener)     # called when it begins or ceases to lead, and when another one does
    await elector.run()
    await elector.release()         # before the end, so that the next need not wait for the Lease to run out

The Lease spares contention and fences nothing: whatever the holder writes is compare-and-swap of its own. So a holder
that was long asleep does no harm. What to do with a Lease is decided by a pure function; `Leases` does the I/O.
"""

from pointsman_operator.election.elector import Elector
from pointsman_operator.election.leases import LeaseConflictError, Leases, LeaseUnavailableError
from pointsman_operator.election.records import Holder, Record

__all__ = ["Elector", "Holder", "LeaseConflictError", "LeaseUnavailableError", "Leases", "Record"]
