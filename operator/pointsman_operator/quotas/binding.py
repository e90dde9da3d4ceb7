"""Which budgets bind a pod, from what a hub knows."""

from collections.abc import Callable, Mapping

from pointsman_operator.compile import Budget, Member, budgets_for, rate_limits_for, terms_of
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
        quotas, world, now = self._hub.quotas_in(peer.namespace), self._hub.world, self._now()
        policies = [verdict.policy for verdict in self._hub.verdicts_in(peer.namespace)]
        labels = world.namespace_labels(peer.namespace)
        return (
            *budgets_for(member, quotas=quotas, policies=policies, providers=world.providers, now=now),
            *rate_limits_for(labels, providers=world.providers, now=now),
        )

    def terms(self, peer: Peer) -> Mapping[str, Terms]:
        """The same for the ledger."""
        return terms_of(self.budgets(peer))
