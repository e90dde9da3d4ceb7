"""`pointsman run` takes splits up by itself, and keeps where they stand where it is told a folder."""

import asyncio
import json
from contextlib import AbstractAsyncContextManager
from pathlib import Path

import pytest

from pointsman.tunings import FileTunings
from pointsman_api.v1 import completions_pb2
from pointsman_operator.resources import Key
from pointsman_operator.tuning import PolicyState, Record, TuningUnavailableError
from pointsman_stub import StubProvider
from process.standalone.processes import KEYED, STARTS_WITHIN, WITH_KEY, Running, lay, running
from pure.cli.resources import policy, provider
from support.completions import ask
from support.waiting import until

ROUTE = {
    "name": "new",
    "when": {"user": {"exists": True}},
    "split": {
        "arms": [{"model": "mini"}, {"model": "flagship"}],
        "steps": [{"weight": 1, "for": "1s"}, {"weight": 100}],
    },
}
HINTS = completions_pb2.RoutingHints(user="ada")


def serving(file: Path, *, state: Path, log: str) -> AbstractAsyncContextManager[Running]:
    """The command, by this file."""
    return running("-f", file, *WITH_KEY, "--state-dir", state, log_file=file.with_name(log))


async def weight(served: Running) -> int:
    """The new arm's share, as a decision has it."""
    arm = (await served.app.Explain(ask(hints=HINTS))).decision.arm
    return arm.weight if arm.model == "flagship" else arm.total_weight - arm.weight


async def until_weight(served: Running, wanted: int) -> None:
    """Wait until the new arm has this share."""
    async with asyncio.timeout(STARTS_WITHIN):
        while True:
            if await weight(served) == wanted:
                return
            await asyncio.sleep(0.02)


async def test_a_split_goes_up_is_logged_and_is_where_it_was_after_a_restart(
    tmp_path: Path, stub: StubProvider
) -> None:
    file, state = tmp_path / "all.yaml", tmp_path / "state"
    lay(file, provider(baseURL=stub.base_url, auth=KEYED), policy(routes=[ROUTE]))
    async with serving(file, state=state, log="log") as served:
        first = await weight(served)
        await until(lambda: len(served.lines("split")) == 3, within=30)
        assert await served.end() == 0
        said = [(line["route"], line["phase"]) for line in served.lines("split")]
    async with serving(file, state=state, log="log-2") as again:
        await until_weight(again, 100)
        assert again.lines("split") == []

    assert first == 1
    assert said == [("new", "Progressing"), ("new", "Progressing"), ("new", "Promoted")]


async def test_a_split_waits_for_its_suite_until_a_result_stands_at_the_policy(
    tmp_path: Path, stub: StubProvider
) -> None:
    file = tmp_path / "all.yaml"
    gated = policy(routes=[{**ROUTE, "split": {**ROUTE["split"], "suite": "answers"}}])
    shown = provider(baseURL=stub.base_url, auth=KEYED)
    lay(file, shown, gated)
    async with serving(file, state=tmp_path / "state", log="log") as served:
        await until(lambda: [line["phase"] for line in served.lines("split")][-1:] == ["Paused"], within=30)
        paused = served.lines("split")[-1]["why"]
        result = {"passed": True, "cases": 4, "regressions": 0, "suite": "abc", "at": "2026-03-02T18:30:00Z"}
        named = {"baseline": "openai/gpt-4o-mini", "candidate": "openai/gpt-4o"}
        gated["metadata"]["annotations"] = {"regression.pointsman.dev/answers": json.dumps(result | named)}
        lay(file, shown, gated)
        await until_weight(served, 100)

    assert paused.startswith("suite answers has not been run: run `pointsman regress`")


async def test_what_is_kept_is_read_again_and_what_is_none_of_ours_is_not(tmp_path: Path) -> None:
    record = Record(state=PolicyState(policy=Key("shop", "support"), uid="u-1", version=3), at=7)
    await FileTunings(tmp_path).write({"u-1": record, "u-2": record})
    await FileTunings(tmp_path).read()
    store = FileTunings(tmp_path)
    assert set(await store.read()) == {"u-1", "u-2"}

    await store.write({"u-2": None})
    assert await FileTunings(tmp_path).read() == {"u-1": record}
    (tmp_path / "tuning.json").write_text("[]")
    assert await FileTunings(tmp_path).read() == {}


async def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    record = Record(state=PolicyState(policy=Key("shop", "support"), uid="u-1"), at=7)

    with pytest.raises(TuningUnavailableError, match="cannot be written"):
        await FileTunings(tmp_path / "nowhere").write({"u-1": record})


async def test_without_a_folder_it_is_forgotten_with_the_process() -> None:
    record = Record(state=PolicyState(policy=Key("shop", "support"), uid="u-1"), at=7)
    store = FileTunings(None)
    await store.write({"u-1": record})

    assert await store.read() == {"u-1": record}
    assert await FileTunings(None).read() == {}
