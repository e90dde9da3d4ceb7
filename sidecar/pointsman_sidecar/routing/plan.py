"""`plan`: from a policy and a request's features to the models to call, in order, with the reason for each.

The cheapest that will do comes first by the policy's own rules; what cannot serve the request is never in the plan.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum, auto

from pointsman_sidecar.routing.capability import incapability
from pointsman_sidecar.routing.facts import NOWHERE, Facts, Surroundings
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.matching import Match, matches
from pointsman_sidecar.routing.policy import Feature, Model, Policy, Route
from pointsman_sidecar.routing.risk import NO_RISK, Risk
from pointsman_sidecar.routing.splitting import Drawn, drawn, sticky_key
from pointsman_sidecar.tuning.splits import SplitState


class Reason(Enum):
    """Why a model stands where it stands in a plan."""

    DEFAULT = auto()
    ROUTE = auto()
    SPLIT = auto()
    PINNED = auto()
    CAPABILITY = auto()
    FALLBACK = auto()
    EJECTED = auto()
    QUOTA = auto()
    LATENCY = auto()
    COMPLEXITY = auto()
    CONFIDENCE = auto()
    INVALID_OUTPUT = auto()
    REFUSAL = auto()
    TRUNCATION = auto()


class PlanError(Exception):
    """The request cannot be planned. Its text is a sentence for the caller; `reason` names the case for programs."""

    reason = "PLAN"


class RequestTooLargeError(PlanError):
    """The request has more bytes than the policy allows. Send less."""

    reason = "REQUEST_TOO_LARGE"


class UnknownModelError(PlanError):
    """The request names a model that the policy does not have. Name one that it has, or none."""

    reason = "UNKNOWN_MODEL"


class PinningNotAllowedError(PlanError):
    """The request names a model and the policy decides itself. Name none."""

    reason = "PINNING_NOT_ALLOWED"


class AmbiguousModelError(PlanError):
    """The request leaves to the policy what only the app can know: whose embeddings it compares. Name a model."""

    reason = "MODEL_REQUIRED"


class NoCapableModelError(PlanError):
    """No model that the policy would use can serve the request; if it is `too_long`, one could if it were shorter."""

    reason = "NO_CAPABLE_MODEL"

    def __init__(self, message: str, *, too_long: bool = False) -> None:
        super().__init__(message)
        self.too_long = too_long


@dataclass(frozen=True, kw_only=True, slots=True)
class Step:
    """A model to call. `message` is a sentence why it stands here."""

    model: Model
    reason: Reason
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Ejected:
    """A model that is not to be called for a while: a sentence why, and how bad it is (the least is tried first)."""

    message: str
    badness: tuple[float, ...]


_NONE_EJECTED: Mapping[str, Ejected] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Complexity:
    """How complex a request is, and from which score on the stronger model answers it.

    `hindrance` is a sentence's end why it must not, empty where it may.
    """

    score: float
    threshold: float
    hindrance: str = ""

    @property
    def is_high(self) -> bool:
        """Whether the request is as complex as that."""
        return self.score >= self.threshold


def _nobody_asks() -> Complexity | None:
    return None


@dataclass(frozen=True, kw_only=True, slots=True)
class Trial:
    """A route that was tried on the request."""

    route: str
    match: Match


_NO_PACES: Mapping[str, float] = {}
_NO_SPLITS: Mapping[str, SplitState] = {}


@dataclass(frozen=True, kw_only=True, slots=True)
class Skipped:
    """A model that cannot serve the request, or is not to be called now, and why."""

    model: str
    message: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Plan:
    """What to do with a request. `steps` holds one at least; `route` is empty where none matched.

    In a `panic`, every model that could serve the request is ejected, and the least bad is tried all the same. One that
    is `alone` is joined by no model that was not named for it; one that is `protected` is made less of by no budget.
    `failed` are the routes whose expression came to no verdict. `complexity` is None where it was not looked at, `arm`
    where no split was drawn from.
    """

    steps: tuple[Step, ...]
    route: str
    trials: tuple[Trial, ...]
    skipped: tuple[Skipped, ...]
    panic: bool = False
    alone: bool = False
    risk: Risk = NO_RISK
    failed: tuple[str, ...] = ()
    protected: bool = False
    complexity: Complexity | None = None
    arm: Drawn | None = None


@dataclass(frozen=True, kw_only=True, slots=True)
class _Choice:
    model: str
    reason: Reason
    why: Callable[[], str]
    fallbacks: tuple[str, ...]
    route: str = ""
    # A pinned model stands alone: who names a model does not want another. So do those of a protected route.
    alone: bool = False
    protected: bool = False
    complexity: Complexity | None = None
    arm: Drawn | None = None


def plan(
    policy: Policy,
    features: Features,
    *,
    request_id: str,
    ejected: Mapping[str, Ejected] = _NONE_EJECTED,
    surroundings: Surroundings = NOWHERE,
    paces: Mapping[str, float] = _NO_PACES,
    complexity: Callable[[], Complexity | None] = _nobody_asks,
    splits: Mapping[str, SplitState] = _NO_SPLITS,
) -> Plan:
    """Decide. `request_id` is what a split draws by where the request names no user or session.

    `ejected` are the models that are not to be called now, by name. They are passed over, unless there is no other.
    `paces` are the seconds in which half of a model's answers begin, by name, as far as they are known. `complexity`
    tells how complex the request is, None where nobody asks for it. It takes a while, so it is called once at most, and
    not where a route matches or the request names its model: there it would say nothing. `splits` are the states of
    splits that change by themselves, by name.

    Raises:
        PlanError: the request cannot be served under this policy; one of its subclasses says which case.
    """
    if features.request_bytes > policy.max_request_bytes:
        size = f"{'at least ' if features.is_cut else ''}{features.request_bytes:,}"
        raise RequestTooLargeError(
            f"the request has {size} bytes and policy {policy} allows {policy.max_request_bytes:,}"
        )
    trials: list[Trial] = []
    facts = Facts(features, surroundings, policy.risk)
    choice = _chosen(policy, facts, request_id, trials, complexity, splits)

    lacks, capable = _capable(policy, choice, features)
    well = [name for name in capable if name not in ejected]
    panic = not well
    if panic:
        well = [min(capable, key=lambda name: ejected[name].badness)]
    obstacles = dict(lacks)
    for name in capable:
        if name not in well:
            obstacles[name] = ejected[name].message
    first = well[0]
    if not (choice.protected or choice.reason is Reason.COMPLEXITY):
        # Who needs this model does not want a quicker one.
        well = _prompt_first(policy, well, paces)
    steps = [_step(policy, choice, name, lacks, obstacles, position) for position, name in enumerate(well)]
    if well[0] != first:
        steps = _hurried(policy, _step(policy, choice, first, lacks, obstacles, 0), steps, paces)
    if panic:
        steps = [replace(steps[0], message=f"{steps[0].message}; {ejected[well[0]].message}, and none is better")]
    return Plan(
        steps=tuple(steps),
        route=choice.route,
        trials=tuple(trials),
        skipped=tuple(Skipped(model=name, message=why) for name, why in obstacles.items() if why is not None),
        panic=panic,
        alone=choice.alone,
        risk=NO_RISK if Feature.EMBEDDINGS in features.needs else facts.risk,
        failed=tuple(trial.route for trial in trials if trial.match.failed) if facts.has_verdicts else (),
        protected=choice.protected,
        complexity=choice.complexity,
        arm=choice.arm,
    )


def larger(policy: Policy, features: Features, planned: Plan, *, ejected: Mapping[str, Ejected]) -> tuple[Step, ...]:
    """The models to try once the providers of all that were planned said that the request is too large for them.

    As where nobody planned can serve a request: the cheapest of the others that can, here with a larger context window.
    """
    if planned.alone:
        return ()
    window = max(step.model.context_window for step in planned.steps)
    tried = {step.model.name for step in planned.steps}
    return tuple(
        Step(
            model=model,
            reason=Reason.CAPABILITY,
            message=f"the request is too large for {', '.join(step.model.name for step in planned.steps)}, as the "
            f"provider says, and {model.name} has the larger context window",
        )
        for model in sorted(policy.models.values(), key=lambda model: model.dearness)
        if model.name not in tried
        and model.name not in ejected
        and model.context_window > window
        and _lack(policy, model.name, features) is None
    )


def default_only(policy: Policy, features: Features, planned: Plan, *, why: str) -> Plan:
    """The plan with nothing left but the default model, which stands alone. `why` is a sentence.

    Raises:
        NoCapableModelError: the default model cannot serve the request.
    """
    first = planned.steps[0]
    model = policy.models[policy.default_model]
    if first.model is not model:
        if lack := _lack(policy, model.name, features):
            raise NoCapableModelError(f"{why}, and {model.name} cannot serve the request: {lack}")
        first = Step(model=model, reason=Reason.QUOTA, message=why)
    return replace(planned, steps=(first,), skipped=(), panic=False, alone=True)


def _capable(policy: Policy, choice: _Choice, features: Features) -> tuple[dict[str, str | None], list[str]]:
    """What each model lacks for the request, as far as it was looked at, and those that lack nothing, in order."""
    names = list(dict.fromkeys((choice.model, *choice.fallbacks)))
    lacks = {name: _lack(policy, name, features) for name in names}
    capable = [name for name in names if lacks[name] is None]
    if not capable and not choice.alone:
        # Nobody that the policy names for this request can serve it. The cheapest of the others that can is better
        # than no answer; the decision says that it happened, and why.
        for model in sorted(policy.models.values(), key=lambda model: model.dearness):
            if model.name not in lacks:
                lacks[model.name] = _lack(policy, model.name, features)
                if lacks[model.name] is None:
                    capable.append(model.name)
    if not capable:
        raise NoCapableModelError(
            f"no model {_of(policy, choice)} can serve the request: "
            + "; ".join(f"{name}: {lack}" for name, lack in lacks.items()),
            too_long=any(_lack(policy, name, replace(features, estimated_input_tokens=0)) is None for name in lacks),
        )
    return lacks, capable


def _of(policy: Policy, choice: _Choice) -> str:
    return f"of the protected route {choice.route}" if choice.protected else f"of policy {policy}"


def _chosen(
    policy: Policy,
    facts: Facts,
    request_id: str,
    trials: list[Trial],
    complexity: Callable[[], Complexity | None],
    splits: Mapping[str, SplitState],
) -> _Choice:
    features = facts.features
    if Feature.EMBEDDINGS in features.needs:
        return _embedding(policy, features)
    if features.model and (policy.allow_pinning or not features.is_wish):
        return _pinned(policy, features)
    return _routed(policy, facts, request_id, trials, splits) or _unrouted(policy, complexity())


def _pinned(policy: Policy, features: Features) -> _Choice:
    if not policy.allow_pinning:
        raise PinningNotAllowedError(
            f"policy {policy} chooses the model itself (allowPinning is false): leave model empty or send auto"
        )
    return _named(policy, features, otherwise="leave model empty or send auto to let the policy choose")


def _embedding(policy: Policy, features: Features) -> _Choice:
    """Vectors of two models cannot be compared, so the app's choice stands: no route, no other model in its place."""
    names = sorted(model.name for model in policy.models.values() if Feature.EMBEDDINGS in model.features)
    if not names:
        raise NoCapableModelError(f"no model of policy {policy} gives embeddings")
    if features.model:
        return _named(policy, features, otherwise=f"those that give embeddings: {', '.join(names)}")
    if len(names) > 1:
        raise AmbiguousModelError(
            f"policy {policy} has several models that give embeddings, and those of one cannot be compared with those "
            f"of another: name one of {', '.join(names)}"
        )
    return _Choice(
        model=names[0],
        reason=Reason.DEFAULT,
        why=lambda: "it is the policy's only model that gives embeddings",
        fallbacks=(),
        alone=True,
    )


def _named(policy: Policy, features: Features, *, otherwise: str) -> _Choice:
    model = policy.named(features.model)
    if model is None:
        raise UnknownModelError(
            f"model {features.model} is not in policy {policy}, which has {', '.join(policy.models)}; {otherwise}"
        )
    return _Choice(model=model.name, reason=Reason.PINNED, why=lambda: "the request names it", fallbacks=(), alone=True)


def _routed(
    policy: Policy, facts: Facts, request_id: str, trials: list[Trial], splits: Mapping[str, SplitState]
) -> _Choice | None:
    for route in policy.routes:
        match = matches(route.when, facts)
        trials.append(Trial(route=route.name, match=match))
        if match.holds:
            return _by_route(policy, route, facts.features, request_id, match, splits)
    return None


def _unrouted(policy: Policy, complexity: Complexity | None) -> _Choice:
    why = "no route matched, so the default model answers" if policy.routes else "it is the default model"
    rule = policy.escalation
    if rule is None or complexity is None or not complexity.is_high:
        return _Choice(
            model=policy.default_model,
            reason=Reason.DEFAULT,
            why=lambda: why,
            fallbacks=policy.fallbacks,
            complexity=complexity,
        )
    scored = f"the request's complexity is {complexity.score:.2f}, at or above {complexity.threshold:.4g}"
    if complexity.hindrance:
        return _Choice(
            model=policy.default_model,
            reason=Reason.DEFAULT,
            why=lambda: f"{why}: {scored}, but {complexity.hindrance}",
            fallbacks=policy.fallbacks,
            complexity=complexity,
        )
    return _Choice(
        model=rule.model,
        reason=Reason.COMPLEXITY,
        why=lambda: scored,
        # Whoever would have answered otherwise stands in at the end: to go up makes no request fail.
        fallbacks=(*policy.fallbacks, policy.default_model),
        complexity=complexity,
    )


def _by_route(
    policy: Policy,
    route: Route,
    features: Features,
    request_id: str,
    match: Match,
    splits: Mapping[str, SplitState],
) -> _Choice:
    inherited = () if route.protected else policy.fallbacks
    fallbacks = inherited if route.fallbacks is None else route.fallbacks
    if len(route.arms) == 1:
        return _Choice(
            model=route.arms[0].model,
            reason=Reason.ROUTE,
            why=lambda: f"route {route.name} matched: {match.why()}",
            fallbacks=fallbacks,
            route=route.name,
            alone=route.protected,
            protected=route.protected,
        )
    key = sticky_key(route, features, request_id=request_id)
    arm = drawn(route, splits, key=key, salt=f"{policy}/{route.name}")
    rolled_back = f"; {arm.rolled_back} was rolled back" if arm.rolled_back else ""
    return _Choice(
        model=arm.model,
        reason=Reason.SPLIT,
        why=lambda: (
            f"route {route.name} matched: {match.why()}; its split by {route.sticky_by} gave the arm of weight "
            f"{arm.weight} of {arm.total}{rolled_back}"
        ),
        fallbacks=fallbacks,
        route=route.name,
        alone=route.protected,
        protected=route.protected,
        arm=arm,
    )


def _lack(policy: Policy, name: str, features: Features) -> str | None:
    return incapability(policy.models[name], features, policy_cap=policy.max_output_tokens)


def _step(
    policy: Policy,
    choice: _Choice,
    name: str,
    lacks: Mapping[str, str | None],
    obstacles: Mapping[str, str | None],
    position: int,
) -> Step:
    model = policy.models[name]
    if name == choice.model:
        return Step(model=model, reason=choice.reason, message=choice.why())
    if position == 0 and lacks[choice.model] is None:
        message = f"{choice.model} was chosen ({choice.why()}) but is left alone for now: {obstacles[choice.model]}"
        return Step(model=model, reason=Reason.EJECTED, message=message)
    if position == 0:
        message = f"{choice.model} was chosen ({choice.why()}) but cannot serve the request: {lacks[choice.model]}"
        return Step(model=model, reason=Reason.CAPABILITY, message=message)
    return Step(model=model, reason=Reason.FALLBACK, message=f"it stands in for {choice.model}")


def _prompt_first(policy: Policy, names: list[str], paces: Mapping[str, float]) -> list[str]:
    """The names in their order, those last that are known to take longer than the policy asks for."""
    p50 = policy.p50
    if p50 is None or not paces:
        return names
    return sorted(names, key=lambda name: paces.get(name, 0.0) > p50)


def _hurried(policy: Policy, passed: Step, steps: list[Step], paces: Mapping[str, float]) -> list[Step]:
    """The steps, of which the first takes the place of one that takes too long."""
    name = passed.model.name
    message = (
        f"{name} was chosen ({passed.message}) but half of its answers take longer than {policy.p50:g} s to begin "
        f"(about {paces[name]:.2g} s)"
    )
    return [
        replace(steps[0], reason=Reason.LATENCY, message=message),
        *(
            replace(step, reason=Reason.FALLBACK, message=f"it stands in for {steps[0].model.name}")
            for step in steps[1:]
        ),
    ]
