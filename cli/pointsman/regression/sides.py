"""Who answers: two models of a policy, or two policies, each as a world of its own. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

from pointsman.errors import Refusal, UserError
from pointsman.manifests import Manifests
from pointsman.worlds import Generations, Pod, Secret, pod_of, world_of
from pointsman_operator.compile import claim_of, provider_model, select
from pointsman_operator.resources import Key, Kind, ModelRoutingPolicy
from pointsman_operator.schema import Document
from pointsman_operator.world import World

_ARMS: Final = 2
# What would have another model answer, or the same one twice.
_CHOICES: Final = ("routes", "risk", "latency", "escalation")


@dataclass(frozen=True, kw_only=True, slots=True)
class Side:
    """A world, and the pod that asks in it. `model` is the one model that answers, as results name it; else empty."""

    name: str
    world: World
    pod: Pod
    model: str = ""


@dataclass(frozen=True, kw_only=True, slots=True)
class Asker:
    """Who asks, as the options say: which pod, and with which keys."""

    namespace: str | None
    labels: Mapping[str, str]
    secrets: tuple[Secret, ...]


def of_models(manifests: Manifests, *, baseline: str, candidate: str, asker: Asker) -> tuple[Side, Side]:
    """Two models of the policy that is for the pod, each alone.

    Raises:
        UserError: the policy has no such model, or there is no policy.
    """
    if baseline == candidate:
        raise UserError(f"baseline and candidate are both {baseline}: name two models")
    policy, pod = _policy(manifests, asker)
    names = [model.name for model in policy.spec.models]
    for option, name in (("--baseline", baseline), ("--candidate", candidate)):
        if name not in names:
            raise UserError(f"{option} {name} is no model of policy {policy.metadata.key}: it has {', '.join(names)}")
    first, second = (
        Side(
            name=name,
            world=_world(_with_alone(manifests, policy.metadata.key, name), asker),
            pod=pod,
            model=provider_model(policy, name),
        )
        for name in (baseline, candidate)
    )
    return first, second


def of_route(manifests: Manifests, *, route: str, asker: Asker) -> tuple[Side, Side]:
    """The two arms of a route's split; the second is the candidate.

    Raises:
        UserError: there is no such route, or it has no split of two arms.
    """
    policy, _ = _policy(manifests, asker)
    found = next((each for each in policy.spec.routes if each.name == route), None)
    if found is None:
        names = ", ".join(each.name for each in policy.spec.routes) or "none"
        raise UserError(f"--route {route} is no route of policy {policy.metadata.key}: it has {names}")
    arms = [] if found.split is None else [arm.model for arm in found.split.arms]
    if len(arms) != _ARMS:
        has = f"a split of {len(arms)} arms, not of two" if arms else "no split"
        raise UserError(f"--route {route} has {has}: name models with --baseline and --candidate")
    return of_models(manifests, baseline=arms[0], candidate=arms[1], asker=asker)


def of_policies(manifests: Manifests, candidate: Manifests, *, asker: Asker) -> tuple[Side, Side]:
    """Two policies as they are. The candidate's files need hold no more than the policy: the rest is the baseline's.

    Raises:
        UserError: one of them has no policy for the pod.
    """
    own = {_named(each) for each in candidate.accepted}
    kept = [each for each in manifests.accepted if each.value["kind"] != Kind.POLICY and _named(each) not in own]
    merged = replace(candidate, accepted=(*candidate.accepted, *kept))
    sides = []
    for name, files in (("baseline", manifests), ("candidate", merged)):
        _, pod = _policy(files, asker)
        sides.append(Side(name=name, world=_world(files, asker), pod=pod))
    return sides[0], sides[1]


def _policy(manifests: Manifests, asker: Asker) -> tuple[ModelRoutingPolicy, Pod]:
    world = _world(manifests, asker)
    pod = pod_of(world, namespace=asker.namespace, labels=asker.labels)
    claims = [claim_of(each) for key, each in world.policies.items() if key.namespace == pod.namespace]
    winner, _ = select(claims, pod_labels=pod.labels)
    policy = None if winner is None else world.policies[winner.key]
    if policy is None:
        labels = ",".join(f"{key}={value}" for key, value in pod.labels.items()) or "no labels"
        raise Refusal(f"no policy of namespace {pod.namespace} selects a pod with {labels}")
    if not isinstance(policy, ModelRoutingPolicy):
        problems = "; ".join(map(str, policy.problems))
        raise Refusal(f"policy {policy.metadata.key} cannot be programmed: {problems}")
    return policy, pod


def _world(manifests: Manifests, asker: Asker) -> World:
    # Budgets are for apps: a suite would be refused by them, or answered by less than what it asks about.
    kept = tuple(each for each in manifests.accepted if each.value["kind"] != Kind.QUOTA)
    return world_of(replace(manifests, accepted=kept), secrets=asker.secrets, generations=Generations(), version=1)


def _with_alone(manifests: Manifests, key: Key, model: str) -> Manifests:
    """The same, where this model of the policy answers all requests, or nobody does."""
    accepted = [
        replace(each, value=_alone(each.value, model)) if _named(each) == (Kind.POLICY, *key) else each
        for each in manifests.accepted
    ]
    return replace(manifests, accepted=tuple(accepted))


def _alone(policy: Mapping[str, Any], model: str) -> dict[str, Any]:
    spec = {name: value for name, value in policy["spec"].items() if name not in _CHOICES}
    resilience = {**spec.get("resilience", {}), "fallbacks": []}
    return {**policy, "spec": {**spec, "defaultModel": model, "allowPinning": False, "resilience": resilience}}


def _named(document: Document) -> tuple[str, str, str]:
    metadata = document.value["metadata"]
    return document.value["kind"], metadata.get("namespace", ""), metadata["name"]


def models_of(sides: Sequence[Side]) -> tuple[str, str] | None:
    """The models that are compared, as results name them; None where policies are."""
    baseline, candidate = (each.model for each in sides)
    return (baseline, candidate) if baseline and candidate else None
