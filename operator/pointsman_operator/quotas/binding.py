"""Which budgets bind a pod, from what a hub knows."""

from collections.abc import Callable, Mapping

from pointsman_operator.compile import Budget, Member, budgets_for, terms_of
from pointsman_operator.ledger.answering import Terms
from pointsman_operator.push import Hub, Peer
from pointsman_operator.resources import Key


class Binding:
    """Asks a hub for budgets. `now` is the calendar's clock."""

    def __init__(self, hub: Hub, *, now: Callable[[], float]) -> None:
        self._hub = hub
        self._now = now

    def budgets(self, peer: Peer) -> tuple[Budget, ...]:
        """The budgets that bind a sidecar now, by the labels that its pod has now."""
        pod = self._hub.world.pods.get(Key(peer.namespace, peer.pod))
        member = Member(labels=peer.labels, workload=peer.workload)
        if pod is not None and pod.metadata.uid == peer.uid:
            member = Member(labels=pod.metadata.labels, workload=pod.workload)
        return budgets_for(
            member,
            quotas=self._hub.quotas_in(peer.namespace),
            policies=[verdict.policy for verdict in self._hub.verdicts_in(peer.namespace)],
            providers=self._hub.world.providers,
            now=self._now(),
        )

    def terms(self, peer: Peer) -> Mapping[str, Terms]:
        """The same for the ledger."""
        return terms_of(self.budgets(peer))
