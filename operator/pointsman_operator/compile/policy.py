"""A policy and its providers, compiled to a snapshot or refused with reasons."""

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from pointsman_api.v1 import snapshot_pb2 as snapshot
from pointsman_operator.compile import matchers
from pointsman_operator.compile.conditions import required_modalities
from pointsman_operator.compile.escalation import escalation_problems
from pointsman_operator.compile.providers import allows, check_provider
from pointsman_operator.compile.selectors import selector_problems
from pointsman_operator.compile.snapshots import Source, build_snapshot
from pointsman_operator.compile.splits import split_problems
from pointsman_operator.resources.metadata import Key
from pointsman_operator.resources.parse import INVALID_SPEC
from pointsman_operator.resources.policy import ModelRoutingPolicy, Route
from pointsman_operator.resources.problem import Problem
from pointsman_operator.resources.provider import ModelProvider
from pointsman_operator.resources.unreadable import Unreadable

PROVIDER_NOT_FOUND = "ProviderNotFound"
PROVIDER_INVALID = "ProviderInvalid"
NAMESPACE_NOT_ALLOWED = "NamespaceNotAllowed"
MODEL_NOT_FOUND = "ModelNotFound"
INCAPABLE_MODEL = "IncapableModel"


@dataclass(frozen=True, kw_only=True, slots=True)
class Compiled:
    """A snapshot as it is written, and the hash of that; beside it, what is asked of it often.

    As a message it takes several times the room, and there is one for each policy.
    """

    content: bytes = field(repr=False)
    version: str
    policy_uid: str
    generation: int
    provider_names: frozenset[str]
    """The providers that its models need."""

    @property
    def snapshot(self) -> snapshot.Snapshot:
        """The snapshot, read anew."""
        return snapshot.Snapshot.FromString(self.content)


def compile_policy(
    policy: ModelRoutingPolicy | Unreadable,
    *,
    providers: Mapping[Key, ModelProvider | Unreadable],
    namespace_labels: Mapping[str, str],
) -> Compiled | tuple[Problem, ...]:
    """Compile the policy, or say all that keeps it from being in force. The same input gives the same version."""
    if isinstance(policy, Unreadable):
        return policy.problems
    problems: list[Problem] = []
    if policy.spec.selector is not None:
        problems += selector_problems(policy.spec.selector, path="spec.selector")
    for index, route in enumerate(policy.spec.routes):
        problems += matchers.problems(route.when, path=f"spec.routes[{index}].when")
    sources: dict[str, Source] = {}
    for index, used in enumerate(policy.spec.models):
        found = _source(policy, index=index, providers=providers, namespace_labels=namespace_labels)
        if isinstance(found, Problem):
            problems.append(found)
        else:
            sources[used.name] = found
    problems += _name_problems(policy)
    if not problems:  # what a route's models can do is known only once they all are
        problems += _capability_problems(policy, sources)
        prices = {name: source.offered.price for name, source in sources.items()}
        problems += escalation_problems(policy, prices=prices)
        problems += split_problems(policy, prices=prices)
    if problems:
        return tuple(problems)
    try:
        content = build_snapshot(policy, sources)
    except ValueError as error:
        return (Problem(path="spec", reason=INVALID_SPEC, message=str(error)),)
    written = content.SerializeToString(deterministic=True)
    return Compiled(
        content=written,
        version=hashlib.sha256(written).hexdigest(),
        policy_uid=policy.metadata.uid,
        generation=policy.metadata.generation,
        provider_names=frozenset(source.provider.metadata.name for source in sources.values()),
    )


def _source(
    policy: ModelRoutingPolicy,
    *,
    index: int,
    providers: Mapping[Key, ModelProvider | Unreadable],
    namespace_labels: Mapping[str, str],
) -> Source | Problem:
    used = policy.spec.models[index]
    name = used.provider_ref.name
    where = f"spec.models[{index}]"
    provider = providers.get(Key("", name))
    if provider is None:
        return Problem(
            path=f"{where}.providerRef",
            reason=PROVIDER_NOT_FOUND,
            message=f"there is no ModelProvider {name}; create it, or name one that `kubectl get modelproviders` lists",
        )
    wrong = check_provider(provider)
    if isinstance(provider, Unreadable) or wrong:
        return Problem(
            path=f"{where}.providerRef",
            reason=PROVIDER_INVALID,
            message=f"ModelProvider {name} cannot be used until it is mended; its {wrong[0]}",
        )
    if not allows(provider, namespace_labels):
        return Problem(
            path=f"{where}.providerRef",
            reason=NAMESPACE_NOT_ALLOWED,
            message=f"ModelProvider {name} does not allow namespace {policy.metadata.namespace}; "
            "its allowedNamespaces must match the namespace's labels",
        )
    offered = next((each for each in provider.spec.models if each.name == used.model), None)
    if offered is None:
        return Problem(
            path=f"{where}.model",
            reason=MODEL_NOT_FOUND,
            message=f"ModelProvider {name} has no model {used.model}; "
            f"it has {listed([each.name for each in provider.spec.models])}",
        )
    return Source(used=used, provider=provider, offered=offered)


def listed(names: Sequence[str], *, most: int = 10) -> str:
    """Names in a sentence: the first of them, and how many more there are."""
    rest = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + rest


def _name_problems(policy: ModelRoutingPolicy) -> Iterator[Problem]:
    # The CRD refuses these too. They are asked again because Kubernetes lets an object that a tightened rule would
    # refuse live on, and a snapshot with a dangling name could not be routed by.
    names = {model.name for model in policy.spec.models}
    for index, route in enumerate(policy.spec.routes):
        if route.model is None and route.split is None:
            yield Problem(
                path=f"spec.routes[{index}]",
                reason=INVALID_SPEC,
                message="a route needs exactly one of model and split",
            )
    for path, model in _uses(policy):
        if model not in names:
            yield Problem(path=path, reason=INVALID_SPEC, message=f"{model} is not the name of one of models")


def _uses(policy: ModelRoutingPolicy) -> Iterator[tuple[str, str]]:
    """Where the policy names a model that is to answer."""
    spec = policy.spec
    yield "spec.defaultModel", spec.default_model
    for index, route in enumerate(spec.routes):
        where = f"spec.routes[{index}]"
        yield from ((f"{where}.{path}", model) for path, model in _choices(route))
        yield from ((f"{where}.fallbacks[{at}]", model) for at, model in enumerate(route.fallbacks or ()))
    if spec.escalation is not None:
        yield "spec.escalation.model", spec.escalation.model
    yield from ((f"spec.resilience.fallbacks[{at}]", model) for at, model in enumerate(spec.resilience.fallbacks))


def _choices(route: Route) -> Iterator[tuple[str, str]]:
    if route.model is not None:
        yield "model", route.model
    if route.split is not None:
        for index, arm in enumerate(route.split.arms):
            yield f"split.arms[{index}].model", arm.model


def _capability_problems(policy: ModelRoutingPolicy, sources: Mapping[str, Source]) -> Iterator[Problem]:
    for path, model in _uses(policy):
        if "Embeddings" in sources[model].offered.features:
            yield Problem(
                path=path,
                reason=INCAPABLE_MODEL,
                message=f"{model} gives embeddings and no answers; name a model that answers: "
                "requests for embeddings name theirs themselves",
            )
    for index, route in enumerate(policy.spec.routes):
        inherited = () if route.protected else policy.spec.resilience.fallbacks
        fallbacks = inherited if route.fallbacks is None else route.fallbacks
        models = [*(model for _, model in _choices(route)), *fallbacks]
        for path, modalities in required_modalities(route.when):
            if not any(modalities.intersection(sources[model].offered.input_modalities) for model in models):
                wanted = " or ".join(sorted(modalities))
                yield Problem(
                    path=f"spec.routes[{index}].when.{path}",
                    reason=INCAPABLE_MODEL,
                    message=f"route {route.name} is for requests with {wanted}, which none of its models takes "
                    f"({', '.join(dict.fromkeys(models))}); give it a model that does",
                )
