"""When Python looks for garbage, so that no sidecar waits for it.

Everything that is known of the cluster is hundreds of thousands of objects, and a full look through them stops the
process for up to a second, every few seconds while changes go out to thousands of sidecars. They hold no cycles and are
freed without that; what does make cycles, such as a failed call, is young when it becomes garbage.
"""

import gc

_YOUNG, _MIDDLE, _OLD = 20_000, 20, 50


def look_seldom() -> None:
    """From the start: look through the young less often than Python does, and through all of them hardly ever."""
    gc.set_threshold(_YOUNG, _MIDDLE, _OLD)


def spare_what_is_there() -> None:
    """Once everything is read, and before anybody is served: never look through what is there now again."""
    gc.collect()
    gc.freeze()
