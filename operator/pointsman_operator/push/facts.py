"""What a connected sidecar amounts to, for whoever counts sidecars: pure."""

from dataclasses import dataclass

from pointsman_operator.push.session import Rejection, Session
from pointsman_operator.resources import Key


@dataclass(frozen=True, kw_only=True, slots=True)
class SidecarFacts:
    """A sidecar that is connected to any replica: which policy is for it, and what it has in force.

    `policy` is empty where there is none, `losers` claim the pod in vain; both are names in the pod's namespace.
    """

    pod: Key
    policy: str
    losers: tuple[str, ...]
    held_version: str
    rejection: Rejection | None


def facts_of(session: Session) -> SidecarFacts:
    """The facts of a session; the same object while none of them changes, since those of many are asked for often."""
    if (noted := session.noted) is not None:
        target, held, rejection = noted[:3]
        facts: SidecarFacts = noted[3]
        if target is session.target and held is session.held and rejection is session.rejection:
            return facts
    facts = _facts_of(session)
    session.noted = (session.target, session.held, session.rejection, facts)
    return facts


def _facts_of(session: Session) -> SidecarFacts:
    decision = None if session.target is None else session.target.decision
    return SidecarFacts(
        pod=Key(session.peer.namespace, session.peer.pod),
        policy="" if decision is None or decision.winner is None else decision.winner.key.name,
        losers=() if decision is None else tuple(loser.key.name for loser in decision.losers),
        held_version="" if session.held is None else session.held.version,
        rejection=session.rejection,
    )
