"""Long random runs of a world, each from a seed."""

import random
from collections.abc import Callable

from support.quota.worlds import PER_USER, SHARED, World

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
    world.speak(
        rng.randrange(len(world.sidecars)),
        replica=rng.randrange(2) if rng.random() < 0.1 else None,
    )


def _deliver(world: World, rng: random.Random) -> None:
    world.deliver(rng.randrange(1000), keep=rng.random() < 0.05 and len(world.network) < 30)


def _set_limit(world: World, rng: random.Random) -> None:
    budget = rng.choice((SHARED, PER_USER))
    world.set_limit(budget, rng.choice((0, 50, 200, 600, 2000)))


# What may happen, and how often among all that does.
STEPS: tuple[tuple[Step, float], ...] = (
    (_reserve, 30),
    (_finish, 30),
    (_speak, 14),
    (_deliver, 18),
    (lambda world, rng: world.tick(rng.choice((0.05, 0.2, 1.0, 3.0))), 10),
    (lambda world, rng: world.drop(rng.randrange(1000)), 0.5),
    (lambda world, rng: world.time_out(rng.randrange(len(world.sidecars))), 1),
    (lambda world, rng: world.nudge(rng.randrange(len(world.sidecars))), 0.5),
    (lambda world, rng: world.crash(rng.randrange(len(world.sidecars))), 0.1),
    (
        lambda world, rng: world.restart(rng.randrange(len(world.sidecars)), keep_journal=rng.random() < 0.7),
        0.5,
    ),
    (lambda world, _: world.fail_over(), 0.05),
    (_set_limit, 0.1),
    (lambda world, rng: world.lose(rng.random()), 0.02),
    (lambda world, rng: world.sweep(rng.randrange(2)), 0.1),
    (lambda world, rng: world.tick(rng.choice((30.0, 400.0, 1000.0))), 0.01),
)


def run(seed: int, *, events: int, make: Callable[..., World] = World) -> World:
    """Let so many things happen to a world, bring it to rest, and look whether all promises were kept.

    Raises:
        ViolationError: one was not.
    """
    rng = random.Random(seed)  # noqa: S311 - it is to be the same again for the same seed
    world = make(
        sidecars=rng.choice((1, 2, 3, 5)),
        lossy=rng.random() < 0.3,
        skews=rng.choice(((0.0,), (0.0, 2.0, -3.0), (0.0, 45.0, -20.0, 7.0))),
    )
    steps = [step for step, _ in STEPS]
    weights = [weight for _, weight in STEPS]
    for step in rng.choices(steps, weights, k=events):
        step(world, rng)
    world.quiet()
    return world
