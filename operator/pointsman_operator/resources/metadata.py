"""Who an object is."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from pydantic import AwareDatetime, Field

from pointsman_operator.resources.base import Model


class Key(NamedTuple):
    """Where an object stands within its kind. Not which object it is: a new one may take an old one's place."""

    namespace: str
    name: str

    def __str__(self) -> str:
        return f"{self.namespace}/{self.name}" if self.namespace else self.name


class Metadata(Model):
    """An object's metadata, as far as it matters here.

    Files have less of it than the API server gives. Who reads from files must set a `uid` for each object, and raise
    `generation` when its spec changes: sidecars tell policies apart by the one and old from new by the other.
    """

    name: str
    namespace: str = ""
    uid: str = ""
    generation: int = 0
    resource_version: str = ""
    # Not strict, since JSON has no type for it.
    creation_timestamp: Annotated[AwareDatetime, Field(strict=False)] = datetime.fromtimestamp(0, UTC)
    labels: Mapping[str, str] = Field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Where the object stands within its kind."""
        return Key(self.namespace, self.name)
