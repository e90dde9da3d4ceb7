"""The sidecar as a process: how it starts, what it shows, what it says and how it ends."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import aiohttp
import grpc
import pytest

from pointsman_api.v1 import completions_pb2, completions_pb2_grpc, control_pb2
from pointsman_sidecar.control.store import SnapshotStore
from pointsman_stub import Fault, StubProvider
from support.answers import next_event, refusal, rest, streamed, text_of
from support.completions import ask, tool
from support.operators import FakeOperator, running_operator
from support.sidecar_processes import SidecarProcess, run_to_end, running_process
from support.snapshots import snapshot, update

KEY = "sk-of-these-tests"
FREE = ("--http-listen", "127.0.0.1:0", "--status-listen", "127.0.0.1:0")
NEEDED = ["--operator", "127.0.0.1:9", "--namespace", "shop", "--pod", "web-1", "--listen", "127.0.0.1:0"]


@dataclass(kw_only=True)
class Pod:
    """A sidecar's process with its policy in force, and an app's channel to it."""

    process: SidecarProcess
    app: "completions_pb2_grpc.CompletionsAsyncStub"


@pytest.fixture
async def operator() -> AsyncIterator[FakeOperator]:
    """An operator."""
    async with running_operator() as running:
        yield running


@pytest.fixture
async def pod(operator: FakeOperator, stub: StubProvider) -> AsyncIterator[Pod]:
    """A sidecar that says all that it can say."""
    async with (
        running_process(
            operator=operator.address,
            arguments=("--grace", "5", "--log-level", "DEBUG"),
            environment={"OPENAI_LOG": "debug"},
        ) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        connection = await operator.connection()
        connection.send(
            access=control_pb2.AccessUpdate(providers=[control_pb2.ProviderAccess(provider="openai", api_key=KEY)])
        )
        connection.send(snapshot=update(snapshot(base_url=stub.base_url, allow_pinning=True)))
        await connection.answer()
        yield Pod(process=process, app=completions_pb2_grpc.CompletionsStub(channel))


async def page(url: str) -> tuple[int, str]:
    """Status and text of a page."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return response.status, await response.text()


async def test_health_and_metrics_are_served_and_nothing_else(pod: Pod) -> None:
    await pod.app.Complete(ask())
    await streamed(pod.app.CompleteStream(ask()))

    assert await page(f"{pod.process.status_url}/healthz") == (200, "ok\n")
    assert await page(f"{pod.process.status_url}/readyz") == (200, "ok\n")
    assert (await page(f"{pod.process.status_url}/"))[0] == 404
    status, metrics = await page(f"{pod.process.status_url}/metrics")
    assert status == 200
    for line in (
        'pointsman_completions_total{code="OK",model="mini",policy="shop/support",reason="DEFAULT",route=""} 2.0',
        "pointsman_completions_in_flight 0.0",
        'pointsman_completion_duration_seconds_count{model="mini",policy="shop/support"} 2.0',
        'pointsman_time_to_first_token_seconds_count{model="mini",policy="shop/support"} 1.0',
        ('pointsman_attempts_total{model="mini",outcome="SUCCEEDED",policy="shop/support",provider="openai"} 2.0'),
        "pointsman_control_connected 1.0",
        "pointsman_policy_generation 3.0",
        'pointsman_snapshots_total{verdict="applied"} 1.0',
    ):
        assert line in metrics
    assert 'pointsman_tokens_total{model="mini",policy="shop/support",type="output"}' in metrics
    assert 'pointsman_cost_total{currency="USD",model="mini",policy="shop/support"}' in metrics


async def test_a_running_answer_is_finished_before_the_process_ends(pod: Pod, stub: StubProvider) -> None:
    stub.set_faults(Fault(chunk_delay=0.03))
    call = pod.app.CompleteStream(ask())
    assert (await next_event(call)).HasField("started")

    pod.process.terminate()
    events = await rest(call)

    assert events[-1].HasField("finished")
    assert text_of(events).startswith("[gpt-4o-mini] ")
    assert await pod.process.exit_code() == 0
    assert "stopping" in [line["event"] for line in pod.process.logged]


async def test_while_it_ends_it_is_not_ready_and_takes_no_new_request(pod: Pod, stub: StubProvider) -> None:
    stub.set_faults(Fault(hang=4, times=1))
    call = pod.app.CompleteStream(ask())
    assert (await next_event(call)).HasField("started")

    pod.process.terminate()
    await pod.process.until_logged("stopping")

    assert await page(f"{pod.process.status_url}/readyz") == (503, "not ready\n")
    assert await _soon_refused(pod) is grpc.StatusCode.UNAVAILABLE
    call.cancel()
    assert await pod.process.exit_code() == 0


async def _soon_refused(pod: Pod) -> grpc.StatusCode:
    """The code of the first call that is not answered; those before the door closes are."""
    async with asyncio.timeout(5):
        while True:
            try:
                await pod.app.Complete(ask())
            except grpc.aio.AioRpcError as error:
                return error.code()


async def test_an_answer_that_does_not_end_holds_the_process_up_for_its_grace_only(
    operator: FakeOperator, stub: StubProvider
) -> None:
    stub.set_faults(Fault(hang=4))
    async with (
        running_process(operator=operator.address, arguments=("--grace", "0.2")) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        connection = await operator.connection()
        connection.send(
            access=control_pb2.AccessUpdate(providers=[control_pb2.ProviderAccess(provider="openai", api_key=KEY)])
        )
        connection.send(snapshot=update(snapshot(base_url=stub.base_url)))
        await connection.answer()
        call = completions_pb2_grpc.CompletionsStub(channel).CompleteStream(ask())
        assert (await next_event(call)).HasField("started")
        started = time.monotonic()

        process.terminate()

        assert await process.exit_code() == 0
        assert time.monotonic() - started < 3
        await stub.until(lambda: stub.open_requests == 0)


async def test_it_starts_without_an_operator_and_with_the_policy_of_its_last_life(
    stub: StubProvider, tmp_path: Path
) -> None:
    """Startup is a local fact: a pod must not wait for the control plane."""
    SnapshotStore(tmp_path).save(update(snapshot(base_url=stub.base_url)))

    async with (
        running_process(operator="127.0.0.1:9", arguments=("--state-dir", str(tmp_path))) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        app = completions_pb2_grpc.CompletionsStub(channel)
        assert await page(f"{process.status_url}/readyz") == (200, "ok\n")
        assert (await app.Explain(ask())).decision.policy.generation == 3
        told = await refusal(app.Complete(ask()))
        process.terminate()
        assert await process.exit_code() == 0

    assert (told.code, told.outcomes) == (
        grpc.StatusCode.UNAVAILABLE,
        [("mini", "NO_ACCESS"), ("flagship", "NO_ACCESS")],
    )


async def test_neither_prompts_nor_answers_nor_keys_are_logged(pod: Pod, stub: StubProvider) -> None:
    hints = completions_pb2.RoutingHints(
        user="CANARY-user", session="CANARY-session", metadata={"CANARY-key": "CANARY-value"}
    )
    request = ask(
        "CANARY-prompt",
        hints=hints,
        tools=[tool("CANARY_tool", schema=b'{"title": "CANARY-schema"}')],
        extra_json=b'{"metadata": {"note": "CANARY-extra"}}',
    )

    async def everything() -> None:
        for timeout in (5, 0.3):
            for call in (pod.app.Complete(request, timeout=timeout), pod.app.Explain(request)):
                try:
                    await call
                except grpc.aio.AioRpcError:
                    continue
            await streamed(pod.app.CompleteStream(request, timeout=timeout))

    for faults in (
        (),
        (Fault(status=400),),
        (Fault(status=401),),
        (Fault(status=500),),
        (Fault(cut=3),),
        (Fault(garbage="html"),),
        (Fault(garbage="json"),),
        (Fault(error_after=3),),
    ):
        stub.set_faults(*faults)
        await everything()
    stub.set_faults()
    # What a provider says of a request can quote it: the stub does so for a schema that it cannot follow.
    form = completions_pb2.ResponseFormat(
        json_schema=completions_pb2.JsonSchemaFormat(name="x", json_schema=b'{"type": "CANARY-type"}')
    )
    quoted = await refusal(pod.app.Complete(ask("CANARY-prompt", response_format=form)))
    assert "CANARY-type" in quoted.message
    await refusal(pod.app.Complete(ask("CANARY-prompt", model="CANARY-model")))
    await refusal(pod.app.Complete(ask("CANARY-prompt", extra_json=b"CANARY-json")))
    pod.process.terminate()
    assert await pod.process.exit_code() == 0

    said = "\n".join(pod.process.stderr)
    assert "CANARY" not in said
    assert KEY not in said
    assert "Canned answer" not in said
    # Their own lines, at the level of this test, tell URLs and headers of every call.
    assert not {line["logger"].partition(".")[0] for line in pod.process.logged} & {"openai", "httpx2", "httpcore2"}
    completions = [line for line in pod.process.logged if line["event"] == "completion"]
    assert len(completions) > 20
    assert all(len(line["decision_id"]) == 32 for line in completions if line.get("policy"))
    assert not [line for line in pod.process.logged if line["level"] in {"error", "critical"}]


async def test_wrong_settings_end_it_with_one_sentence() -> None:
    assert await run_to_end([*NEEDED, "--grace", "soon"]) == (
        2,
        ["pointsman-sidecar: --grace: 'soon' is no number of seconds: write 0 or more, such as 25"],
    )


@pytest.mark.parametrize("door", ["--listen", "--http-listen", "--status-listen"])
async def test_an_address_that_is_taken_ends_it_with_one_sentence(door: str) -> None:
    with socket.socket() as taken:
        # As another sidecar would hold it that shares: who comes second must still be told.
        taken.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        address = f"127.0.0.1:{taken.getsockname()[1]}"

        code, said = await run_to_end([*NEEDED, *FREE, door, address])

    assert code == 2
    assert said[-1].startswith(f"pointsman-sidecar: cannot listen on {address}: ")
    # Before the sentence stands at most what gRPC's core says of the port by itself.
    assert all("add_port.cc" in line for line in said[:-1])
