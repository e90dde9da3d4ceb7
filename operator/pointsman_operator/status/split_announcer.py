"""Makes the Events of splits that went up, stopped, were promoted or rolled back."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import structlog

from pointsman_operator.resources import Kind, ModelRoutingPolicy, Unreadable
from pointsman_operator.status.events import event_of
from pointsman_operator.status.quota_writer import EventClient, EventError
from pointsman_operator.status.splits import split_announcements

log = structlog.get_logger(__name__)


class SplitAnnouncer:
    """Announces what is new in a policy's status. `instance` is this replica, as its Events name it."""

    def __init__(self, client: EventClient, *, instance: str, now: Callable[[], datetime]) -> None:
        self._client = client
        self._instance = instance
        self._now = now

    async def announce(self, policy: ModelRoutingPolicy | Unreadable, after: Mapping[str, Any]) -> None:
        """Announce it; `policy` is as it was, with the status that it had before `after`."""
        for news, each in split_announcements(before=policy.status, after=after):
            value = event_of(
                each,
                kind=Kind.POLICY,
                metadata=policy.metadata,
                news=news,
                instance=self._instance,
                now=self._now(),
            )
            try:
                await self._client.create_event(value)
            except EventError as error:
                log.warning("an Event of a policy is lost", policy=str(policy.metadata.key), error=str(error))
