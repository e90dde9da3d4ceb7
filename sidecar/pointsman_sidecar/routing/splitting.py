"""Which arm of a split a request falls to: by a hash, so that no replica needs to remember."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Arm, Route, StickyBy
from pointsman_sidecar.tuning.splits import SplitState


@dataclass(frozen=True, kw_only=True, slots=True)
class Drawn:
    """The arm that a request fell to, with its weight in force and that of all; `split` as of its route."""

    split: str
    model: str
    weight: int
    total: int
    rolled_back: str = ""


def drawn(route: Route, states: Mapping[str, SplitState], *, key: str, salt: str) -> Drawn:
    """Draw from the route's arms, by the weights in force. `states` has them by the names of splits."""
    state = states.get(route.split) if route.split else None
    if state is None or len(state.weights) != len(route.arms) or not any(state.weights):
        state = SplitState(weights=tuple(arm.weight for arm in route.arms))
    arms = [Arm(model=arm.model, weight=weight) for arm, weight in zip(route.arms, state.weights, strict=True)]
    arm = draw(arms, key=key, salt=salt)
    return Drawn(
        split=route.split,
        model=arm.model,
        weight=arm.weight,
        total=sum(state.weights),
        rolled_back=state.rolled_back,
    )


def draw(arms: Sequence[Arm], *, key: str, salt: str) -> Arm:
    """The arm that `key` falls to. The same key and salt give the same arm; keys spread by weight.

    The arms lie one after the other along a line as long as the sum of their weights, in their order, so that a weight
    moved between neighbours moves only the keys at their border. One arm at least must weigh more than 0.
    """
    total = sum(arm.weight for arm in arms)
    digest = hashlib.blake2b(key.encode(errors="surrogatepass"), salt=_salt(salt), digest_size=8).digest()
    # 2**64 is so much larger than a sum of weights that the remainder's bias cannot be seen.
    point = int.from_bytes(digest) * total >> 64
    for arm in arms:
        point -= arm.weight
        if point < 0:
            return arm
    raise ValueError("a split needs an arm with a weight above 0")


def sticky_key(route: Route, features: Features, *, request_id: str) -> str:
    """What the request sticks by; its own id where it names no user or session."""
    match route.sticky_by:
        case StickyBy.USER:
            return features.user or request_id
        case StickyBy.SESSION:
            return features.session or request_id
        case StickyBy.REQUEST:
            return request_id


def _salt(text: str) -> bytes:
    return hashlib.blake2b(text.encode(), digest_size=16).digest()
