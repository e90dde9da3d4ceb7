"""Gathers what the status of a namespace's policies depends on: pure, but for reading the hub."""

from collections import defaultdict
from collections.abc import Iterable, Mapping

from pointsman_operator.compile import Claim, grant_access
from pointsman_operator.push import Session, Verdict
from pointsman_operator.resources import Key, Problem
from pointsman_operator.status.policies import PolicyView, SidecarView
from pointsman_operator.world import World


def views_of(
    verdicts: Iterable[Verdict], *, sessions: Iterable[Session], world: World, secrets_namespace: str
) -> Mapping[Key, PolicyView]:
    """A view for each policy of one namespace; `sessions` are the namespace's."""
    by_key = {verdict.claim.key: verdict for verdict in verdicts}
    sidecars: defaultdict[Key, list[SidecarView]] = defaultdict(list)
    taken: defaultdict[Key, defaultdict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
    for session in sessions:
        if session.target is None or (winner := session.target.decision.winner) is None:
            continue
        sidecars[winner.key].append(_sidecar(session, by_key[winner.key]))
        for loser in session.target.decision.losers:
            taken[loser.key][winner.key.name].append(session.peer.pod)
    overridden = _overridden([verdict.claim for verdict in by_key.values()])
    return {
        key: PolicyView(
            verdict=verdict,
            sidecars=tuple(sorted(sidecars[key], key=lambda sidecar: sidecar.pod)),
            taken=taken[key],
            overridden_by=overridden.get(key),
            access_problems=_access_problems(verdict, world=world, secrets_namespace=secrets_namespace),
        )
        for key, verdict in by_key.items()
    }


def _sidecar(session: Session, verdict: Verdict) -> SidecarView:
    version = None if verdict.compiled is None else verdict.compiled.version
    rejection = session.rejection if session.rejection and session.rejection.version == version else None
    return SidecarView(
        pod=session.peer.pod,
        applied=session.held is not None and session.held.version == version,
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
