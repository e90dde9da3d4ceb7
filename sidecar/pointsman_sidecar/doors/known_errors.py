"""Nothing leaves a door but errors that a caller may see."""

import traceback
from collections.abc import Iterator
from contextlib import contextmanager

import structlog

from pointsman_sidecar.contract.errors import CompletionError, Kind


class AddressInUseError(Exception):
    """A door's address cannot be bound. The text names it."""


@contextmanager
def known_errors(log: structlog.stdlib.BoundLogger) -> Iterator[None]:
    """Make an internal error of whatever else is raised, and log where it was.

    Raises:
        CompletionError: always, where anything is raised but cancellation.
    """
    try:
        yield
    except CompletionError:
        raise
    except Exception as error:
        raise internal(error, log) from error


def internal(error: Exception, log: structlog.stdlib.BoundLogger) -> CompletionError:
    """What a caller is told of an error of our own. The log says where it was; its message may quote a prompt."""
    stack = "".join(traceback.format_tb(error.__traceback__))
    log.error("internal error", error=type(error).__name__, stack=stack)
    return CompletionError(Kind.INTERNAL, "INTERNAL", "the sidecar failed on this request; its log says where")
