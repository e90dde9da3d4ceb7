"""Who an object is."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Annotated, NamedTuple

from pydantic import AwareDatetime, Field, field_validator

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

    @field_validator("labels")
    @classmethod
    def _shared(cls, labels: Mapping[str, str]) -> Mapping[str, str]:
        # Thousands of pods have the same few: each is kept once.
        return {sys.intern(key): sys.intern(value) for key, value in labels.items()}

    @property
    def key(self) -> Key:
        """Where the object stands within its kind."""
        return Key(self.namespace, self.name)
