"""All that is known of the cluster, as one value."""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Any, Self, TypeVar

from pointsman_operator.resources import (
    Key,
    Kind,
    MalformedObjectError,
    ModelProvider,
    ModelRoutingPolicy,
    Namespace,
    Pod,
    Secret,
    TokenQuota,
    Unreadable,
    has_ended,
    parse_metadata,
    parse_namespace,
    parse_pod,
    parse_policy,
    parse_provider,
    parse_quota,
    parse_secret,
)
from pointsman_operator.world.persistent import PersistentMap
from pointsman_operator.world.shelf import Shelf

T = TypeVar(
    "T", ModelRoutingPolicy | Unreadable, ModelProvider | Unreadable, TokenQuota | Unreadable, Namespace, Secret, Pod
)
Resource = ModelRoutingPolicy | ModelProvider | TokenQuota | Unreadable | Namespace | Secret | Pod


class Change(StrEnum):
    """What a watch says of an object."""

    WRITTEN = "written"
    DELETED = "deleted"


@dataclass(frozen=True, kw_only=True)
class World:
    """A shelf for each kind. `observe` and `relist` return the next world, or this one where there is nothing new."""

    policy_shelf: Shelf[ModelRoutingPolicy | Unreadable] = field(default_factory=Shelf)
    provider_shelf: Shelf[ModelProvider | Unreadable] = field(default_factory=Shelf)
    quota_shelf: Shelf[TokenQuota | Unreadable] = field(default_factory=Shelf)
    namespace_shelf: Shelf[Namespace] = field(default_factory=Shelf)
    secret_shelf: Shelf[Secret] = field(default_factory=Shelf)
    pod_shelf: Shelf[Pod] = field(default_factory=Shelf)

    @property
    def ready(self) -> bool:
        """Whether each kind was listed, so that what is not here does not exist.

        But for pods: not all of them are watched, and some operators watch none.
        """
        shelves = (self.policy_shelf, self.provider_shelf, self.quota_shelf, self.namespace_shelf, self.secret_shelf)
        return all(shelf.listed is not None for shelf in shelves)

    @property
    def policies(self) -> PersistentMap[Key, ModelRoutingPolicy | Unreadable]:
        """The policies by namespace and name."""
        return self.policy_shelf.objects

    @property
    def providers(self) -> PersistentMap[Key, ModelProvider | Unreadable]:
        """The providers by name; their namespace is empty."""
        return self.provider_shelf.objects

    @property
    def quotas(self) -> PersistentMap[Key, TokenQuota | Unreadable]:
        """The quotas by namespace and name."""
        return self.quota_shelf.objects

    @property
    def namespaces(self) -> PersistentMap[Key, Namespace]:
        """The namespaces by name; their own namespace is empty."""
        return self.namespace_shelf.objects

    @property
    def secrets(self) -> PersistentMap[Key, Secret]:
        """The Secrets of the operator's namespace."""
        return self.secret_shelf.objects

    @property
    def pods(self) -> PersistentMap[Key, Pod]:
        """The pods with a sidecar that have not ended, by namespace and name."""
        return self.pod_shelf.objects

    def namespace_labels(self, name: str) -> Mapping[str, str]:
        """The labels of a namespace; none where it is not known, so that it is allowed nothing by labels."""
        namespace = self.namespaces.get(Key("", name))
        return {} if namespace is None else namespace.metadata.labels

    def listed(self, kind: Kind) -> int:
        """The version of the newest list of a kind; 0 before the first."""
        shelves = {
            Kind.POLICY: self.policy_shelf.listed,
            Kind.PROVIDER: self.provider_shelf.listed,
            Kind.QUOTA: self.quota_shelf.listed,
            Kind.NAMESPACE: self.namespace_shelf.listed,
            Kind.SECRET: self.secret_shelf.listed,
            Kind.POD: self.pod_shelf.listed,
        }
        return shelves[kind] or 0

    def observe(self, kind: Kind, change: Change, value: Mapping[str, Any]) -> Self:
        """An object was written or deleted. Raise MalformedObjectError if it is no object at all."""
        match kind:
            case Kind.POLICY:
                policies = _observed(self.policy_shelf, change, value, parse_policy)
                return self if policies is self.policy_shelf else replace(self, policy_shelf=policies)
            case Kind.PROVIDER:
                providers = _observed(self.provider_shelf, change, value, parse_provider)
                return self if providers is self.provider_shelf else replace(self, provider_shelf=providers)
            case Kind.QUOTA:
                quotas = _observed(self.quota_shelf, change, value, parse_quota)
                return self if quotas is self.quota_shelf else replace(self, quota_shelf=quotas)
            case Kind.NAMESPACE:
                namespaces = _observed(self.namespace_shelf, change, value, parse_namespace)
                return self if namespaces is self.namespace_shelf else replace(self, namespace_shelf=namespaces)
            case Kind.SECRET:
                secrets = _observed(self.secret_shelf, change, value, parse_secret, reuse=False)
                return self if secrets is self.secret_shelf else replace(self, secret_shelf=secrets)
            case Kind.POD:
                # Its list leaves out those that have ended, and so does the watch, which tells of them once more.
                change = Change.DELETED if has_ended(value) else change
                pods = _observed(self.pod_shelf, change, value, parse_pod)
                return self if pods is self.pod_shelf else replace(self, pod_shelf=pods)

    def read(self, kind: Kind, value: Mapping[str, Any]) -> Resource:
        """An object as a list brings it, for `restock`; the one that is known where it is no newer.

        So that whoever lists need not keep what the API server sent, which is many times larger.
        """
        match kind:
            case Kind.POLICY:
                return _read(self.policy_shelf, value, parse_policy)
            case Kind.PROVIDER:
                return _read(self.provider_shelf, value, parse_provider)
            case Kind.QUOTA:
                return _read(self.quota_shelf, value, parse_quota)
            case Kind.NAMESPACE:
                return _read(self.namespace_shelf, value, parse_namespace)
            case Kind.SECRET:
                # What is kept of a Secret depends on what refers to it, so the same version may hold more than it did.
                return parse_secret(value)
            case Kind.POD:
                return _read(self.pod_shelf, value, parse_pod)

    def relist(self, kind: Kind, values: Iterable[Mapping[str, Any]], *, resource_version: str) -> Self:
        """All objects of a kind were listed, as they stood at `resource_version`.

        An object without a resourceVersion of its own, as files give it, is as new as the list.
        """
        return self.restock(kind, (self.read(kind, value) for value in values), resource_version=resource_version)

    def restock(self, kind: Kind, values: Iterable[Any], *, resource_version: str) -> Self:
        """The same, with what `read` made of the objects."""
        version = _number(resource_version)
        listed: dict[Key, tuple[Any, int]] = {}
        for value in values:
            metadata = value.metadata
            own = _number(metadata.resource_version) if metadata.resource_version else version
            listed[metadata.key] = (value, own)
        match kind:
            case Kind.POLICY:
                return replace(self, policy_shelf=self.policy_shelf.relist(listed, version=version))
            case Kind.PROVIDER:
                return replace(self, provider_shelf=self.provider_shelf.relist(listed, version=version))
            case Kind.QUOTA:
                return replace(self, quota_shelf=self.quota_shelf.relist(listed, version=version))
            case Kind.NAMESPACE:
                return replace(self, namespace_shelf=self.namespace_shelf.relist(listed, version=version))
            case Kind.SECRET:
                return replace(self, secret_shelf=self.secret_shelf.relist(listed, version=version))
            case Kind.POD:
                return replace(self, pod_shelf=self.pod_shelf.relist(listed, version=version))


def _observed(
    shelf: Shelf[T],
    change: Change,
    value: Mapping[str, Any],
    parse: Callable[[Mapping[str, Any]], T],
    *,
    reuse: bool = True,
) -> Shelf[T]:
    metadata = parse_metadata(value)
    key, version = metadata.key, _number(metadata.resource_version)
    if change is Change.DELETED:
        return shelf.remove(key, version=version)
    # kopf tells again of all that a list just brought, and reading it again is what would cost.
    if reuse and version <= shelf.versions.get(key, -1):
        return shelf
    return shelf.put(key, parse(value), version=version)


def _read(shelf: Shelf[T], value: Mapping[str, Any], parse: Callable[[Mapping[str, Any]], T]) -> T:
    # Most of what a periodic list brings is known, and reading it again is what would cost.
    metadata = parse_metadata(value)
    known = shelf.objects.get(metadata.key)
    if known is not None and metadata.resource_version and known.metadata.resource_version == metadata.resource_version:
        return known
    return parse(value)


def _number(resource_version: str) -> int:
    # Kubernetes promises that the resourceVersions of one kind compare as numbers.
    if not resource_version.isdecimal():
        raise MalformedObjectError(f"a resourceVersion that is no number: {resource_version!r}")
    return int(resource_version)
