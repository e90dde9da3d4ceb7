"""`pointsman run` serves completions, keeps the key to itself, and ends as it is told."""

import asyncio
import json
import signal
import stat
import tempfile
import urllib.request
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from openai import AsyncOpenAI

from pointsman_api.v1 import completions_pb2, decision_pb2, types_pb2
from pointsman_stub import Fault, StubProvider, fingerprint
from process.standalone.processes import KEY, KEYED, REFUSED, WITH_KEY, lay, running
from pure.cli.resources import policy, provider, secret
from support import completions

Call = grpc.aio.UnaryStreamCall[completions_pb2.CompleteRequest, completions_pb2.CompleteStreamResponse]
SECRET_PROMPT = "What did the harbour master whisper?"


@pytest.fixture
def temporary() -> Iterator[Path]:
    """A folder for temporary files whose path leaves room for a socket's."""
    with tempfile.TemporaryDirectory(prefix="pm-") as folder:
        yield Path(folder)


def files(folder: Path, stub: StubProvider, **spec: Any) -> Path:
    return lay(folder / "all.yaml", provider(baseURL=stub.base_url, auth=KEYED), policy(**spec))


def fetched(url: str) -> str:
    with urllib.request.urlopen(url, timeout=5) as response:  # noqa: S310 - the address that the process printed
        return str(response.read().decode())


def sockets(folder: Path) -> list[Path]:
    return sorted(folder.glob("pointsman-*"))


async def test_it_answers_by_the_policy_of_the_file(tmp_path: Path, stub: StubProvider) -> None:
    async with running("-f", files(tmp_path, stub), *WITH_KEY, log_file=tmp_path / "log") as served:
        plain = await served.app.Complete(completions.ask("Hello?"))
        severe = await served.app.Complete(
            completions.ask("Hello?", hints={"severity": types_pb2.SEVERITY_HIGH, "user": "u-1"})
        )
        events = [event async for event in served.app.CompleteStream(completions.ask("Hello?"))]
        async with AsyncOpenAI(base_url=served.http_url, api_key="any") as openai:
            names = [each.id async for each in openai.models.list()]
            over_http = await openai.chat.completions.create(
                model="auto", messages=[{"role": "user", "content": "Hello?"}]
            )
        metrics = await asyncio.to_thread(fetched, served.metrics_url)

    assert names == ["auto", "mini", "flagship"]
    assert over_http.choices[0].message.content == plain.choices[0].message.content[0].text
    assert (plain.decision.model, plain.decision.reason) == ("mini", decision_pb2.REASON_DEFAULT)
    assert (severe.decision.model, severe.decision.route) == ("flagship", "severe")
    assert events[0].started.model == events[-1].finished.model == "mini"
    assert [request.model for request in stub.requests] == ["gpt-4o-mini", "gpt-4o", "gpt-4o-mini", "gpt-4o-mini"]
    assert 'pointsman_completions_total{code="OK",model="flagship"' in metrics
    assert served.output.splitlines()[0] == "pod standalone of namespace shop, labels: none"


async def test_the_key_reaches_the_provider_and_nobody_else(tmp_path: Path, stub: StubProvider) -> None:
    arguments = ("-f", files(tmp_path, stub), *WITH_KEY, "--log-level=DEBUG")
    async with running(*arguments, log_file=tmp_path / "log") as served:
        await served.app.Complete(completions.ask(SECRET_PROMPT))
        lay(tmp_path / "all.yaml", secret("openai", stringData={"api-key": KEY, "other": 5}))
        await served.until_logged(REFUSED)
        command_line = served.command_line
        code = await served.end()

    [request] = stub.requests
    assert request.key.fingerprint == fingerprint(KEY)
    assert SECRET_PROMPT in json.dumps(request.body)
    assert "openai/api-key" in command_line
    assert '"event": "completion"' in served.log
    assert [KEY in text for text in (command_line, served.log, served.output)] == [False] * 3
    assert SECRET_PROMPT not in served.log
    assert code == 0


async def test_two_run_side_by_side_each_as_the_pod_that_it_is_told_to_be(tmp_path: Path, stub: StubProvider) -> None:
    file = lay(
        tmp_path / "all.yaml",
        provider(baseURL=stub.base_url, auth=KEYED),
        policy("first", namespace="till"),
        policy("web", defaultModel="flagship", selector={"matchLabels": {"app": "web"}}),
        policy("rest"),
    )
    pod = ("-n", "shop", "--labels", "app=web,tier=front")
    async with (
        running("-f", file, *WITH_KEY, log_file=tmp_path / "log-1") as one,
        running("-f", file, *WITH_KEY, *pod, log_file=tmp_path / "log-2") as two,
    ):
        policies = [(await served.app.Complete(completions.ask())).decision.policy for served in (one, two, one)]
        assert await one.end() == 0
        last = (await two.app.Complete(completions.ask())).decision.model

    assert [(each.namespace, each.name) for each in policies] == [("till", "first"), ("shop", "web"), ("till", "first")]
    assert last == "flagship"
    assert one.output.splitlines()[0] == "pod standalone of namespace till, labels: none"
    assert two.output.splitlines()[0] == "pod standalone of namespace shop, labels: app=web, tier=front"


async def test_the_planes_meet_in_a_private_folder_that_is_gone_at_the_end(
    tmp_path: Path, temporary: Path, stub: StubProvider
) -> None:
    arguments = ("-f", files(tmp_path, stub), *WITH_KEY)
    async with running(*arguments, log_file=tmp_path / "log", env={"TMPDIR": str(temporary)}) as served:
        [folder] = sockets(temporary)
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
        assert [stat.S_ISSOCK(each.stat().st_mode) for each in folder.iterdir()] == [True]
        code = await served.end(signal.SIGINT)

    assert (code, sockets(temporary)) == (0, [])
    assert "Traceback" not in served.log


async def begun(call: Call) -> AsyncIterator[completions_pb2.CompleteStreamResponse]:
    """The events of a stream after the first one, which has come."""
    events = aiter(call)
    first = await anext(events)
    assert first.started.model == "mini"
    return events


async def test_an_open_stream_may_end_in_peace(tmp_path: Path, stub: StubProvider) -> None:
    stub.set_faults(Fault(chunk_delay=0.02))
    async with running("-f", files(tmp_path, stub), *WITH_KEY, log_file=tmp_path / "log") as served:
        call = served.app.CompleteStream(completions.ask("Count to ten."))
        events = await begun(call)
        served.process.send_signal(signal.SIGTERM)
        rest = [event async for event in events]
        code = await served.process.wait()

    assert rest[-1].finished.model == "mini"
    assert rest[-1].finished.usage.output_tokens > 0
    assert (await call.code(), code) == (grpc.StatusCode.OK, 0)


async def test_a_stream_that_hangs_holds_up_the_end_no_longer_than_the_grace(
    tmp_path: Path, stub: StubProvider
) -> None:
    stub.set_faults(Fault(hang=3))
    async with running("-f", files(tmp_path, stub), *WITH_KEY, log_file=tmp_path / "log") as served:
        events = await begun(served.app.CompleteStream(completions.ask("Count to ten.")))
        clock = asyncio.get_running_loop().time
        started = clock()
        code = await served.end()
        took = clock() - started
        with pytest.raises(grpc.aio.AioRpcError):
            async for _ in events:
                pass

    assert code == 0
    assert 4.5 < took < 9.0
    assert "Traceback" not in served.log
    await stub.until(lambda: stub.open_requests == 0)
