"""Who an object is."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from types import MappingProxyType
from typing import Annotated, NamedTuple

from pydantic import AwareDatetime, Field, field_validator

from pointsman_operator.resources.base import Model
from pointsman_operator.resources.kinds import REGRESSION_PREFIX

# Nearly all objects have none that is looked at: they share this one.
_NO_ANNOTATIONS: Mapping[str, str] = MappingProxyType({})


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
    # Those that tell of regressions, and no others: `kubectl apply` keeps a copy of the whole object in one.
    annotations: Mapping[str, str] = Field(default_factory=lambda: _NO_ANNOTATIONS)

    @field_validator("labels")
    @classmethod
    def _shared(cls, labels: Mapping[str, str]) -> Mapping[str, str]:
        # Thousands of pods have the same few: each is kept once.
        return {sys.intern(key): sys.intern(value) for key, value in labels.items()}

    @field_validator("annotations")
    @classmethod
    def _looked_at(cls, annotations: Mapping[str, str]) -> Mapping[str, str]:
        kept = {name: text for name, text in annotations.items() if name.startswith(REGRESSION_PREFIX)}
        return kept or _NO_ANNOTATIONS

    @property
    def key(self) -> Key:
        """Where the object stands within its kind."""
        return Key(self.namespace, self.name)
