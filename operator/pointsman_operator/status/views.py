"""Gathers what the status of a namespace's policies depends on: pure."""

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from pointsman_operator.compile import Claim, grant_access, select
from pointsman_operator.push import SidecarFacts, Verdict
from pointsman_operator.resources import Key, Problem
from pointsman_operator.status.census import States
from pointsman_operator.status.pods import PodState, PodsView, Unscanned
from pointsman_operator.status.policies import PolicyView, SidecarView
from pointsman_operator.status.splits import SplitView
from pointsman_operator.world import World


def views_of(
    verdicts: Iterable[Verdict],
    *,
    sidecars: Iterable[SidecarFacts],
    world: World,
    secrets_namespace: str,
    pods: States | Unscanned | None = None,
    tuned: Callable[[str], Mapping[str, Any] | None],
    splits: Callable[[Key], tuple[SplitView, ...] | None] = lambda _: None,
) -> Mapping[Key, PolicyView]:
    """A view for each policy of one namespace; `sidecars` are the namespace's, of whichever replica.

    So are the `pods` that asked for one. `tuned` is asked for what is said of what a policy is tuned by, by its UID,
    and `splits` for how its splits stand.
    """
    by_key = {verdict.claim.key: verdict for verdict in verdicts}
    governed: defaultdict[Key, list[SidecarView]] = defaultdict(list)
    taken: defaultdict[Key, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for sidecar in sidecars:
        # None for a policy that the sidecar's replica has seen and this one has not, or no longer.
        winner = by_key.get(Key(sidecar.pod.namespace, sidecar.policy))
        if winner is None:
            continue
        governed[winner.claim.key].append(_sidecar(sidecar, winner))
        for loser in sidecar.losers:
            taken[Key(sidecar.pod.namespace, loser)][sidecar.policy].append(sidecar.pod.name)
    claims = [verdict.claim for verdict in by_key.values()]
    overridden = _overridden(claims)
    views = _pods(pods, claims=claims)
    return {
        key: PolicyView(
            verdict=verdict,
            sidecars=tuple(sorted(governed[key], key=lambda sidecar: sidecar.pod)),
            taken=taken[key],
            overridden_by=overridden.get(key),
            access_problems=_access_problems(verdict, world=world, secrets_namespace=secrets_namespace),
            pods=views[key] if isinstance(views, Mapping) else views,
            tuned=tuned(verdict.policy.metadata.uid),
            splits=splits(key),
        )
        for key, verdict in by_key.items()
    }


def _pods(pods: States | Unscanned | None, *, claims: list[Claim]) -> Mapping[Key, PodsView] | Unscanned | None:
    if pods is None or isinstance(pods, Unscanned):
        return pods
    names: dict[Key, dict[PodState, list[str]]] = {claim.key: {state: [] for state in PodState} for claim in claims}
    for pod, state in pods:
        winner, _ = select(claims, pod_labels=pod.metadata.labels)
        if winner is not None:
            names[winner.key][state].append(pod.metadata.name)
    return {
        key: PodsView(
            current=tuple(found[PodState.CURRENT]),
            outdated=tuple(found[PodState.OUTDATED]),
            uninjected=tuple(found[PodState.UNINJECTED]),
        )
        for key, found in names.items()
    }


def _sidecar(sidecar: SidecarFacts, verdict: Verdict) -> SidecarView:
    version = None if verdict.compiled is None else verdict.compiled.version
    rejection = sidecar.rejection if sidecar.rejection and sidecar.rejection.version == version else None
    return SidecarView(
        pod=sidecar.pod.name,
        applied=sidecar.held_version == version,
        rejection=None if rejection is None else rejection.reason or "it gives no reason",
    )


def _overridden(claims: list[Claim]) -> dict[Key, str]:
    """The name of the first of the policies that claim the same pods, for each of the others."""
    overridden: dict[Key, str] = {}
    leaders: list[Claim] = []
    for claim in sorted(claims, key=Claim.precedence):
        leader = next((each for each in leaders if each.same_pods(claim)), None)
        if leader is None:
            leaders.append(claim)
        else:
            overridden[claim.key] = leader.key.name
    return overridden


def _access_problems(verdict: Verdict, *, world: World, secrets_namespace: str) -> tuple[Problem, ...]:
    if verdict.compiled is None:
        return ()
    namespace = verdict.claim.key.namespace
    access = grant_access(
        verdict.compiled.provider_names,
        providers=world.providers,
        namespace=namespace,
        namespace_labels=world.namespace_labels(namespace),
        secrets=world.secrets,
        secrets_namespace=secrets_namespace,
    )
    return access.problems
