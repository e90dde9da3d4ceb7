"""How budgets stand, for Prometheus."""

from collections.abc import Callable, Iterator, Mapping

from prometheus_client import CollectorRegistry
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from pointsman_operator.compile.budgets import amount_of
from pointsman_operator.resources import Key, TokenQuota, Unreadable
from pointsman_operator.status.amounts import digits, unit_of

_LABELS = ["namespace", "quota", "unit"]


class QuotaGauges(Collector):
    """What the quotas' statuses say, of those that are used, on the replica that writes them.

    So there is one sample of each in the whole fleet, and none for the thousands that lie idle.
    """

    def __init__(
        self,
        *,
        quotas: Callable[[], Mapping[Key, TokenQuota | Unreadable]],
        writing: Callable[[], bool],
        registry: CollectorRegistry,
    ) -> None:
        self._quotas = quotas
        self._writing = writing
        registry.register(self)

    def collect(self) -> Iterator[GaugeMetricFamily]:
        """The gauges."""
        used = _gauge("used", "What was spent in this window; of several budgets, of the one of which most is.")
        held = _gauge("held", "What sidecars hold of the same budget and have not spent.")
        limit = _gauge("limit", "The budget.")
        for key, quota in self._quotas().items() if self._writing() else ():
            if isinstance(quota, Unreadable) or "resetsAt" not in quota.status:
                continue
            amount = amount_of(quota.spec.limit)
            labels = [key.namespace, key.name, unit_of(amount)]
            used.add_metric(labels, float(quota.status.get("used", 0)))
            held.add_metric(labels, float(quota.status.get("held", 0)))
            limit.add_metric(labels, float(digits(amount.value, amount)))
        yield from (used, held, limit)


def _gauge(name: str, says: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(f"pointsman_operator_quota_{name}", f"{says} In the limit's unit.", labels=_LABELS)
