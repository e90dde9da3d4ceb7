"""Finds quotas by what their budgets and their status depend on, without looking at the others."""

from collections.abc import Iterable

from pointsman_operator.push.index import Index
from pointsman_operator.resources import Key, TokenQuota, Unreadable
from pointsman_operator.world import Differences, World

# No provider has this name: for quotas that count the models of all.
_ALL_PROVIDERS = "*"


class Quotas:
    """A world's quotas, found by namespace, and by the providers whose models and prices they depend on."""

    def __init__(self) -> None:
        self._all: dict[Key, TokenQuota | Unreadable] = {}
        self._in_namespace: Index[Key] = Index()
        self._counting: Index[Key] = Index()

    def within(self, namespace: str) -> tuple[TokenQuota | Unreadable, ...]:
        """The quotas of a namespace."""
        return tuple(self._all[key] for key in self._in_namespace.find(namespace))

    def touched(self, difference: Differences) -> frozenset[Key]:
        """The quotas of which something else may be true after this; ask before and after `update`."""
        touched = set(difference.quotas)
        if difference.providers:
            touched |= set(self._counting.find(_ALL_PROVIDERS, *(key.name for key in difference.providers)))
        # A policy's default model may be one that a quota counts.
        touched |= set(self._in_namespace.find(*(key.namespace for key in difference.policies)))
        return frozenset(touched)

    def update(self, difference: Differences, *, world: World) -> None:
        """Take in the quotas that changed."""
        for key in difference.quota_objects:
            if (known := self._all.pop(key, None)) is not None:
                self._in_namespace.discard(key.namespace, key)
                self._counting.rename(key, before=_counted(known), after=())
            if (quota := world.quotas.get(key)) is not None:
                self._all[key] = quota
                self._in_namespace.add(key.namespace, key)
                self._counting.rename(key, before=(), after=_counted(quota))


def _counted(quota: TokenQuota | Unreadable) -> Iterable[str]:
    if isinstance(quota, Unreadable):
        return ()
    if quota.spec.models is None:
        return () if quota.spec.limit.cost is None else (_ALL_PROVIDERS,)
    return {each.provider_ref.name for each in quota.spec.models}
