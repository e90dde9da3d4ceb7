"""What goes wrong, as the openai SDK sees it: its typed exceptions, its retries, its timeouts."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from pointsman_stub import Fault, StubProvider
from support.http_doors import APP_KEY, QUESTION
from support.sidecars import Sidecar, running_sidecar
from support.snapshots import snapshot
from support.tasks import no_task_left


@pytest.fixture
async def retrying(sidecar: Sidecar) -> AsyncIterator[AsyncOpenAI]:
    """The client exactly as an app gets it."""
    async with AsyncOpenAI(base_url=sidecar.http_url, api_key=APP_KEY) as client:
        yield client


async def ask(client: AsyncOpenAI, *, streamed: bool, **members: Any) -> Any:
    """One completion, either way."""
    answer = await client.chat.completions.create(
        **{"model": "auto", "messages": QUESTION, "stream": streamed, **members}
    )
    return [chunk async for chunk in answer] if streamed else answer


both_ways = pytest.mark.parametrize("streamed", [False, True], ids=["whole", "streamed"])


@both_ways
@pytest.mark.parametrize(
    ("fault", "exception", "code"),
    [
        pytest.param({"status": 400}, openai.BadRequestError, "refused_by_provider", id="400"),
        pytest.param({"status": 422}, openai.BadRequestError, "refused_by_provider", id="422"),
        pytest.param({"status": 400, "code": "odd"}, openai.BadRequestError, "odd", id="400 with a code"),
        pytest.param(
            {"status": 400, "code": "context_length_exceeded"},
            openai.BadRequestError,
            "context_length_exceeded",
            id="too long",
        ),
        pytest.param({"status": 401}, openai.InternalServerError, "no_model_answered", id="401"),
        pytest.param({"status": 403}, openai.InternalServerError, "no_model_answered", id="403"),
        pytest.param({"status": 404}, openai.InternalServerError, "no_model_answered", id="404"),
        pytest.param({"status": 409}, openai.InternalServerError, "no_model_answered", id="409"),
        pytest.param({"status": 413}, openai.BadRequestError, "context_length_exceeded", id="413"),
        pytest.param({"status": 429}, openai.RateLimitError, "rate_limit_exceeded", id="429"),
        pytest.param({"status": 500}, openai.InternalServerError, "no_model_answered", id="500"),
        pytest.param({"status": 503}, openai.InternalServerError, "no_model_answered", id="503"),
        pytest.param({"status": 529}, openai.InternalServerError, "no_model_answered", id="529"),
        pytest.param({"cut": "start"}, openai.InternalServerError, "no_model_answered", id="cut"),
    ],
)
async def test_what_every_model_answers_becomes_the_sdks_exception(
    client: AsyncOpenAI,
    stub: StubProvider,
    streamed: bool,  # noqa: FBT001 - a parameter of the test
    fault: dict[str, Any],
    exception: type[openai.APIStatusError],
    code: str,
) -> None:
    stub.set_faults(Fault(**fault))

    with pytest.raises(exception) as caught:
        await ask(client, streamed=streamed)

    assert caught.value.code == code
    assert len(caught.value.response.headers["x-pointsman-decision-id"]) == 32


@both_ways
async def test_where_one_model_fails_the_next_answers(
    client: AsyncOpenAI,
    stub: StubProvider,
    streamed: bool,  # noqa: FBT001
) -> None:
    stub.set_faults(Fault(model="gpt-4o-mini", status=503))

    answer = await ask(client, streamed=streamed, extra_headers={"x-pointsman-decision": "body"})

    decision = (answer[-1] if streamed else answer).model_extra["pointsman"]
    assert [(each["model"], each["outcome"]) for each in decision["attempts"]] == [
        ("mini", "PROVIDER_FAILED"),
        ("flagship", "SUCCEEDED"),
    ]


async def test_what_the_provider_says_of_a_request_reaches_the_app(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(client, streamed=False, temperature=9)

    assert (caught.value.param, caught.value.code) == ("temperature", "invalid_value")
    assert "expected a number from 0 to 2" in caught.value.message


async def test_a_request_longer_than_every_context_is_told_as_openai_tells_it(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await ask(client, streamed=False, messages=[{"role": "user", "content": "word " * 200_000}])

    assert caught.value.code == "context_length_exceeded"


async def test_the_sdk_tries_again_when_it_is_told_to(retrying: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(status=429, retry_after=0.01, times=2))

    answer = await ask(retrying, streamed=False)

    assert answer.choices[0].message.content
    assert [each.status for each in stub.requests] == [429, 429, 200]


async def test_the_sdk_does_not_try_again_what_only_a_person_can_mend(retrying: AsyncOpenAI, sidecar: Sidecar) -> None:
    sidecar.in_force.withdraw("no policy selects this pod")

    with pytest.raises(openai.InternalServerError) as caught:
        await ask(retrying, streamed=False)

    assert (caught.value.status_code, caught.value.code) == (503, "no_policy")
    assert "no policy selects this pod" in caught.value.message
    assert len(sidecar.logged) == 1


async def test_before_the_first_policy_the_app_is_told_to_try_again() -> None:
    async with (
        running_sidecar() as sidecar,
        AsyncOpenAI(base_url=sidecar.http_url, api_key="k", max_retries=0) as client,
    ):
        with pytest.raises(openai.InternalServerError) as caught:
            await ask(client, streamed=False)
        with pytest.raises(openai.InternalServerError):
            await client.models.list()

    assert (caught.value.status_code, caught.value.code) == (503, "not_ready")


async def test_a_policys_whole_time_is_an_error_that_is_not_tried_again(
    retrying: AsyncOpenAI, sidecar: Sidecar, stub: StubProvider
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, total=0.2))
    stub.set_faults(Fault(hang="start"))

    with pytest.raises(openai.InternalServerError) as caught:
        await ask(retrying, streamed=False)

    assert (caught.value.status_code, caught.value.code) == (504, "timeout")
    assert len(stub.requests) == 1


@both_ways
async def test_an_app_that_waits_no_longer_ends_the_call_to_the_provider(
    sidecar: Sidecar,
    stub: StubProvider,
    streamed: bool,  # noqa: FBT001
) -> None:
    stub.set_faults(Fault(hang=2 if streamed else "start"))

    async with no_task_left():
        async with AsyncOpenAI(base_url=sidecar.http_url, api_key="k", max_retries=0, timeout=0.3) as client:
            # The SDK reports that a stream fell silent by its transport's own error.
            with pytest.raises((openai.APITimeoutError, openai.APIConnectionError)):
                await ask(client, streamed=streamed)
        await stub.until(lambda: stub.open_requests == 0)

    assert [each.disconnected for each in stub.requests] == [True]
    assert [line["code"] for line in sidecar.logged] == ["CANCELLED"]
    assert sidecar.in_flight == 0


async def test_a_cancelled_task_ends_the_call_to_the_provider(
    client: AsyncOpenAI, sidecar: Sidecar, stub: StubProvider
) -> None:
    stub.set_faults(Fault(hang="start"))
    asking = asyncio.create_task(ask(client, streamed=False))
    await stub.until(lambda: stub.open_requests == 1)

    asking.cancel()

    await stub.until(lambda: stub.open_requests == 0)
    assert sidecar.in_flight == 0


async def test_a_closed_stream_ends_the_call_to_the_provider(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(hang=4))
    stream: Any = await client.chat.completions.create(model="auto", messages=QUESTION, stream=True)
    await anext(aiter(stream))

    await stream.close()

    await stub.until(lambda: stub.open_requests == 0)
    assert [each.disconnected for each in stub.requests] == [True]


@pytest.mark.parametrize(
    ("fault", "why"),
    [
        ({"cut": 4}, "the connection broke off"),
        ({"error_after": 4}, "the provider says: The stub was asked to fail while it answered."),
    ],
    ids=["cut", "an error"],
)
async def test_a_stream_that_breaks_off_is_an_exception_after_its_last_chunk(
    client: AsyncOpenAI, stub: StubProvider, fault: dict[str, int], why: str
) -> None:
    stub.set_faults(Fault(**fault))  # type: ignore[arg-type] # by name
    stream: Any = await client.chat.completions.create(model="auto", messages=QUESTION, stream=True)
    said: list[str] = []

    async def read() -> None:
        async for chunk in stream:
            said.append(chunk.choices[0].delta.content or "")  # noqa: PERF401 - what came before the error counts

    with pytest.raises(openai.APIError, match=why) as caught:
        await read()

    assert "".join(said).startswith("[gpt-4o")
    assert caught.value.code == "stream_cut"
    assert len(stub.requests) == 1
