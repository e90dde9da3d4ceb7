"""What the counts of all sidecars make of a policy's numbers: computed where the Lease is held, persisted, sent to all.

`Tallies` says what is new in what a sidecar counted; `states` takes that in and says what is to be sent, by the rules
of one module for each thing that is tuned (`thresholds`). All of them are pure. `TuningKeeper` runs them while its
replica holds the Lease, and publishes to the hub: from there it goes to the sidecars of this replica and of the others.

Who tunes one more thing adds its counts to the messages, to `Growth` and `growth` in `tallies`; what is kept of them to
`PolicyState` and `records`; and its rule, in a module of its own, to `states.taken_in`, `retuned` and `tuning_of`.
"""

from pointsman_operator.tuning.keeper import TuningKeeper
from pointsman_operator.tuning.metrics import TuningMetrics
from pointsman_operator.tuning.records import Record
from pointsman_operator.tuning.states import PolicyState
from pointsman_operator.tuning.stores import TuningConflictError, TuningStore, TuningUnavailableError

__all__ = [
    "PolicyState",
    "Record",
    "TuningConflictError",
    "TuningKeeper",
    "TuningMetrics",
    "TuningStore",
    "TuningUnavailableError",
]
