"""A split's new arm, from what sidecars count of it to what all of them draw by, over restarts and another holder."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from pointsman_operator.resources import Key
from pointsman_operator.tuning import keeper as keeper_module
from pointsman_operator.tuning import splits as splits_module
from pointsman_operator.tuning.splits import Phase
from pointsman_sidecar.control import stream as stream_module
from pointsman_sidecar.tuning.arms import ArmResult
from pointsman_sidecar.tuning.splits import SplitState
from process.operator.fake_api import CONFIG_MAPS
from process.operator.test_tuning import UID, Operator, Plane, following, running_plane
from pure.operator.objects import Json, policy
from support.sidecars import Sidecar
from support.waiting import until


def splitting(*, version: int = 1, attempt: int = 1, **more: object) -> Json:
    """A policy with a guarded split."""
    split = {
        "stickyBy": "User",
        "arms": [{"model": "mini", "weight": 95}, {"model": "flagship", "weight": 5}],
        "guard": {"minSamples": 100, "maxErrorPercent": 2},
        "attempt": attempt,
    }
    route = {"name": "new", "when": {"user": {"exists": True}}, "split": split, "protected": False}
    return policy(version=version, generation=version, routes=[route], **more)


def name_in(sidecar: Sidecar) -> str:
    """The split's name, as the sidecar's policy has it."""
    assert sidecar.in_force.policy is not None
    return sidecar.in_force.policy.routes[0].split


def count(sidecar: Sidecar, *, good: int = 0, bad: int = 0) -> None:
    """Have a sidecar see requests that fell to the new arm."""
    for result in (*[ArmResult(seconds=0.2)] * good, *[ArmResult(seconds=None)] * bad):
        sidecar.counting.under(UID).arm(result, split=name_in(sidecar), model="flagship")


async def stands(sidecar: Sidecar, weights: tuple[int, int]) -> None:
    """Wait until the sidecar draws by these weights."""
    await until(
        lambda: (
            sidecar.in_force.policy is not None
            and sidecar.in_force.fleet.splits.get(name_in(sidecar), SplitState(weights=())).weights == weights
        )
    )


async def rolled_back(operator: Operator, *sidecars: Sidecar) -> None:
    """The new arm fails, half of it at one sidecar and half at another, until it is rolled back."""
    for each in sidecars:
        await stands(each, (95, 5))

    def fails_until_then() -> bool:
        for each in sidecars:
            count(each, good=10, bad=50)
        return phase(operator) is Phase.ROLLED_BACK

    await until(fails_until_then)
    for each in sidecars:
        await stands(each, (100, 0))


def phase(operator: Operator) -> Phase | None:
    """Where the one split stands, as its keeper has it."""
    state = operator.keeper.state(UID)
    found = list(state.splits.splits.values()) if state else []
    return found[-1].state.phase if found else None


@pytest.fixture(autouse=True)
def no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_module, "TALLY_SECONDS", 0.02)
    monkeypatch.setattr(keeper_module, "COMPUTE_SECONDS", 0.02)
    monkeypatch.setattr(splits_module, "LOOK_AGAIN_SECONDS", 0.1)


@pytest.fixture
async def plane(tmp_path: Path) -> AsyncIterator[Plane]:
    async with running_plane(tmp_path) as made:
        yield made


async def test_what_sidecars_count_together_rolls_a_bad_arm_back_at_each_of_them(plane: Plane) -> None:
    operator = await plane.operator(splitting())
    operator.keeper.begin()
    one, other = await plane.sidecar(operator, "app-1"), await plane.sidecar(operator, "app-2")

    await rolled_back(operator, one, other)

    for each in (one, other):
        assert each.in_force.fleet.splits[name_in(each)] == SplitState(weights=(100, 0), rolled_back="flagship")


async def test_a_rollback_outlives_its_holder_and_its_sidecars(plane: Plane, tmp_path: Path) -> None:
    folder = tmp_path / "state"
    folder.mkdir()
    async with plane.running(splitting()) as first:
        first.keeper.begin()
        async with following(first.address, pod="app-1", folder=folder) as sidecar:
            await rolled_back(first, sidecar)
        first.keeper.pause()

    async with following(first.address, pod="app-1", folder=folder) as alone:
        await stands(alone, (100, 0))
    second = await plane.operator(splitting())
    second.keeper.begin()
    fresh = await plane.sidecar(second, "app-2")
    await stands(fresh, (100, 0))
    assert phase(second) is Phase.ROLLED_BACK


async def test_a_changed_split_begins_anew_and_the_old_one_stays_as_it_was(plane: Plane) -> None:
    async with plane.running(splitting()) as first:
        first.keeper.begin()
        async with following(first.address, pod="app-1") as sidecar:
            await rolled_back(first, sidecar)
            old = name_in(sidecar)

    second = await plane.operator(splitting(version=2, attempt=2))
    second.keeper.begin()
    sidecar = await plane.sidecar(second, "app-1")
    await stands(sidecar, (95, 5))

    assert name_in(sidecar) != old
    assert sidecar.in_force.fleet.splits[old].rolled_back == "flagship"


async def test_a_rollback_is_written_down_before_it_is_told(plane: Plane) -> None:
    operator = await plane.operator(splitting())
    operator.keeper.begin()
    sidecar = await plane.sidecar(operator, "app-1")

    await rolled_back(operator, sidecar)

    assert bool(plane.api.objects[CONFIG_MAPS])
    (kept,) = plane.kept()["splits"]
    assert (kept["phase"], kept["rolledBack"], kept["route"]) == ("RolledBack", "flagship", "new")


async def test_a_split_stands_still_while_its_policy_cannot_be_programmed(plane: Plane) -> None:
    operator = await plane.operator(splitting(version=2, attempt=2, defaultModel="nobody"))
    operator.keeper.begin()

    await until(lambda: operator.keeper.state(UID) is not None)

    assert operator.hub.verdicts()[Key("shop", "support")].compiled is None
    assert phase(operator) is None
