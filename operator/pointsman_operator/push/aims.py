"""What connected sidecars should be told of one world. Sidecars that are alike are decided for once."""

from collections.abc import Iterable

from pointsman_operator.compile import Access, grant_access
from pointsman_operator.push.session import Session
from pointsman_operator.push.targets import Decision, Program, Target, Withhold, decide
from pointsman_operator.push.verdicts import Verdict, Verdicts
from pointsman_operator.world import World

# Far more than there are kinds of sidecars, and few enough to keep until the world changes.
_MOST = 16_384


class Aims:
    """Good for as long as neither the world nor the verdicts change."""

    def __init__(self, world: World, *, verdicts: Verdicts, secrets_namespace: str) -> None:
        self._world = world
        self._verdicts = verdicts
        self._secrets_namespace = secrets_namespace
        self._known: dict[object, Target] = {}

    def target(self, session: Session) -> Target:
        """All that a sidecar should have been told."""
        peer, held_uid, in_use = session.peer, session.held_uid, session.providers_in_use()
        # All that the target depends on, beside the world.
        alike = (peer.namespace, frozenset(peer.labels.items()), held_uid, in_use)
        if (known := self._known.get(alike)) is not None:
            return known
        if len(self._known) >= _MOST:
            self._known.clear()
        verdicts = self._verdicts.within(peer.namespace)
        decision = decide(verdicts, namespace=peer.namespace, pod_labels=peer.labels, held_uid=held_uid)
        wanted = _wanted(decision, verdicts, held_uid=held_uid, in_use=in_use)
        target = Target(decision=decision, access=self._access(peer.namespace, wanted))
        self._known[alike] = target
        return target

    def _access(self, namespace: str, wanted: frozenset[str]) -> Access:
        return grant_access(
            wanted,
            providers=self._world.providers,
            namespace=namespace,
            namespace_labels=self._world.namespace_labels(namespace),
            secrets=self._world.secrets,
            secrets_namespace=self._secrets_namespace,
        )


def _wanted(
    decision: Decision, verdicts: Iterable[Verdict], *, held_uid: str, in_use: frozenset[str]
) -> frozenset[str]:
    """The providers that a sidecar needs, while an update is on its way and after."""
    if isinstance(decision.action, Withhold):
        return frozenset()
    wanted = frozenset[str]()
    # A snapshot whose policy is gone opens nothing, whatever the sidecar says it was made of.
    if held_uid in {verdict.claim.uid for verdict in verdicts}:
        wanted |= in_use
    if isinstance(decision.action, Program):
        wanted |= decision.action.compiled.provider_names
    return wanted
