"""Long random runs of a world, each from a seed."""

import random
from collections.abc import Callable

from support.quota.declared import PER_USER, SHARED
from support.quota.worlds import World

Step = Callable[[World, random.Random], None]


def _sidecar(world: World, rng: random.Random) -> int:
    # Some have far more to do than others.
    return min(int(rng.expovariate(1.0)), len(world.sidecars) - 1)


def _reserve(world: World, rng: random.Random) -> None:
    torn = rng.randrange(60) if rng.random() < 0.001 else None
    world.reserve(_sidecar(world, rng), rng.choice((1, 5, 10, 20, 40)), rng.randrange(2), torn=torn)


def _finish(world: World, rng: random.Random) -> None:
    how = rng.random()
    world.finish(
        _sidecar(world, rng),
        rng.randrange(8),
        used_percent=rng.choice((0, 30, 60, 90, 100, 100, 150)) if rng.random() < 0.2 else 60,
        sent=how > 0.05,
        told=how > 0.1,
    )


def _speak(world: World, rng: random.Random) -> None:
    world.speak(rng.randrange(len(world.sidecars)))


def _speak_to_any(world: World, rng: random.Random) -> None:
    world.speak(rng.randrange(len(world.sidecars)), replica=rng.randrange(2))


def _deliver(world: World, rng: random.Random) -> None:
    world.deliver(rng.randrange(1000), keep=rng.random() < 0.05 and len(world.network) < 30)


def _set_limit(world: World, rng: random.Random) -> None:
    budget = rng.choice((SHARED, PER_USER))
    world.set_limit(budget, rng.choice((0, 50, 200, 600, 2000)))


def _restart(world: World, rng: random.Random) -> None:
    world.restart(rng.randrange(len(world.sidecars)), keep_journal=rng.random() < 0.7)


# What may happen, and how often among all that does.
STEPS: tuple[tuple[str, Step, float], ...] = (
    ("reserve", _reserve, 30),
    ("finish", _finish, 30),
    ("speak", _speak, 12),
    ("speak_to_any", _speak_to_any, 2),
    ("deliver", _deliver, 18),
    ("deliver_last", lambda world, rng: world.deliver(-1, keep=rng.random() < 0.3 and len(world.network) < 100), 1),
    ("tick", lambda world, rng: world.tick(rng.choice((0.05, 0.2, 1.0, 3.0))), 10),
    ("drop", lambda world, rng: world.drop(rng.randrange(1000)), 0.5),
    ("time_out", lambda world, rng: world.time_out(rng.randrange(len(world.sidecars))), 1),
    ("nudge", lambda world, rng: world.nudge(rng.randrange(len(world.sidecars))), 0.5),
    ("leave", lambda world, rng: world.leave(rng.randrange(len(world.sidecars))), 0.05),
    ("crash", lambda world, rng: world.crash(rng.randrange(len(world.sidecars))), 0.1),
    ("restart", _restart, 0.5),
    ("fail_over", lambda world, _: world.fail_over(), 0.05),
    ("set_limit", _set_limit, 0.1),
    ("lose", lambda world, rng: world.lose(rng.random()), 0.02),
    ("sweep", lambda world, rng: world.sweep(rng.randrange(2)), 0.1),
    ("long", lambda world, rng: world.tick(rng.choice((30.0, 400.0, 1000.0))), 0.01),
)


# What one world is like, and how much more often than usual something happens in it. Rare orders of events come up
# where nothing else gets in their way.
PROFILES: dict[str, tuple[bool, dict[str, float]]] = {
    "usual": (False, {}),
    "lossy": (True, {}),
    # A store that loses much, and nobody who could not say so.
    "losing": (True, {"lose": 8, "crash": 0, "long": 0, "time_out": 0.3, "nudge": 10, "leave": 20}),
    # Replicas that never know which of them leads.
    "wavering": (False, {"speak": 0, "speak_to_any": 5, "fail_over": 10}),
    # Pods in crash loops.
    "crashing": (False, {"crash": 10, "restart": 10}),
    # Messages that come long after those that were sent after them.
    "late": (False, {"deliver": 0.03, "deliver_last": 18, "tick": 3, "crash": 0, "fail_over": 0, "long": 0}),
}


def run(seed: int, *, events: int, profile: str | None = None) -> World:
    """Let so many things happen to a world, bring it to rest, and look whether all promises were kept.

    Raises:
        ViolationError: one was not.
    """
    rng = random.Random(seed)  # noqa: S311 - it is to be the same again for the same seed
    lossy, more = PROFILES[profile or rng.choice(list(PROFILES))]
    world = World(
        sidecars=rng.choice((1, 2, 3, 5)),
        lossy=lossy,
        skews=rng.choice(((0.0,), (0.0, 2.0, -3.0), (0.0, 45.0, -20.0, 7.0))),
    )
    steps = [step for _, step, _ in STEPS]
    weights = [weight * more.get(name, 1) for name, _, weight in STEPS]
    for step in rng.choices(steps, weights, k=events):
        step(world, rng)
    world.quiet()
    return world
