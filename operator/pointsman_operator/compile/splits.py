"""Splits that change by themselves: what they are known by, how they begin, and what can be wrong with them."""

import hashlib
import json
from collections.abc import Iterator, Mapping

from pointsman_operator.resources.parse import INVALID_SPEC
from pointsman_operator.resources.policy import ModelRoutingPolicy, Route, Split
from pointsman_operator.resources.problem import Problem
from pointsman_operator.resources.provider import Price

_WHOLE = 100
ARMS = 2
"""Of a split that changes by itself."""
_LENGTH = 16
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def changes_by_itself(split: Split | None) -> bool:
    """Whether the split has steps or a guard."""
    return split is not None and (bool(split.steps) or split.guard is not None)


def split_name(policy: ModelRoutingPolicy, route: Route) -> str:
    """What the route's split is known by; empty where it does not change by itself.

    A hash of all that was written of it, and of what its arms' names stand for: another is another split. What is not
    written is left out, so that an operator with more fields comes to the same name.
    """
    split = route.split
    if split is None or not changes_by_itself(split):
        return ""
    arms = {arm.model for arm in split.arms}
    written = {
        "policy": policy.metadata.uid,
        "route": route.name,
        "split": split.model_dump(by_alias=True, exclude_none=True),
        "models": [
            [used.name, used.provider_ref.name, used.model]
            for used in sorted(policy.spec.models, key=lambda used: used.name)
            if used.name in arms
        ],
    }
    return hashlib.sha256(json.dumps(written, sort_keys=True).encode()).hexdigest()[:_LENGTH]


def first_weights(split: Split) -> tuple[int, ...]:
    """The weights of the arms before anything is known of them: with steps, those of the first."""
    if split.steps:
        share = split.steps[0].weight
        return (_WHOLE - share, share)
    return tuple(arm.weight or 0 for arm in split.arms)


def seconds(text: str | None) -> float:
    """Read how long a step lasts, such as 6h; nothing is no time. Raise ValueError if it is none."""
    if text is None:
        return 0.0
    if text[-1:] not in _SECONDS or not text[:-1].isdecimal():
        raise ValueError(f"{text!r} is no number with one of the units {', '.join(_SECONDS)}")
    return float(int(text[:-1]) * _SECONDS[text[-1]])


def split_problems(policy: ModelRoutingPolicy, *, prices: Mapping[str, Price]) -> Iterator[Problem]:
    """What is wrong with them that the CRD cannot say, or did not always. `prices` are the models', by local names."""
    stronger = policy.spec.escalation.model if policy.spec.escalation else None
    for index, route in enumerate(policy.spec.routes):
        split, path = route.split, f"spec.routes[{index}].split"
        if split is None or not changes_by_itself(split):
            continue
        if len(split.arms) != ARMS:
            message = "steps and guard need two arms: first the stable one, then the canary"
            yield Problem(path=path, reason=INVALID_SPEC, message=message)
            continue
        guard, canary = split.guard, split.arms[1].model
        if guard is None or stronger is None or stronger not in prices or canary not in prices:
            continue
        asks = guard.min_confidence is not None or guard.max_confidence_below_stable is not None
        if asks and _dearness(prices[canary]) >= _dearness(prices[stronger]):
            yield Problem(
                path=f"{path}.guard",
                reason=INVALID_SPEC,
                message=f"answers of {canary} are not looked at, since it costs no less than {stronger}, to which "
                "requests escalate; so its guard cannot ask for confidence",
            )


def _dearness(price: Price) -> float:
    return float(price.input) + float(price.output)
