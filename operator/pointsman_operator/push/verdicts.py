"""What is to be thought of each policy: pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pointsman_operator.compile import Claim, Compiled, claim_of, compile_policy
from pointsman_operator.resources import Key, ModelRoutingPolicy, Problem, Unreadable
from pointsman_operator.world import Differences, World


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """A policy as it stands, and the last of its generations that could be programmed.

    `claim` is the policy's own while it says which pods are meant, else that of the last good generation.
    """

    policy: ModelRoutingPolicy | Unreadable
    claim: Claim
    compiled: Compiled | None
    problems: tuple[Problem, ...]
    last_good: Compiled | None


def judge(before: Mapping[Key, Verdict], *, world: World, touched: Iterable[Key]) -> tuple[Mapping[Key, Verdict], int]:
    """The verdicts after those on the touched policies may have changed, and how many of these are new failures."""
    after = dict(before)
    failures = 0
    for key in touched:
        policy = world.policies.get(key)
        if policy is None:
            after.pop(key, None)
            continue
        known = before.get(key)
        # One that was deleted and made again under its name is another policy: nothing of the old one stays in force.
        if known is not None and known.policy.metadata.uid != policy.metadata.uid:
            known = None
        after[key] = _judge(policy, known=known, world=world)
        if after[key].problems and (known is None or known.problems != after[key].problems):
            failures += 1
    return after, failures


def _judge(policy: ModelRoutingPolicy | Unreadable, *, known: Verdict | None, world: World) -> Verdict:
    result = compile_policy(
        policy,
        providers=world.providers,
        namespace_labels=world.namespace_labels(policy.metadata.namespace),
    )
    claim = claim_of(policy)
    if isinstance(result, Compiled):
        # The same content keeps its object, so that a status update or a relabelled namespace changes nothing below.
        if known is not None and known.compiled is not None and known.compiled.version == result.version:
            result = known.compiled
        return Verdict(policy=policy, claim=claim, compiled=result, problems=(), last_good=result)
    if not claim.legible and known is not None:
        claim = known.claim
    last_good = None if known is None else known.last_good
    return Verdict(policy=policy, claim=claim, compiled=None, problems=result, last_good=last_good)


def touched_policies(difference: Differences, policies: Mapping[Key, ModelRoutingPolicy | Unreadable]) -> set[Key]:
    """The keys of the policies on which the verdict may differ between two worlds."""
    touched = set(difference.policies)
    providers = {key.name for key in difference.providers}
    namespaces = {key.name for key in difference.namespaces}
    if providers or namespaces:
        touched |= {
            key for key, policy in policies.items() if key.namespace in namespaces or names_any(policy, providers)
        }
    return touched


def names_any(policy: ModelRoutingPolicy | Unreadable, providers: set[str]) -> bool:
    """Whether the policy names any of these providers."""
    return isinstance(policy, ModelRoutingPolicy) and any(
        model.provider_ref.name in providers for model in policy.spec.models
    )
