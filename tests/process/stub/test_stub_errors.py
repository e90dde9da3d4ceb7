"""What OpenAI would refuse is refused alike: the SDK raises the same type with the same fields."""

from typing import TYPE_CHECKING, Any

import aiohttp
import pytest
from openai import AsyncOpenAI, AuthenticationError, BadRequestError, NotFoundError

from pointsman_stub import StubProvider

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam

ASK: "list[ChatCompletionMessageParam]" = [{"role": "user", "content": "Hello?"}]


async def test_an_unknown_model_is_not_found(client: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError) as caught:
        await client.chat.completions.create(model="gpt-17", messages=ASK)

    assert caught.value.code == "model_not_found"
    assert caught.value.type == "invalid_request_error"
    assert (caught.value.request_id or "").startswith("req_")


async def test_a_key_must_fit(stub: StubProvider) -> None:
    async with AsyncOpenAI(base_url=stub.base_url, api_key="sk-wrong", max_retries=0) as stranger:
        with pytest.raises(AuthenticationError) as caught:
            await stranger.chat.completions.create(model="gpt-4o", messages=ASK)
        with pytest.raises(AuthenticationError):
            await stranger.models.list()

    assert caught.value.code == "invalid_api_key"
    assert "sk-wrong" not in str(caught.value)


async def test_without_configured_keys_any_key_fits() -> None:
    async with (
        StubProvider.running() as stub,
        AsyncOpenAI(base_url=stub.base_url, api_key="whatever", max_retries=0) as client,
    ):
        completion = await client.chat.completions.create(model="gpt-4o", messages=ASK)

    assert completion.choices


async def test_a_prompt_beyond_the_context_window_is_refused(client: AsyncOpenAI) -> None:
    with pytest.raises(BadRequestError) as caught:
        await client.chat.completions.create(model="gpt-4o", messages=[{"role": "user", "content": "x" * 4 * 128_000}])

    assert (caught.value.code, caught.value.param) == ("context_length_exceeded", "messages")


@pytest.mark.parametrize(
    ("change", "param", "code"),
    [
        ({"messages": None}, "messages", "missing_required_parameter"),
        ({"messages": []}, "messages", "empty_array"),
        ({"messages": "Hello?"}, "messages", "invalid_type"),
        ({"messages": [{"role": "king", "content": "x"}]}, "messages[0].role", "invalid_value"),
        ({"messages": [{"role": "user"}]}, "messages[0].content", "missing_required_parameter"),
        ({"messages": [{"role": "user", "content": 3}]}, "messages[0].content", "invalid_type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "smell"}]}]},
            "messages[0].content[0].type",
            "invalid_value",
        ),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "map.jpg"}}]}]},
            "messages[0].content[0].image_url.url",
            "invalid_image_url",
        ),
        ({"model": None}, "model", "missing_required_parameter"),
        ({"temperature": 3}, "temperature", "invalid_value"),
        ({"n": "2"}, "n", "invalid_type"),
        ({"max_tokens": 0}, "max_tokens", "invalid_value"),
        ({"max_tokens": 16_385}, "max_tokens", "invalid_value"),
        ({"max_tokens": 5, "max_completion_tokens": 5}, "max_tokens", "invalid_value"),
        ({"top_logprobs": 2}, "top_logprobs", "invalid_value"),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop", "invalid_value"),
        ({"stream_options": {"include_usage": True}}, "stream_options", None),
        ({"tool_choice": "auto"}, "tool_choice", None),
        ({"response_format": {"type": "yaml"}}, "response_format", "invalid_value"),
        ({"reasoning_effort": "low"}, "reasoning_effort", "unsupported_parameter"),
        ({"functions": [{"name": "f"}]}, "functions", "unsupported_parameter"),
        ({"pointsman": {"user": "u"}}, "pointsman", "unknown_parameter"),
    ],
)
async def test_a_bad_parameter_is_named(
    client: AsyncOpenAI, change: dict[str, Any], param: str, code: str | None
) -> None:
    body = {"model": "gpt-4o", "messages": ASK} | change
    with pytest.raises(BadRequestError) as caught:
        await client.post("/chat/completions", cast_to=object, body=body)

    assert (caught.value.param, caught.value.code) == (param, code)


@pytest.mark.parametrize("body", ["{not json", "[]", "", '{"model": "\\ud800"}'])
async def test_a_body_that_is_no_json_object_is_refused(client: AsyncOpenAI, body: str) -> None:
    async with (
        aiohttp.ClientSession(headers={"authorization": f"Bearer {client.api_key}"}) as session,
        session.post(f"{client.base_url}chat/completions", data=body) as response,
    ):
        error = (await response.json())["error"]

    assert response.status == 400
    assert error.keys() == {"message", "type", "param", "code"}


async def test_models_are_listed_and_shown(client: AsyncOpenAI) -> None:
    names = [model.id async for model in client.models.list()]
    with pytest.raises(NotFoundError):
        await client.models.retrieve("gpt-17")

    assert sorted(names) == ["gpt-4o", "gpt-4o-mini", "o3-mini"]
    assert (await client.models.retrieve("gpt-4o")).id == "gpt-4o"


async def test_an_unknown_address_is_refused_in_the_same_shape(client: AsyncOpenAI) -> None:
    with pytest.raises(NotFoundError) as caught:
        await client.files.retrieve("file-1")

    assert caught.value.code == "unknown_url"
