"""Eras of a store that can lose what it confirmed. Each begins with a pause, for sidecars to declare what they hold."""

# Longer than sidecars wait between two reports, and than what comes between a report and the declaration that is asked
# for in return.
PAUSE_SECONDS = 20.0
# The clocks of two replicas never differ by more.
SKEW_SECONDS = 300.0


def grants_from(*, began: float | None, now: float) -> float:
    """When a replica that comes to know of an era now may grant. `began` is by the clock of whoever began it, if known.

    A replica that cannot be sure that the pause is over waits for all of it, by its own clock.
    """
    if began is not None and now >= began + PAUSE_SECONDS + SKEW_SECONDS:
        return now
    return now + PAUSE_SECONDS
