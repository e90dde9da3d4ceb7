"""Embeddings: from the model that is named, and from no other."""

from typing import Any

import openai
import pytest
from openai import AsyncOpenAI

from pointsman_stub import Fault, StubProvider
from support.sidecars import Sidecar
from support.snapshots import embed, mini, snapshot


@pytest.mark.parametrize("name", ["embed", "text-embedding-3-small", "auto"])
async def test_a_model_is_named_by_either_name_or_is_the_only_one(
    client: AsyncOpenAI, stub: StubProvider, name: str
) -> None:
    raw = await client.embeddings.with_raw_response.create(model=name, input=["one", "two"], dimensions=3)
    answer = raw.parse()

    assert [len(each.embedding) for each in answer.data] == [3, 3]
    assert answer.data[0].embedding != answer.data[1].embedding
    assert raw.headers["x-pointsman-model"] == "embed"
    assert raw.headers["x-pointsman-cost"] == "0.00000004 USD"
    (received,) = stub.requests
    assert (received.path, received.body["model"]) == ("/v1/embeddings", "text-embedding-3-small")


@pytest.mark.parametrize("given", ["one", [1, 2, 3], [[1, 2], [3]]], ids=["text", "tokens", "lists of tokens"])
async def test_every_form_of_input_arrives_as_it_is(client: AsyncOpenAI, stub: StubProvider, given: Any) -> None:
    await client.embeddings.create(model="embed", input=given, encoding_format="float", user="ada")

    assert stub.requests[0].body == {
        "input": given,
        "model": "text-embedding-3-small",
        "encoding_format": "float",
        "user": "ada",
    }


@pytest.mark.parametrize(
    ("name", "exception", "code", "says"),
    [
        ("gpt-9", openai.NotFoundError, "model_not_found", "those that give embeddings: embed"),
        ("mini", openai.BadRequestError, "no_capable_model", "mini: it does not support embeddings"),
    ],
)
async def test_another_model_does_not_stand_in(
    client: AsyncOpenAI, name: str, exception: type[openai.APIStatusError], code: str, says: str
) -> None:
    with pytest.raises(exception, match=says) as caught:
        await client.embeddings.create(model=name, input="one")

    assert caught.value.code == code


async def test_auto_is_refused_where_there_is_a_choice(
    client: AsyncOpenAI, sidecar: Sidecar, stub: StubProvider
) -> None:
    sidecar.apply(
        snapshot(base_url=stub.base_url, fallbacks=(), routes=(), models=[mini(), embed(), embed(name="big")])
    )

    with pytest.raises(openai.BadRequestError, match="name one of big, embed") as caught:
        await client.embeddings.create(model="auto", input="one")

    assert (caught.value.code, caught.value.param) == ("model_required", "model")


async def test_a_failure_is_told_and_no_chat_model_is_asked(client: AsyncOpenAI, stub: StubProvider) -> None:
    stub.set_faults(Fault(status=429, retry_after=3))

    with pytest.raises(openai.RateLimitError) as caught:
        await client.embeddings.create(model="embed", input="one")

    assert caught.value.response.headers["retry-after"] == "3"
    assert [each.model for each in stub.requests] == ["text-embedding-3-small"]


@pytest.mark.parametrize(
    ("given", "says"), [("", "input is empty"), ([], "input is empty"), ([{}], "input[0] does not fit")]
)
async def test_an_input_that_is_none_is_refused(client: AsyncOpenAI, given: Any, says: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        await client.embeddings.create(model="embed", input=given)

    assert says in caught.value.message


async def test_an_embedding_model_answers_no_chat(client: AsyncOpenAI, sidecar: Sidecar, stub: StubProvider) -> None:
    sidecar.apply(
        snapshot(base_url=stub.base_url, models=[mini(), embed()], fallbacks=(), routes=(), allow_pinning=True)
    )

    with pytest.raises(openai.BadRequestError, match="embed: it gives embeddings and no answers"):
        await client.chat.completions.create(model="embed", messages=[{"role": "user", "content": "Hi"}])

    assert stub.requests == ()
