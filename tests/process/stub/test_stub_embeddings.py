"""Embeddings: vectors that depend on model and input alone, and what is refused."""

import math
from collections.abc import AsyncIterator
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from pointsman_stub import Fault, StubProvider

SMALL, LARGE = "text-embedding-3-small", "text-embedding-3-large"


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    async with StubProvider.running(models=[SMALL, LARGE]) as provider:
        yield provider


@pytest.fixture
async def client(stub: StubProvider) -> AsyncIterator[AsyncOpenAI]:
    async with AsyncOpenAI(base_url=stub.base_url, api_key="any", max_retries=0) as openai:
        yield openai


async def vectors(client: AsyncOpenAI, given: Any, model: str = SMALL, **members: Any) -> list[list[float]]:
    """The vectors of an input."""
    answer = await client.embeddings.create(model=model, input=given, **members)
    assert [each.index for each in answer.data] == list(range(len(answer.data)))
    return [each.embedding for each in answer.data]


async def test_the_same_input_has_the_same_vector_of_length_one(client: AsyncOpenAI) -> None:
    first, again, other = await vectors(client, ["one", "one", "two"])

    assert first == again != other
    assert math.hypot(*first) == pytest.approx(1, abs=1e-3)
    assert await vectors(client, "one", model=LARGE) != [first]


async def test_both_encodings_say_the_same(client: AsyncOpenAI) -> None:
    """Without a word on it the client asks for base64, and decodes it."""
    (decoded,) = await vectors(client, "one")
    (plain,) = await vectors(client, "one", encoding_format="float")

    assert decoded == pytest.approx(plain, abs=1e-6)


async def test_dimensions_and_tokens_are_counted(client: AsyncOpenAI) -> None:
    answer = await client.embeddings.create(model=SMALL, input=["12345678", "1234"], dimensions=5)

    assert [len(each.embedding) for each in answer.data] == [5, 5]
    assert (answer.usage.prompt_tokens, answer.usage.total_tokens) == (3, 3)
    assert len((await vectors(client, [[1, 2], [3]]))[0]) == 8


@pytest.mark.parametrize(
    ("members", "exception"),
    [
        ({"input": ""}, openai.BadRequestError),
        ({"input": []}, openai.BadRequestError),
        ({"input": [1.5]}, openai.BadRequestError),
        ({"dimensions": 0}, openai.BadRequestError),
        ({"encoding_format": "hex"}, openai.BadRequestError),
        ({"extra_body": {"odd": 1}}, openai.BadRequestError),
        ({"model": "gpt-4o"}, openai.PermissionDeniedError),
        ({"model": "gpt-9"}, openai.NotFoundError),
    ],
)
async def test_what_openai_would_refuse_is_refused(
    client: AsyncOpenAI, members: dict[str, Any], exception: type[openai.APIStatusError]
) -> None:
    with pytest.raises(exception):
        await client.embeddings.create(**{"model": SMALL, "input": "one", **members})


async def test_a_fault_meets_embeddings_too(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(model=SMALL, status=429))

    with pytest.raises(openai.RateLimitError):
        await client.embeddings.create(model=SMALL, input="one")


async def test_a_model_that_embeds_does_not_chat(client: AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError):
        await client.chat.completions.create(model=SMALL, messages=[{"role": "user", "content": "Hi"}])
