"""What is to be thought of each policy."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from pointsman_operator.compile import Claim, Compiled, claim_of, compile_policy
from pointsman_operator.push.index import Index
from pointsman_operator.resources import Key, ModelRoutingPolicy, Problem, Unreadable
from pointsman_operator.world import Differences, World


@dataclass(frozen=True, kw_only=True, slots=True)
class Verdict:
    """A policy as it stands, and the last of its generations that could be programmed.

    `claim` is the policy's own while it says which pods are meant, else that of the last good generation.
    """

    policy: ModelRoutingPolicy | Unreadable
    claim: Claim
    compiled: Compiled | None
    problems: tuple[Problem, ...]
    last_good: Compiled | None


def judge(policy: ModelRoutingPolicy | Unreadable, *, known: Verdict | None, world: World) -> Verdict:
    """The verdict on a policy; `known` is the one on the same policy before. Pure."""
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


class Verdicts:
    """The verdicts on a world's policies, found by key, by namespace, and by the providers that the policies name."""

    def __init__(self) -> None:
        self._all: dict[Key, Verdict] = {}
        self._in_namespace: Index[Key] = Index()
        self._naming: Index[Key] = Index()
        self.compiling = 0
        """How many of the policies compile."""

    @property
    def all(self) -> Mapping[Key, Verdict]:
        """All of them, for looking at."""
        return MappingProxyType(self._all)

    def within(self, namespace: str) -> tuple[Verdict, ...]:
        """Those on a namespace's policies."""
        return tuple(self._all[key] for key in self._in_namespace.find(namespace))

    def naming(self, providers: Iterable[str]) -> frozenset[Key]:
        """The policies that name any of these providers."""
        return frozenset(self._naming.find(*providers))

    def touched(self, difference: Differences) -> frozenset[Key]:
        """The policies on which the verdict may be another after this."""
        named = self.naming(key.name for key in difference.providers)
        return difference.policies | named | set(self._in_namespace.find(*(key.name for key in difference.namespaces)))

    def update(self, touched: Iterable[Key], *, world: World) -> int:
        """Judge these policies anew; return how many of the verdicts are new failures."""
        failures = 0
        for key in touched:
            known = self._pop(key)
            if (policy := world.policies.get(key)) is None:
                continue
            # One that was deleted and made again under its name is another policy: nothing of the old one stays in
            # force.
            if known is not None and known.policy.metadata.uid != policy.metadata.uid:
                known = None
            verdict = judge(policy, known=known, world=world)
            self._put(key, verdict)
            if verdict.problems and (known is None or known.problems != verdict.problems):
                failures += 1
        return failures

    def _put(self, key: Key, verdict: Verdict) -> None:
        self._all[key] = verdict
        self._in_namespace.add(key.namespace, key)
        self._naming.rename(key, before=(), after=_providers(verdict.policy))
        self.compiling += verdict.compiled is not None

    def _pop(self, key: Key) -> Verdict | None:
        verdict = self._all.pop(key, None)
        if verdict is not None:
            self._in_namespace.discard(key.namespace, key)
            self._naming.rename(key, before=_providers(verdict.policy), after=())
            self.compiling -= verdict.compiled is not None
        return verdict


def _providers(policy: ModelRoutingPolicy | Unreadable) -> frozenset[str]:
    if isinstance(policy, Unreadable):
        return frozenset()
    return frozenset(model.provider_ref.name for model in policy.spec.models)
