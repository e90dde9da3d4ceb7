"""How the models that a sidecar calls have been doing: one record for each, whichever policy calls it."""

from collections.abc import Mapping

from pointsman_sidecar.providers.outcomes import Outcome
from pointsman_sidecar.resilience.breaker import Breaker, Entry, State
from pointsman_sidecar.resilience.budgets import Budget
from pointsman_sidecar.resilience.quantiles import Quantiles
from pointsman_sidecar.routing.plan import Ejected
from pointsman_sidecar.routing.policy import Model, Policy

# So many retries a minute, however quiet the app is.
RETRIES_FLOOR = 10
# Records of models that no policy names any more are forgotten once there are so many.
_MOST = 128
# What says that a model does not do what it is for. A request that it refuses is no fault of its own, and answered.
BAD = frozenset(
    {
        Outcome.CONNECTION_FAILED,
        Outcome.TIMED_OUT,
        Outcome.RATE_LIMITED,
        Outcome.PROVIDER_FAILED,
        Outcome.MISCONFIGURED,
        Outcome.CUT,
    }
)
_GOOD = frozenset({Outcome.SUCCEEDED, Outcome.REFUSED, Outcome.TOO_LARGE})
_NOBODY: Mapping[str, Ejected] = {}
_NO_PACES: Mapping[str, float] = {}
_HALF = 50


class ModelHealth:
    """One model at one endpoint: its circuit, and how long it takes to answer and to begin to."""

    __slots__ = ("breaker", "first_token", "whole")

    def __init__(self) -> None:
        self.breaker = Breaker()
        self.first_token = Quantiles()
        self.whole = Quantiles()


class Health:
    """All of them, and what the policy in force may still spend on calls beyond one for each request."""

    def __init__(self) -> None:
        self._models: dict[tuple[str, str, str], ModelHealth] = {}
        # Those whose circuit is not closed: mostly none, and then nothing else need be looked at.
        self._opened: set[ModelHealth] = set()
        self._policy = ""
        self._retries = Budget(floor=RETRIES_FLOOR)
        self._hedges = Budget(floor=0)

    def of(self, policy: Policy, model: Model) -> ModelHealth:
        """A model's record."""
        key = (model.provider, policy.providers[model.provider].base_url, model.provider_model)
        record = self._models.get(key)
        if record is None:
            if len(self._models) >= _MOST:
                self._models.clear()
                self._opened.clear()
            record = self._models[key] = ModelHealth()
        return record

    def request(self, policy: Policy, now: float) -> None:
        """A request begins. Budgets are a policy's own."""
        if policy.uid != self._policy:
            self._policy = policy.uid
            self._retries = Budget(floor=RETRIES_FLOOR)
            self._hedges = Budget(floor=0)
        if policy.retries is not None:
            self._retries.request(now)
        if policy.hedging is not None:
            self._hedges.request(now)

    def may_retry(self, policy: Policy, now: float) -> bool:
        """Take one retry from the budget."""
        return policy.retries is not None and self._retries.take(now, percent=policy.retries.budget_percent)

    def may_hedge(self, policy: Policy, now: float) -> bool:
        """Take one hedge from the budget."""
        return policy.hedging is not None and self._hedges.take(now, percent=policy.hedging.max_percent)

    def ejected(self, policy: Policy, now: float) -> Mapping[str, Ejected]:
        """The policy's models that are not to be called now, by name."""
        rule = policy.circuit_breaker
        if rule is None or not self._opened:
            return _NOBODY
        return {
            model.name: Ejected(
                message=f"its circuit is open since {record.breaker.failed_percent} % of its calls failed",
                badness=(record.breaker.failed_percent, record.breaker.opens_in(now, rule)),
            )
            for model in policy.models.values()
            if (record := self.of(policy, model)) in self._opened and not record.breaker.admits(now, rule)
        }

    def paces(self, policy: Policy, now: float) -> Mapping[str, float]:
        """The seconds in which half of a model's answers begin, by name; whole ones where too few are streamed.

        Only where the policy asks for it, and of models of which enough is known.
        """
        if policy.p50 is None:
            return _NO_PACES
        paces = {}
        for model in policy.models.values():
            record = self.of(policy, model)
            pace = record.first_token.quantile(now, _HALF) or record.whole.quantile(now, _HALF)
            if pace is not None:
                paces[model.name] = pace
        return paces

    def admits(self, policy: Policy, model: Model, now: float) -> bool:
        """Whether a model may be called at this moment."""
        rule = policy.circuit_breaker
        return rule is None or not self._opened or self.of(policy, model).breaker.admits(now, rule)

    def enter(self, policy: Policy, model: Model, now: float) -> Entry | None:
        """A call begins."""
        rule = policy.circuit_breaker
        return None if rule is None else self.of(policy, model).breaker.enter(now, rule)

    def leave(self, policy: Policy, model: Model, entry: Entry | None, now: float, outcome: Outcome | None) -> bool:
        """A call ended so. Whether the circuit opened at it."""
        rule = policy.circuit_breaker
        if rule is None or entry is None:
            return False
        record = self.of(policy, model)
        good = True if outcome in _GOOD else False if outcome in BAD else None
        opened = record.breaker.leave(entry, now, rule, good=good)
        if record.breaker.is_closed:
            self._opened.discard(record)
        else:
            self._opened.add(record)
        return opened

    def state(self, policy: Policy, model: Model, now: float) -> State:
        """A circuit's state."""
        rule = policy.circuit_breaker
        return State.CLOSED if rule is None else self.of(policy, model).breaker.state(now, rule)
