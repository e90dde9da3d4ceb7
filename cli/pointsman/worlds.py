"""From the objects of files to the world that the operator would see in a cluster. Pure."""

import base64
import uuid
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from pointsman.errors import UserError
from pointsman.manifests import Manifests
from pointsman_operator.compile import claim_of
from pointsman_operator.resources import Key, Kind, ModelRoutingPolicy, Unreadable
from pointsman_operator.world import World

# Where an operator runs, and its Secrets are, unless it is told otherwise.
OPERATOR_NAMESPACE = "pointsman-system"
_NAME_LABEL = "kubernetes.io/metadata.name"
_IDS = uuid.UUID("6d2d4e0f-5a0c-4d8e-9a55-0b7ad3f4a2c1")
_ORIGIN = datetime(2000, 1, 1, tzinfo=UTC)


class NoPodError(UserError):
    """The files do not say which pod to be. The text says what to add."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Secret:
    """A value that comes from elsewhere than the files, such as the environment."""

    name: str
    key: str
    value: str = field(repr=False)


@dataclass(frozen=True, kw_only=True, slots=True)
class Pod:
    """The pod that a standalone sidecar takes itself to be in."""

    namespace: str
    name: str
    labels: Mapping[str, str]


@dataclass(slots=True)
class Generations:
    """Numbers the specs of each object as the API server would: one more whenever the spec changes."""

    _known: dict[tuple[str, Key], tuple[Any, int]] = field(default_factory=dict)

    def of(self, kind: str, key: Key, spec: Any) -> int:
        """The generation of an object that now has this spec."""
        known, generation = self._known.get((kind, key), (None, 0))
        if generation == 0 or known != spec:
            generation += 1
        self._known[kind, key] = (spec, generation)
        return generation


def world_of(manifests: Manifests, *, secrets: Iterable[Secret], generations: Generations, version: int) -> World:
    """The world as these files give it. `version` rises with each reading of the files.

    What comes first in the files counts as older, since of two policies that select a pod the older wins.
    """
    policies = _objects(manifests.of(Kind.POLICY), generations)
    providers = _objects(manifests.of(Kind.PROVIDER), generations)
    quotas = _objects(manifests.of(Kind.QUOTA), generations)
    named = {policy["metadata"]["namespace"] for policy in policies}
    given = {each["metadata"]["name"]: each for each in manifests.of(Kind.NAMESPACE)}
    namespaces = [_namespace(name, given.get(name, {})) for name in sorted(named | given.keys())]
    listed = str(version)
    return (
        World()
        .relist(Kind.POLICY, policies, resource_version=listed)
        .relist(Kind.PROVIDER, providers, resource_version=listed)
        .relist(Kind.QUOTA, quotas, resource_version=listed)
        .relist(Kind.NAMESPACE, namespaces, resource_version=listed)
        .relist(Kind.SECRET, _secrets(manifests, secrets), resource_version=listed)
    )


def pod_of(world: World, *, namespace: str | None, labels: Mapping[str, str]) -> Pod:
    """The pod to be: as said, else one that the first policy of the files is for.

    Raises:
        NoPodError: there is no policy, or the first one's selector takes more than labels to meet.
    """
    policies = [each for key, each in world.policies.items() if namespace in {None, key.namespace}]
    if not policies:
        where = f" of namespace {namespace}" if namespace else ""
        raise NoPodError(f"the files hold no ModelRoutingPolicy{where}: add one")
    first = min(policies, key=lambda policy: claim_of(policy).created)
    wanted = dict(labels)
    if not wanted and isinstance(first, ModelRoutingPolicy) and first.spec.selector is not None:
        if first.spec.selector.match_expressions:
            raise NoPodError(
                f"policy {first.metadata.key} selects pods by matchExpressions: "
                "say which pod to be, such as --labels app=web"
            )
        wanted = dict(first.spec.selector.match_labels)
    return Pod(namespace=first.metadata.namespace, name="standalone", labels=wanted)


def policies_in(world: World, namespace: str) -> list[ModelRoutingPolicy | Unreadable]:
    """The policies of a namespace, those that cannot be read among them."""
    return [policy for key, policy in world.policies.items() if key.namespace == namespace]


def _objects(values: Iterable[dict[str, Any]], generations: Generations) -> list[dict[str, Any]]:
    return [
        {
            **value,
            "metadata": {
                **value["metadata"],
                "uid": str(uuid.uuid5(_IDS, f"{value['kind']} {_key(value)}")),
                "generation": generations.of(value["kind"], _key(value), value["spec"]),
                "creationTimestamp": (_ORIGIN + timedelta(seconds=position)).isoformat(),
                # Of the cluster that the file was read from, if any: files are as new as their reading.
                "resourceVersion": "",
            },
        }
        for position, value in enumerate(values)
    ]


def _key(value: Mapping[str, Any]) -> Key:
    return Key(value["metadata"].get("namespace", ""), value["metadata"]["name"])


def _namespace(name: str, given: Mapping[str, Any]) -> dict[str, Any]:
    labels = given.get("metadata", {}).get("labels") or {}
    return {"metadata": {"name": name, "labels": {**labels, _NAME_LABEL: name}}}


def _secrets(manifests: Manifests, others: Iterable[Secret]) -> list[dict[str, Any]]:
    """Secrets as the API server would give them: stringData is in data, and what is given beside the files wins."""
    data: dict[str, dict[str, str]] = {}
    for value in manifests.of(Kind.SECRET):
        if value["metadata"].get("namespace", OPERATOR_NAMESPACE) == OPERATOR_NAMESPACE:
            plain = {key: _encoded(str(text)) for key, text in (value.get("stringData") or {}).items()}
            data[value["metadata"]["name"]] = {**(value.get("data") or {}), **plain}
    for secret in others:
        data.setdefault(secret.name, {})[secret.key] = _encoded(secret.value)
    return [
        {"metadata": {"name": name, "namespace": OPERATOR_NAMESPACE}, "data": values} for name, values in data.items()
    ]


def _encoded(text: str) -> str:
    return base64.b64encode(text.encode()).decode()
