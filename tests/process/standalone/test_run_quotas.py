"""`pointsman run` keeps to the TokenQuotas of its files, and to what was spent before where it is told a folder."""

import signal
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import grpc
import openai
import pytest

from pointsman_api.v1 import completions_pb2, decision_pb2, types_pb2
from pointsman_stub import StubProvider
from process.standalone.processes import KEYED, WITH_KEY, Running, lay, running
from pure.cli.resources import Json, policy, provider, quota
from support.answers import Refusal, refusal
from support.completions import ask
from support.waiting import until

CAP = 40
SEVERE = completions_pb2.RoutingHints(severity=types_pb2.SEVERITY_HIGH)
FORGOTTEN = "what is spent of TokenQuotas is forgotten at the end; --state-dir FOLDER keeps it"


def laid(folder: Path, stub: StubProvider, *resources: Json) -> Path:
    """A file with these resources beside a provider and shop's policy."""
    return lay(folder / "all.yaml", provider(baseURL=stub.base_url, auth=KEYED), policy(), *resources)


def serving(
    file: Path, *arguments: str, state: Path | None = None, log: str = "log"
) -> AbstractAsyncContextManager[Running]:
    """The command, by this file."""
    kept = () if state is None else ("--state-dir", state)
    return running("-f", file, *WITH_KEY, *kept, *arguments, log_file=file.with_name(log))


async def answered(served: Running, **fields: Any) -> decision_pb2.Decision:
    """The decision of a small request."""
    return (await served.app.Complete(ask(max_tokens=CAP, **fields))).decision


async def refused(served: Running, **fields: Any) -> Refusal:
    """How a small request is refused."""
    return await refusal(served.app.Complete(ask(max_tokens=CAP, **fields)))


async def spend_all(served: Running) -> None:
    """Small requests until one is refused, which is raised."""
    while True:
        await answered(served)


def budgets_in_force(served: Running, *expected: str) -> Callable[[], bool]:
    """Whether these were the last budgets that the sidecar was told."""

    def in_force() -> bool:
        lines = served.lines("budgets in force")
        return bool(lines) and lines[-1]["budgets"] == list(expected)

    return in_force


async def test_a_quota_counts_refuses_and_follows_the_file(tmp_path: Path, stub: StubProvider) -> None:
    file = laid(tmp_path, stub, quota(limit={"requests": 2}))
    async with serving(file) as served:
        used = [(await answered(served)).quota.used for _ in range(2)]
        no = await refused(served)
        async with openai.AsyncOpenAI(base_url=served.http_url, api_key="any") as client:
            with pytest.raises(openai.RateLimitError) as caught:
                await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello?"}])
        laid(tmp_path, stub, quota("wider", limit={"requests": 3}))
        await until(budgets_in_force(served, "TokenQuota shop/wider"))
        wider = await answered(served)
        laid(tmp_path, stub)
        await until(budgets_in_force(served))
        free = await answered(served)
        code = await served.end()

    assert used == [1, 2]
    assert (no.code, no.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED")
    assert "TokenQuota shop/month" in no.message
    assert "it resets at " in no.message
    assert "it resets at " in caught.value.message
    assert int(caught.value.response.headers["retry-after"]) > 0
    assert wider.quota.quota == "TokenQuota shop/wider"
    assert not free.HasField("quota")
    assert served.output.splitlines()[1] == FORGOTTEN
    assert (code, "Traceback" in served.log) == (0, False)


async def test_steps_are_taken_as_a_quota_runs_out(tmp_path: Path, stub: StubProvider) -> None:
    steps = [{"atPercent": 30, "maxOutputTokens": 7}, {"atPercent": 60, "only": "DefaultModel"}]
    file = laid(tmp_path, stub, quota(limit={"requests": 10}, steps=steps))
    async with serving(file) as served:
        decisions = [await answered(served, hints=SEVERE) for _ in range(10)]
        no = await refused(served, hints=SEVERE)

    assert [each.model for each in decisions] == ["flagship"] * 6 + ["mini"] * 4
    assert [each.body["max_completion_tokens"] for each in stub.requests] == [CAP] * 3 + [7] * 7
    assert decisions[-1].reason == decision_pb2.REASON_QUOTA
    assert no.reason == "QUOTA_EXHAUSTED"


async def test_what_was_spent_is_kept_in_the_folder_and_nowhere_else(tmp_path: Path, stub: StubProvider) -> None:
    file, state = laid(tmp_path, stub, quota(limit={"requests": 3})), tmp_path / "state"
    async with serving(file, state=state) as served:
        await answered(served)
        await answered(served)
        assert await served.end() == 0
    async with serving(file, state=state, log="log-2") as again:
        last = await answered(again)
        no = await refused(again)
    async with serving(file, log="log-3") as elsewhere:
        first = await answered(elsewhere)

    assert again.output.splitlines()[1] == f"what is spent of TokenQuotas is kept in {state}"
    assert (last.quota.used, no.reason, first.quota.used) == (3, "QUOTA_EXHAUSTED", 1)


async def test_a_process_that_is_killed_forgets_nothing_it_has_spent(tmp_path: Path, stub: StubProvider) -> None:
    file, state = laid(tmp_path, stub, quota(limit={"requests": 20})), tmp_path / "state"
    async with serving(file, state=state) as served:
        for _ in range(5):
            await answered(served)
        await served.end(signal.SIGKILL)
    async with serving(file, state=state, log="log-2") as again:
        with pytest.raises(grpc.aio.AioRpcError, match="it resets at "):
            await spend_all(again)

    # A sixteenth of a block may be lost with a process, and never more than there was be spent.
    assert 18 <= len(stub.requests) <= 20


async def test_each_user_keeps_a_budget_of_their_own(tmp_path: Path, stub: StubProvider) -> None:
    file, state = laid(tmp_path, stub, quota(scope="User", limit={"requests": 1})), tmp_path / "state"
    async with serving(file, state=state) as served:
        await answered(served, hints={"user": "ada"})
        await served.end()
    async with serving(file, state=state, log="log-2") as again:
        no = await refused(again, hints={"user": "ada"})
        other = await answered(again, hints={"user": "bob"})

    assert no.reason == "QUOTA_EXHAUSTED"
    assert other.quota.used == 1


async def test_a_folder_is_one_process_at_a_time_and_serves_any_namespace(tmp_path: Path, stub: StubProvider) -> None:
    till = policy("till", namespace="till")
    file, state = laid(tmp_path, stub, till, quota(limit={"requests": 9})), tmp_path / "state"
    async with serving(file, state=state) as served:
        with pytest.raises(AssertionError) as ended:
            async with serving(file, state=state, log="log-2"):
                pass
        await answered(served)
        # What it holds is of shop's budgets, of which till's pod must not speak.
        await served.end(signal.SIGKILL)
    async with serving(file, "-n", "till", state=state, log="log-3") as elsewhere:
        free = await answered(elsewhere)

    assert f"pointsman: --state-dir {state} is in use by another process; give another folder\n" in str(ended.value)
    assert not free.HasField("quota")


async def test_a_quota_that_cannot_hold_as_it_is_written_is_told_of(tmp_path: Path, stub: StubProvider) -> None:
    event = "quota is not in force as it is written"
    models = [{"providerRef": {"name": "openai"}, "model": "gpt-9"}]
    async with serving(laid(tmp_path, stub, quota(models=models))) as served:
        at_start = served.reasons(event)
        laid(tmp_path, stub, quota(models=models), quota("day", models=models))
        await served.until_logged(event, "quota shop/day: ")

    assert len(at_start) == 1
    assert at_start[0].startswith("quota shop/month: spec.models[0]")
