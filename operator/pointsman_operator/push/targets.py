"""What a sidecar is to have in force: pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from pointsman_operator.compile import Access, Claim, Compiled, select
from pointsman_operator.push.verdicts import Verdict


@dataclass(frozen=True, kw_only=True)
class Program:
    """This snapshot."""

    compiled: Compiled


@dataclass(frozen=True)
class Keep:
    """What it has: the policy that is for it cannot be programmed."""


@dataclass(frozen=True, kw_only=True)
class Withhold:
    """No policy, for this reason."""

    reason: str


@dataclass(frozen=True, kw_only=True)
class Decision:
    """Which policy is for a pod, which others claim it in vain, and what its sidecar is to have in force therefore."""

    winner: Claim | None
    losers: tuple[Claim, ...]
    action: Program | Keep | Withhold


@dataclass(frozen=True, kw_only=True)
class Target:
    """All that a sidecar should have been told."""

    decision: Decision
    access: Access


def decide(verdicts: Iterable[Verdict], *, namespace: str, pod_labels: Mapping[str, str], held_uid: str) -> Decision:
    """Decide for a pod among the verdicts of its namespace. `held_uid` is the policy that its sidecar has in force.

    The claim that wins decides even if it cannot be programmed: the pods that somebody meant to have a policy of their
    own must not silently get another.
    """
    by_key = {verdict.claim.key: verdict for verdict in verdicts}
    winner, losers = select((verdict.claim for verdict in by_key.values()), pod_labels=pod_labels, held_uid=held_uid)
    if winner is None:
        reason = f"no ModelRoutingPolicy of namespace {namespace} selects this pod"
        return Decision(winner=None, losers=(), action=Withhold(reason=reason))
    verdict = by_key[winner.key]
    action: Program | Keep | Withhold
    if verdict.compiled is not None:
        action = Program(compiled=verdict.compiled)
    elif verdict.last_good is not None:
        action = Program(compiled=verdict.last_good)
    elif held_uid in {each.claim.uid for each in by_key.values()}:
        # Its own at an earlier generation, or one that was for it before and is still there.
        action = Keep()
    else:
        action = Withhold(reason=f"ModelRoutingPolicy {winner.key} cannot be programmed: {verdict.problems[0]}")
    return Decision(winner=winner, losers=losers, action=action)
