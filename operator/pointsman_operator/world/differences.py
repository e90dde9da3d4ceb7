"""What is different between two worlds, as far as anything follows from it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from pointsman_operator.resources import (
    Key,
    ModelProvider,
    ModelRoutingPolicy,
    Namespace,
    Pod,
    Secret,
    TokenQuota,
    Unreadable,
)
from pointsman_operator.world.persistent import PersistentMap
from pointsman_operator.world.world import World

T = TypeVar("T")


@dataclass(frozen=True, kw_only=True)
class Differences:
    """The keys at which two worlds differ.

    `policies`, `providers`, `quotas`, `namespaces`, `secrets` and `pods` differ in what they say; `policy_objects`,
    `provider_objects` and `quota_objects` in anything, such as the status that the operator itself wrote.
    """

    policies: frozenset[Key]
    providers: frozenset[Key]
    quotas: frozenset[Key]
    namespaces: frozenset[Key]
    secrets: frozenset[Key]
    pods: frozenset[Key]
    policy_objects: frozenset[Key]
    provider_objects: frozenset[Key]
    quota_objects: frozenset[Key]


def differences(before: World, after: World) -> Differences:
    """Compare two worlds. Where one came of the other, what they share is not looked at."""
    return Differences(
        policies=_telling(before.policies, after.policies, _same_spec),
        providers=_telling(before.providers, after.providers, _same_spec),
        quotas=_telling(before.quotas, after.quotas, _same_spec),
        namespaces=_telling(before.namespaces, after.namespaces, _same_labels),
        secrets=_telling(before.secrets, after.secrets, _same_data),
        pods=_telling(before.pods, after.pods, _same_pod),
        policy_objects=frozenset(after.policies.changed(before.policies)),
        provider_objects=frozenset(after.providers.changed(before.providers)),
        quota_objects=frozenset(after.quotas.changed(before.quotas)),
    )


def _telling(
    before: PersistentMap[Key, T], after: PersistentMap[Key, T], same: Callable[[T, T], bool]
) -> frozenset[Key]:
    return frozenset(
        key
        for key in after.changed(before)
        if key not in before or key not in after or not same(before[key], after[key])
    )


_Specified = ModelRoutingPolicy | ModelProvider | TokenQuota | Unreadable


def _same_spec(one: _Specified, other: _Specified) -> bool:
    return (
        one.metadata.uid == other.metadata.uid
        and one.metadata.generation == other.metadata.generation
        and one.spec == other.spec
    )


def _same_labels(one: Namespace, other: Namespace) -> bool:
    return one.metadata.labels == other.metadata.labels


def _same_pod(one: Pod, other: Pod) -> bool:
    return (
        one.metadata.uid == other.metadata.uid
        and one.metadata.labels == other.metadata.labels
        and (one.injection, one.workload, one.leaving) == (other.injection, other.workload, other.leaving)
    )


def _same_data(one: Secret, other: Secret) -> bool:
    return one.data == other.data
