"""What is known of the pods that asked for a sidecar, from the watch and from looking around."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pointsman_operator.resources import Pod
from pointsman_operator.status.pods import PodState, Unscanned, state_of
from pointsman_operator.world import World

States = Sequence[tuple[Pod, PodState]]


class Census(Collector):
    """Who has a sidecar is watched; who has none is `scanned` now and then, by the replica that writes statuses.

    `pods_in` gives a namespace's watched pods. `scanned` holds the pods without a sidecar by namespace, and is None
    where nobody has looked. Namespaces that the webhooks leave alone are `spared`. As a collector it counts all pods
    by namespace and state.
    """

    def __init__(
        self,
        *,
        world: Callable[[], World],
        pods_in: Callable[[str], Iterable[Pod]],
        fingerprint: str,
        spared: frozenset[str],
        registry: CollectorRegistry,
    ) -> None:
        self.scanned: Mapping[str, tuple[Pod, ...]] | None = None
        self.spared = spared
        self._world = world
        self._pods_in = pods_in
        self._fingerprint = fingerprint
        registry.register(self)

    def by_namespace(self, namespaces: Iterable[str]) -> Mapping[str, States] | Unscanned:
        """The pods of these namespaces that asked for a sidecar."""
        if self.scanned is None:
            return Unscanned()
        return {name: tuple(self._states_in(name, self.scanned.get(name, ()))) for name in namespaces}

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge; without samples on replicas that do not look."""
        gauge = GaugeMetricFamily(
            "pointsman_operator_pods",
            "Pods that asked for a sidecar, by namespace and by what they have: current, outdated or uninjected.",
            labels=["namespace", "state"],
        )
        counts: dict[tuple[str, PodState], int] = {}
        scanned = self.scanned
        namespaces = set() if scanned is None else {key.namespace for key in self._world().pods} | scanned.keys()
        for namespace in namespaces:
            for _, state in self._states_in(namespace, (scanned or {}).get(namespace, ())):
                counts[namespace, state] = counts.get((namespace, state), 0) + 1
        # A namespace that is here has all states, so that an alert sees the last pod go to 0.
        for namespace in sorted({namespace for namespace, _ in counts}):
            for state in PodState:
                gauge.add_metric([namespace, state], counts.get((namespace, state), 0))
        yield gauge

    def _states_in(self, namespace: str, scanned: Iterable[Pod]) -> Iterator[tuple[Pod, PodState]]:
        if namespace in self.spared:
            return
        labels = self._world().namespace_labels(namespace)
        # What the watch has seen since comes before what was there when somebody looked.
        pods = {pod.metadata.key: pod for pod in (*scanned, *self._pods_in(namespace))}
        for pod in pods.values():
            state = state_of(pod, namespace_labels=labels, fingerprint=self._fingerprint)
            if state is not None:
                yield pod, state
