"""Row by row, through both doors, whole and streamed: what the provider gets, and that its answer arrives."""

import json
import re
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from pointsman_api.v1 import completions_pb2
from pointsman_stub import StubProvider
from process.fidelity.answers import Answer, from_chunks, from_events, from_json, from_message
from process.fidelity.rows import ROWS, Row
from support.answers import streamed
from support.http_doors import KEY, chunks
from support.sidecars import Sidecar, running_sidecar
from support.snapshots import flagship, mini, model, snapshot

TABLE = Path(__file__).resolve().parents[3] / "docs" / "fidelity.md"
PROVIDER_MODELS = {"auto": "gpt-4o-mini", "flagship": "gpt-4o", "reasoner": "o3-mini"}
BILL = {"include_usage": True}


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    async with StubProvider.running(api_keys=[KEY], models=["o3-mini"]) as provider:
        yield provider


@pytest.fixture
async def sidecar(stub: StubProvider) -> AsyncIterator[Sidecar]:
    content = snapshot(
        base_url=stub.base_url,
        models=[mini(), flagship(), model("reasoner", provider_model="o3-mini")],
        allow_pinning=True,
    )
    async with running_sidecar(content=content, access={"openai": KEY}) as running:
        yield running


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    async with aiohttp.ClientSession() as session:
        yield session


async def _post(http: aiohttp.ClientSession, url: str, body: dict[str, Any], **headers: str) -> bytes:
    async with http.post(f"{url}/chat/completions", json=body, headers=headers) as response:
        assert response.status == 200, await response.text()
        return await response.read()


async def _straight(http: aiohttp.ClientSession, stub: StubProvider, row: Row) -> Answer:
    """What the provider answers without a sidecar."""
    body = {**row.http, "model": PROVIDER_MODELS[row.model]}
    answer = from_json(json.loads(await _post(http, stub.base_url, body, Authorization=f"Bearer {KEY}")))
    stub.clear_requests()
    return answer


def _received(stub: StubProvider) -> dict[str, Any]:
    """The body of the one call since this was asked last."""
    (record,) = stub.requests
    stub.clear_requests()
    body: dict[str, Any] = record.body
    return body


@pytest.mark.parametrize("name", ROWS)
async def test_over_http_all_arrives(
    http: aiohttp.ClientSession, sidecar: Sidecar, stub: StubProvider, name: str
) -> None:
    row = ROWS[name]
    expected = await _straight(http, stub, row)
    asked = {**row.http, "model": row.model}

    whole = from_json(json.loads(await _post(http, sidecar.http_url, asked)))
    got = _received(stub)
    stream = from_chunks(chunks(await _post(http, sidecar.http_url, {**asked, "stream": True, "stream_options": BILL})))

    assert whole == expected
    assert stream == expected
    assert got == {**row.http, "model": PROVIDER_MODELS[row.model]}
    assert got.items() >= row.provider.items()
    assert _received(stub) == {**got, "stream": True, "stream_options": BILL}


@pytest.mark.parametrize("name", ROWS)
async def test_over_grpc_all_arrives(
    http: aiohttp.ClientSession, sidecar: Sidecar, stub: StubProvider, name: str
) -> None:
    row = ROWS[name]
    expected = await _straight(http, stub, row)
    asked = completions_pb2.CompleteRequest()
    asked.CopyFrom(row.grpc)
    asked.model = row.model

    whole = from_message(await sidecar.app.Complete(asked))
    got = _received(stub)
    events, error = await streamed(sidecar.app.CompleteStream(asked))

    assert whole == expected
    assert error is None
    assert from_events(events) == expected
    assert got["model"] == PROVIDER_MODELS[row.model]
    assert got.items() >= (row.through_grpc or row.provider).items()
    assert _received(stub) == {**got, "stream": True, "stream_options": BILL}


def test_the_table_in_the_docs_has_these_rows() -> None:
    rows = re.findall(r"^\| ([^|]+?) \|", TABLE.read_text(encoding="utf-8").partition("## Passed")[2], re.MULTILINE)
    passed = [row for row in rows if row not in {"what", "---"}]

    assert set(ROWS) <= set(passed)
