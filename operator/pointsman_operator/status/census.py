"""What is known of the pods that asked for a sidecar, from the watch and from looking around."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pointsman_operator.resources import Key, Pod
from pointsman_operator.status.pods import PodState, Unscanned, state_of
from pointsman_operator.world import World

States = Sequence[tuple[Pod, PodState]]


class Census(Collector):
    """Who has a sidecar is watched; who has none is `scanned` now and then, by the replica that writes statuses.

    `scanned` holds the pods without a sidecar by namespace, and is None where nobody has looked. Namespaces that the
    webhooks leave alone are `spared`. As a collector it counts all pods by namespace and state.
    """

    def __init__(
        self,
        *,
        world: Callable[[], World],
        fingerprint: str,
        spared: frozenset[str],
        registry: CollectorRegistry,
    ) -> None:
        self.scanned: Mapping[str, tuple[Pod, ...]] | None = None
        self.spared = spared
        self._world = world
        self._fingerprint = fingerprint
        registry.register(self)

    def by_namespace(self, namespaces: Iterable[str]) -> Mapping[str, States] | Unscanned:
        """The pods of these namespaces that asked for a sidecar."""
        if self.scanned is None:
            return Unscanned()
        states: dict[str, list[tuple[Pod, PodState]]] = {name: [] for name in namespaces}
        for pod, state in self._states(self.scanned):
            if (there := states.get(pod.metadata.namespace)) is not None:
                there.append((pod, state))
        return states

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauge; without samples on replicas that do not look."""
        gauge = GaugeMetricFamily(
            "pointsman_operator_pods",
            "Pods that asked for a sidecar, by namespace and by what they have: current, outdated or uninjected.",
            labels=["namespace", "state"],
        )
        counts: dict[tuple[str, PodState], int] = {}
        for pod, state in self._states(self.scanned) if self.scanned is not None else ():
            place = (pod.metadata.namespace, state)
            counts[place] = counts.get(place, 0) + 1
        # A namespace that is here has all states, so that an alert sees the last pod go to 0.
        for namespace in sorted({namespace for namespace, _ in counts}):
            for state in PodState:
                gauge.add_metric([namespace, state], counts.get((namespace, state), 0))
        yield gauge

    def _states(self, scanned: Mapping[str, tuple[Pod, ...]]) -> Iterator[tuple[Pod, PodState]]:
        world = self._world()
        # What the watch has seen since comes before what was there when somebody looked.
        found = {pod.metadata.key: pod for pods in scanned.values() for pod in pods}
        labels: dict[str, Mapping[str, str]] = {}
        for key, pod in _together(found, world.pods):
            if key.namespace in self.spared:
                continue
            if key.namespace not in labels:
                labels[key.namespace] = world.namespace_labels(key.namespace)
            state = state_of(pod, namespace_labels=labels[key.namespace], fingerprint=self._fingerprint)
            if state is not None:
                yield pod, state


def _together(found: Mapping[Key, Pod], watched: Mapping[Key, Pod]) -> Iterator[tuple[Key, Pod]]:
    yield from watched.items()
    yield from ((key, pod) for key, pod in found.items() if key not in watched)
