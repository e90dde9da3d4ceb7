"""How long to wait before a model is called again, and whether that is worth it."""

FIRST = 0.25
LONGEST = 4.0
# Where another model could take over, longer than this is not waited for a provider that names a time.
WORTH_WAITING = 2.0
# And where none could, at most this share of the time that is left: an answer needs some too.
_SHARE_OF_TIME = 0.5
# So that those who were sent away together do not come back together.
_SPREAD = 0.1


def backoff(retry: int, *, draw: float, named: float | None) -> float:
    """Seconds before retry number `retry`, of which the first is 0. `draw` is random, from 0 to 1.

    A time that the provider named is kept, and a little more. Else it doubles each time, and half of it is left to
    chance.
    """
    if named is not None:
        return named * (1 + _SPREAD * draw)
    # Beyond this many doublings the longest holds in any case.
    ceiling = min(LONGEST, FIRST * float(2 ** min(retry, 10)))
    return ceiling * (0.5 + 0.5 * draw)


def worth_it(wait: float, *, left: float, has_fallback: bool) -> bool:
    """Whether to wait so long for the same model, with `left` seconds of the completion's time."""
    if has_fallback and wait > WORTH_WAITING:
        return False
    return wait <= left * _SHARE_OF_TIME
