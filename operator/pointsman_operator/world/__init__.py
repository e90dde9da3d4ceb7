"""What is known of the cluster: pure state, fed by watches and lists in whatever order they arrive.

Whoever observes (the operator's watches, the standalone command's files) hands in objects as mappings and gets the next
`World`. No I/O and no clock; what follows from the state is `compile`'s and `push`'s.
"""

from pointsman_operator.world.differences import Differences, differences
from pointsman_operator.world.persistent import PersistentMap
from pointsman_operator.world.references import referenced_keys, trimmed
from pointsman_operator.world.shelf import Shelf
from pointsman_operator.world.world import Change, Resource, World

__all__ = [
    "Change",
    "Differences",
    "PersistentMap",
    "Resource",
    "Shelf",
    "World",
    "differences",
    "referenced_keys",
    "trimmed",
]
