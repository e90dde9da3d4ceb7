"""The next model takes over before the first token, and never after it."""

import json
import socket
from collections.abc import Iterator

import grpc
import pytest

from pointsman_api.v1 import decision_pb2
from pointsman_stub import Fault, StubProvider
from support.answers import outcomes, refusal, streamed, text_of
from support.completions import ask
from support.odd_providers import Behaviour, document, events, odd_provider, raw
from support.sidecars import Sidecar, running_sidecar, sample
from support.snapshots import flagship, mini, provider, snapshot

MINI = "gpt-4o-mini"

# What may go wrong with the first model before its first token, and what is said of it.
FAILURES = [
    pytest.param({"status": 429}, "RATE_LIMITED", 429, id="429"),
    pytest.param({"status": 500}, "PROVIDER_FAILED", 500, id="500"),
    pytest.param({"status": 503}, "PROVIDER_FAILED", 503, id="503"),
    pytest.param({"status": 401}, "MISCONFIGURED", 401, id="401"),
    pytest.param({"status": 403}, "MISCONFIGURED", 403, id="403"),
    pytest.param({"status": 404}, "MISCONFIGURED", 404, id="404"),
    pytest.param({"status": 408}, "TIMED_OUT", 408, id="408"),
    pytest.param({"status": 409}, "PROVIDER_FAILED", 409, id="409"),
    pytest.param({"status": 413}, "TOO_LARGE", 413, id="413"),
    pytest.param({"status": 400, "code": "context_length_exceeded"}, "TOO_LARGE", 400, id="context_length_exceeded"),
    pytest.param({"cut": "start"}, "CONNECTION_FAILED", 0, id="cut before a byte"),
    pytest.param({"cut": "headers"}, "CONNECTION_FAILED", 0, id="cut after the headers"),
    pytest.param({"hang": "start"}, "TIMED_OUT", 0, id="no byte in time"),
    pytest.param({"hang": "headers"}, "TIMED_OUT", 0, id="headers and then nothing"),
]


@pytest.fixture(autouse=True)
def impatient(stub: StubProvider, sidecar: Sidecar) -> None:
    """A policy that waits for little."""
    sidecar.apply(snapshot(base_url=stub.base_url, first_token=0.15, attempt=0.15))


@pytest.mark.parametrize(("fault", "outcome", "status"), FAILURES)
async def test_where_a_model_does_not_answer_the_next_one_does(
    stub: StubProvider, sidecar: Sidecar, fault: dict[str, int | str], outcome: str, status: int
) -> None:
    stub.set_faults(Fault(model=MINI, **fault))  # type: ignore[arg-type]

    response = await sidecar.app.Complete(ask())

    assert response.choices[0].message.content[0].text.startswith("[gpt-4o] ")
    decision = response.decision
    assert outcomes(decision) == [("mini", outcome), ("flagship", "SUCCEEDED")]
    assert (decision.model, decision.reason) == ("flagship", decision_pb2.REASON_FALLBACK)
    assert decision.attempts[0].http_status == status
    assert decision.attempts[0].message
    assert decision.message == f"it stands in for mini, which did not answer (mini: {decision.attempts[0].message})"
    assert decision.cost.amount == f"{(decision.usage.input_tokens * 25 + decision.usage.output_tokens * 100) / 1e7:g}"
    assert [each.model for each in stub.requests] == [MINI, "gpt-4o"]


@pytest.mark.parametrize(("fault", "outcome", "status"), FAILURES)
async def test_a_stream_that_has_not_begun_goes_to_the_next_model(
    stub: StubProvider, sidecar: Sidecar, fault: dict[str, int | str], outcome: str, status: int
) -> None:
    stub.set_faults(Fault(model=MINI, **fault))  # type: ignore[arg-type]

    received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert text_of(received).startswith("[gpt-4o] ")
    started, finished = received[0].started, received[-1].finished
    assert (started.model, started.reason) == ("flagship", decision_pb2.REASON_FALLBACK)
    assert outcomes(started) == [("mini", outcome)]
    assert outcomes(finished) == [("mini", outcome), ("flagship", "SUCCEEDED")]
    assert finished.attempts[0].http_status == status
    assert not finished.attempts[0].HasField("time_to_first_token")


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        pytest.param({"garbage": "html"}, "PROVIDER_FAILED", id="a web page"),
        pytest.param({"garbage": "json"}, "PROVIDER_FAILED", id="JSON that breaks off"),
        pytest.param({"error_after": 1}, "PROVIDER_FAILED", id="an error"),
    ],
)
async def test_what_cannot_be_read_is_no_answer(
    stub: StubProvider, sidecar: Sidecar, fault: dict[str, int | str], outcome: str
) -> None:
    stub.set_faults(Fault(model=MINI, **fault))  # type: ignore[arg-type]

    response = await sidecar.app.Complete(ask())

    assert outcomes(response.decision) == [("mini", outcome), ("flagship", "SUCCEEDED")]


@pytest.mark.parametrize(
    ("fault", "outcome"),
    [
        pytest.param({"garbage": "html"}, "CONNECTION_FAILED", id="a web page"),
        # The first event is a role alone, which is no token.
        pytest.param({"garbage": "json"}, "PROVIDER_FAILED", id="JSON that breaks off"),
        pytest.param({"error_after": 1}, "PROVIDER_FAILED", id="an error"),
        pytest.param({"cut": 1}, "CONNECTION_FAILED", id="cut after the role"),
        pytest.param({"hang": 1}, "TIMED_OUT", id="silence after the role"),
    ],
)
async def test_a_role_is_no_token_yet(
    stub: StubProvider, sidecar: Sidecar, fault: dict[str, int | str], outcome: str
) -> None:
    stub.set_faults(Fault(model=MINI, **fault))  # type: ignore[arg-type]

    received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert outcomes(received[-1].finished) == [("mini", outcome), ("flagship", "SUCCEEDED")]
    assert text_of(received).startswith("[gpt-4o] ")


CHUNK = b'{"choices": [{"index": 0, "delta": {"content": "4"}}]}'
DEEP = b'{"choices": [{"index": 0, "delta": {"content": "4", "x": ' + b"[" * 5000 + b"]" * 5000 + b"}}]}"
LONG = b'{"choices": [{"index": 0, "delta": {"content": "4"}}], "usage": {"prompt_tokens": ' + b"1" * 5000 + b"}}"


@pytest.mark.parametrize(
    "behaviour",
    [
        pytest.param(raw(b""), id="nothing"),
        pytest.param(raw(b"SSH-2.0-OpenSSH_9.9\r\n"), id="another protocol"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{"), id="a body that is too short"),
        pytest.param(raw(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n"), id="a broken chunk"),
        pytest.param(
            raw(b"HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 4\r\n\r\nabcd"), id="broken compression"
        ),
        pytest.param(document(b""), id="no body"),
        pytest.param(document(b"null"), id="null"),
        pytest.param(document(b"{}"), id="no choices"),
        pytest.param(document(b"\xff\xfe"), id="no UTF-8"),
        pytest.param(document(b"[" * 100_000), id="an endless beginning"),
        pytest.param(document(DEEP.replace(b"delta", b"message")), id="too deep"),
        pytest.param(document(LONG.replace(b"delta", b"message")), id="a number too long"),
        pytest.param(document(b"{}", status="302 Found"), id="a redirect to nowhere"),
        pytest.param(document(b'{"error": {"code": ["x"], "message": {}}}', status="500 Bad"), id="an odd error"),
        pytest.param(document(b"", status="599 Odd"), id="an odd status"),
    ],
)
async def test_whatever_a_provider_sends_the_next_one_answers(stub: StubProvider, behaviour: Behaviour) -> None:
    await _falls_back(stub, behaviour)


async def _falls_back(stub: StubProvider, behaviour: Behaviour) -> None:
    async with odd_provider(behaviour) as odd, running_sidecar(access={"odd": "", "openai": "k"}) as sidecar:
        sidecar.apply(
            snapshot(
                providers=[provider(name="odd", base_url=odd.base_url), provider(base_url=stub.base_url)],
                models=[mini(provider="odd"), flagship()],
            )
        )
        sidecar.in_force.access = {"odd": "", "openai": "sk-of-these-tests"}

        whole = await sidecar.app.Complete(ask())
        received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert whole.decision.model == "flagship"
    assert error is None
    assert received[0].started.model == "flagship"
    assert len(odd.heads) == 2


@pytest.mark.parametrize(
    "payloads",
    [
        pytest.param((), id="no event"),
        pytest.param((b"[DONE]",), id="the end alone"),
        pytest.param((b"{",), id="broken JSON"),
        pytest.param((b"\xff",), id="no UTF-8"),
        pytest.param((b"null",), id="null"),
        pytest.param((b"{}",), id="no choices"),
        pytest.param((DEEP,), id="too deep"),
        pytest.param((LONG,), id="a number too long"),
        pytest.param((b'{"error": {"message": "Overloaded."}}',), id="an error"),
        pytest.param((b'{"error": "Overloaded."}',), id="an error of another shape"),
        pytest.param((b'{"choices": [], "usage": {"prompt_tokens": 5}}', b"[DONE]"), id="a bill alone"),
        pytest.param((b'{"choices": [{"index": 0, "delta": {"role": "assistant"}}]}', b"[DONE]"), id="a role alone"),
    ],
)
async def test_whatever_a_stream_begins_with_the_next_model_answers(
    stub: StubProvider, payloads: tuple[bytes, ...]
) -> None:
    async with odd_provider(events(*payloads)) as odd, running_sidecar() as sidecar:
        sidecar.apply(
            snapshot(
                providers=[provider(name="odd", base_url=odd.base_url), provider(base_url=stub.base_url)],
                models=[mini(provider="odd"), flagship()],
            )
        )
        sidecar.in_force.access = {"odd": "", "openai": "sk-of-these-tests"}
        whole = await sidecar.app.Complete(ask())

        received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert received[0].started.model == "flagship"
    assert received[-1].finished.usage == whole.decision.usage


@pytest.fixture
def closed_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port: int = taken.getsockname()[1]
    return port


@pytest.fixture
def full_port() -> Iterator[int]:
    """A port whose queue of connections is full: one more is neither accepted nor refused."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen(0)
        waiting = [socket.socket() for _ in range(4)]
        for each in waiting:
            each.setblocking(False)
            each.connect_ex(listening.getsockname())
        port: int = listening.getsockname()[1]
        yield port
        for each in waiting:
            each.close()


async def _with_port(stub: StubProvider, port: int) -> decision_pb2.Decision:
    """The decision where the first model's provider should listen on this port."""
    async with running_sidecar() as sidecar:
        sidecar.apply(
            snapshot(
                providers=[
                    provider(name="away", base_url=f"http://127.0.0.1:{port}/v1"),
                    provider(base_url=stub.base_url),
                ],
                models=[mini(provider="away"), flagship()],
                connect=0.2,
            )
        )
        sidecar.in_force.access = {"away": "", "openai": "sk-of-these-tests"}
        return (await sidecar.app.Complete(ask())).decision


async def test_a_provider_that_refuses_connections_is_passed_over(stub: StubProvider, closed_port: int) -> None:
    decision = await _with_port(stub, closed_port)

    assert outcomes(decision) == [("mini", "CONNECTION_FAILED"), ("flagship", "SUCCEEDED")]
    assert decision.attempts[0].message == "the connection failed"


async def test_a_provider_that_does_not_connect_in_time_is_passed_over(stub: StubProvider, full_port: int) -> None:
    decision = await _with_port(stub, full_port)

    assert outcomes(decision) == [("mini", "TIMED_OUT"), ("flagship", "SUCCEEDED")]
    assert decision.attempts[0].message == "the connection was not made in time"
    assert decision.attempts[0].latency.ToTimedelta().total_seconds() < 2


async def test_a_request_that_the_provider_refuses_goes_no_further(stub: StubProvider, sidecar: Sidecar) -> None:
    stub.set_faults(Fault(model=MINI, status=400))

    told = await refusal(sidecar.app.Complete(ask()))

    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REFUSED_BY_PROVIDER")
    assert told.message == "the provider of mini refuses the request: status 400: The stub was asked to fail with 400."
    assert told.outcomes == [("mini", "REFUSED")]
    assert len(stub.requests) == 1


async def test_what_no_model_can_hold_is_told_as_such(stub: StubProvider, sidecar: Sidecar) -> None:
    stub.set_faults(Fault(status=400, code="context_length_exceeded"))

    told = await refusal(sidecar.app.Complete(ask()))

    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_CAPABLE_MODEL")
    assert told.outcomes == [("mini", "TOO_LARGE"), ("flagship", "TOO_LARGE")]


async def test_where_no_model_answers_the_caller_learns_when_to_try_again(stub: StubProvider, sidecar: Sidecar) -> None:
    stub.set_faults(Fault(model=MINI, status=429, retry_after=7), Fault(model="gpt-4o", status=503, retry_after=2.5))

    told = await refusal(sidecar.app.Complete(ask()))

    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "NO_MODEL_ANSWERED")
    assert told.retry_after == 2.5
    assert told.outcomes == [("mini", "RATE_LIMITED"), ("flagship", "PROVIDER_FAILED")]
    assert told.decision is not None
    assert told.decision.model == ""
    assert not told.decision.HasField("usage")


async def test_a_refusal_in_a_long_story_still_reaches_the_caller(stub: StubProvider) -> None:
    """Sixteen models that fail at length, in a script that headers carry at three times its size and more."""
    sentence = "鍵" * 300
    body = json.dumps({"error": {"message": sentence}}).encode()
    names = [f"model-{number}" for number in range(16)]
    models = []
    for name in names:
        made = mini()
        made.name = name
        models.append(made)
    async with odd_provider(document(body, status="503 Busy")) as odd, running_sidecar() as sidecar:
        sidecar.apply(
            snapshot(base_url=odd.base_url, models=models, default_model="model-0", fallbacks=names, routes=())
        )
        sidecar.in_force.access = {"openai": ""}

        told = await refusal(sidecar.app.Complete(ask()))

    assert stub.requests == ()
    assert len(odd.heads) == 16
    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "NO_MODEL_ANSWERED")
    assert told.message.startswith("no model answered: model-0: status 503: 鍵鍵")


@pytest.mark.parametrize(
    ("fault", "sentence"),
    [
        pytest.param({"cut": 4}, "the connection broke off", id="the connection breaks"),
        pytest.param(
            {"error_after": 4},
            "the provider says: The stub was asked to fail while it answered.",
            id="the provider reports an error",
        ),
    ],
)
async def test_a_stream_that_has_begun_is_never_taken_over(
    stub: StubProvider, sidecar: Sidecar, fault: dict[str, int], sentence: str
) -> None:
    stub.set_faults(Fault(model=MINI, **fault))  # type: ignore[arg-type]

    received, told = await streamed(sidecar.app.CompleteStream(ask()))

    assert [event.WhichOneof("event") for event in received[:2]] == ["started", "chunk"]
    assert not any(event.HasField("finished") for event in received)
    assert told is not None
    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "STREAM_CUT")
    assert told.message == (f"mini stopped in the middle of its answer, where no other model can take over: {sentence}")
    assert told.outcomes == [("mini", "CUT")]
    assert told.decision is not None
    assert told.decision.id == received[0].started.id
    assert told.decision.model == "mini"
    assert [each.model for each in stub.requests] == [MINI]
    assert sidecar.in_flight == 0


@pytest.mark.parametrize(
    "payloads", [(CHUNK,), (CHUNK, b"[DONE]"), (CHUNK, b"{"), (CHUNK, b"null"), (CHUNK, DEEP), (CHUNK, LONG)]
)
async def test_a_stream_whose_end_is_missing_or_unreadable_is_cut(payloads: tuple[bytes, ...]) -> None:
    async with (
        odd_provider(events(*payloads)) as odd,
        running_sidecar(content=snapshot(base_url=odd.base_url), access={"openai": ""}) as sidecar,
    ):
        received, told = await streamed(sidecar.app.CompleteStream(ask()))

    assert text_of(received) == "4"
    assert told is not None
    assert (told.code, told.reason, told.outcomes) == (grpc.StatusCode.UNAVAILABLE, "STREAM_CUT", [("mini", "CUT")])
    assert len(odd.heads) == 1


async def test_a_stream_of_two_answers_of_which_one_never_ends_is_cut() -> None:
    both = b'{"choices": [{"index": 0, "delta": {"content": "4"}}, {"index": 1, "delta": {"content": "5"}}]}'
    end = b'{"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]}'
    async with (
        odd_provider(events(both, end, b"[DONE]")) as odd,
        running_sidecar(content=snapshot(base_url=odd.base_url), access={"openai": ""}) as sidecar,
    ):
        _, told = await streamed(sidecar.app.CompleteStream(ask()))

    assert told is not None
    assert told.reason == "STREAM_CUT"


async def test_the_bill_of_a_model_that_failed_is_not_sent_with_anothers_answer() -> None:
    """The first provider reports usage and breaks off; the second answers and reports none."""
    bill = b'{"choices": [], "usage": {"prompt_tokens": 999, "completion_tokens": 0}}'
    answer = b'{"choices": [{"index": 0, "delta": {"content": "4"}, "finish_reason": "stop"}]}'
    async with (
        odd_provider(events(bill)) as first,
        odd_provider(events(answer)) as second,
        running_sidecar(access={"first": "", "second": ""}) as sidecar,
    ):
        sidecar.apply(
            snapshot(
                providers=[
                    provider(name="first", base_url=first.base_url),
                    provider(name="second", base_url=second.base_url),
                ],
                models=[mini(provider="first"), flagship(provider="second")],
            )
        )

        received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert received[-1].finished.model == "flagship"
    assert not received[-1].finished.HasField("usage")


async def test_attempts_are_counted_by_outcome(stub: StubProvider, sidecar: Sidecar) -> None:
    stub.set_faults(Fault(model=MINI, status=429))

    await sidecar.app.Complete(ask())

    def attempts(model: str, outcome: str) -> float | None:
        return sample(
            sidecar.metrics.registry,
            "pointsman_attempts_total",
            policy="shop/support",
            model=model,
            provider="openai",
            outcome=outcome,
        )

    assert attempts("mini", "RATE_LIMITED") == 1
    assert attempts("flagship", "SUCCEEDED") == 1
    assert attempts("mini", "SUCCEEDED") is None


async def test_a_completion_is_one_line_of_log(stub: StubProvider, sidecar: Sidecar) -> None:
    stub.set_faults(Fault(model=MINI, status=429))

    decision = (await sidecar.app.Complete(ask())).decision

    (line,) = sidecar.logged
    assert {name: line[name] for name in line if name != "seconds"} == {
        "event": "completion",
        "log_level": "info",
        "decision_id": decision.id,
        "code": "OK",
        "policy": "shop/support",
        "generation": 3,
        "route": "",
        "model": "flagship",
        "reason": "FALLBACK",
        "attempts": ["mini:RATE_LIMITED", "flagship:SUCCEEDED"],
        "input_tokens": decision.usage.input_tokens,
        "output_tokens": decision.usage.output_tokens,
        "cost": f"{decision.cost.amount} USD",
    }
