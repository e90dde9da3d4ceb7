"""Kubernetes' own objects, cut down to what matters here."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from pointsman_operator.resources.metadata import Metadata


@dataclass(frozen=True, kw_only=True, slots=True)
class Namespace:
    """A namespace: its labels decide which providers it may use."""

    metadata: Metadata


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """A pod: its labels decide which policy is for it.

    `injection` is what it was given, as its annotation says; empty where it was given nothing. `workload` is what it is
    part of, such as Deployment/web. `leaving` pods are being deleted, and a `mirror` runs as a file of its node says.
    """

    metadata: Metadata
    injection: str = ""
    workload: str = ""
    leaving: bool = False
    mirror: bool = False


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """A Secret of the operator's namespace: the keys that providers refer to, decoded. Its values are never printed."""

    metadata: Metadata
    data: Mapping[str, str] = field(repr=False)
