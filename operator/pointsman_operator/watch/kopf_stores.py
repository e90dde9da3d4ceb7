"""What kopf keeps and compares of each object for handlers of kinds that we have none of: here, nothing.

Its own stores copy each object twice for each event, to see what changed since a handler ran last, and remember two
kilobytes of each object for as long as it lives. Event handlers, which are all that we have, are given none of it.
"""

from typing import Any

import kopf
from kopf._core.reactor.inventory import (
    ResourceMemories,
    ResourceMemory,
)  # a parameter's type, which has no public name


class NoDifferences(kopf.DiffBaseStorage):
    """Finds no difference, so that no object is copied to look for one."""

    def build(self, **_: Any) -> Any:
        """Nothing of any object matters."""
        return {}

    def fetch(self, **_: Any) -> None:
        """Nothing is kept."""

    def store(self, **_: Any) -> None:
        """Nothing is kept."""


class NoProgress(kopf.ProgressStorage):
    """Keeps no handler's progress: an event is told of once, and that is all."""

    def clear(self, *, essence: Any) -> Any:
        """There is nothing of ours in it."""
        return essence

    def fetch(self, **_: Any) -> None:
        """Nothing is kept."""

    def store(self, **_: Any) -> None:
        """Nothing is kept."""

    def purge(self, **_: Any) -> None:
        """Nothing is kept."""

    def touch(self, **_: Any) -> None:
        """Nothing is kept."""


class NoMemories(ResourceMemories):
    """Remembers no object from event to event."""

    async def recall(self, raw_body: Any, **options: Any) -> ResourceMemory:
        """What is remembered of an object that was never seen before."""
        return await super().recall(raw_body, **{**options, "ephemeral": True})
