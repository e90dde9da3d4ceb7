"""Each row of the table of faults, tried through both doors, whole and streamed, with a fallback and without."""

import asyncio
import json
import socket
import ssl
from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import pytest

from pointsman_api.v1 import decision_pb2
from pointsman_operator.tls.certificates import make_authority, make_leaf
from pointsman_stub import Fault, StubProvider
from support.answers import Refusal, refusal, streamed
from support.completions import ask
from support.fault_cases import CASES, Came, Endpoint, FaultCase, Retried
from support.http_doors import events, question
from support.sidecars import Sidecar, running_sidecar
from support.snapshots import flagship, mini, provider, retrying, snapshot

KEY = "sk-of-these-tests"


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What an app saw of one completion: the status, and each attempt's model, outcome and charge."""

    status: str
    reason: str
    attempts: list[tuple[str, str, str]]


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port on which nobody listens, and which nobody else is given."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.fixture
async def untrusted_port(tmp_path: Path) -> AsyncIterator[int]:
    """A port with TLS whose certificate is of a CA that nobody has heard of."""
    now, day = datetime.now(UTC), timedelta(days=1)
    leaf = make_leaf(make_authority(now=now, lifetime=day), names=["127.0.0.1"], now=now, lifetime=day)
    certificate, key = tmp_path / "tls.crt", tmp_path / "tls.key"
    certificate.write_bytes(leaf.certificate)
    key.write_bytes(leaf.key)
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(certificate, key)
    server = await asyncio.start_server(lambda _, writer: writer.close(), "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1]
    server.close()


@pytest.fixture
def endpoints(stub: StubProvider, closed_port: int, untrusted_port: int) -> Mapping[Endpoint, str]:
    """The base URL of each place that calls may go to."""
    return {
        Endpoint.STUB: stub.base_url,
        Endpoint.CLOSED: f"http://127.0.0.1:{closed_port}/v1",
        Endpoint.TLS: stub.base_url.replace("http://", "https://"),
        Endpoint.UNTRUSTED: f"https://127.0.0.1:{untrusted_port}/v1",
    }


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    """A stub provider."""
    async with StubProvider.running(api_keys=[KEY]) as running:
        yield running


@asynccontextmanager
async def _sidecar(away: str, stub: StubProvider, *, fallback: bool) -> AsyncIterator[Sidecar]:
    content = snapshot(
        providers=[provider(name="faulty", base_url=away), provider(base_url=stub.base_url)],
        models=[mini(provider="faulty"), flagship()],
        fallbacks=["flagship"] if fallback else [],
        retries=retrying(1),
        first_token=1.0,
        attempt=1.0,
        between_tokens=0.5,
        connect=1.0,
    )
    async with running_sidecar(content=content, access={"faulty": KEY, "openai": KEY}) as running:
        yield running


async def _by_grpc(sidecar: Sidecar, *, streams: bool) -> Seen:
    if streams:
        received, error = await streamed(sidecar.app.CompleteStream(ask()))
        return _told(error) if error else _seen("OK", "", received[-1].finished)
    try:
        return _seen("OK", "", (await sidecar.app.Complete(ask())).decision)
    except grpc.aio.AioRpcError as raised:
        return _told(await refusal(_raising(raised)))


async def _raising(error: grpc.aio.AioRpcError) -> None:
    raise error


def _told(error: Refusal) -> Seen:
    assert error.decision is not None
    return _seen(error.code.name, error.reason, error.decision)


def _seen(status: str, reason: str, decision: decision_pb2.Decision) -> Seen:
    return Seen(
        status=status,
        reason=reason,
        attempts=[
            (
                each.model,
                decision_pb2.Outcome.Name(each.outcome).removeprefix("OUTCOME_"),
                decision_pb2.Charge.Name(each.charge).removeprefix("CHARGE_"),
            )
            for each in decision.attempts
        ],
    )


async def _by_http(sidecar: Sidecar, *, streams: bool) -> Seen:
    async with (
        aiohttp.ClientSession() as session,
        session.post(
            f"{sidecar.http_url}/chat/completions",
            json=question(stream=streams),
            headers={"x-pointsman-decision": "body"},
        ) as response,
    ):
        body = await response.read()
        last: dict[str, Any] = (
            next(each for each in map(json.loads, reversed([e for e in events(body) if e != "[DONE]"])) if each)
            if response.content_type == "text/event-stream"
            else json.loads(body)
        )
        return Seen(
            status=str(response.status),
            reason=last["error"]["code"] if "error" in last else "",
            attempts=[(each["model"], each["outcome"], each["charge"]) for each in last["pointsman"]["attempts"]],
        )


@pytest.mark.parametrize("case", CASES.values(), ids=CASES.keys())
async def test_a_fault_has_the_consequences_that_the_table_says(
    case: FaultCase, stub: StubProvider, endpoints: Mapping[Endpoint, str]
) -> None:
    if case.fault:
        stub.set_faults(Fault(model="gpt-4o-mini", **case.fault))  # type: ignore[arg-type]
    async with (
        _sidecar(endpoints[case.endpoint], stub, fallback=False) as alone,
        _sidecar(endpoints[case.endpoint], stub, fallback=True) as helped,
    ):
        seen = await asyncio.gather(
            *(
                door(sidecar, streams=streams)
                for sidecar in (alone, helped)
                for streams in (False, True)
                for door in (_by_grpc, _by_http)
            )
        )
    for at, came in enumerate((case.whole, case.streamed)):
        _check_alone(came, by_grpc=seen[2 * at], by_http=seen[2 * at + 1])
        for helped_seen in seen[4 + 2 * at : 6 + 2 * at]:
            _check_helped(came, helped_seen)


def _check_alone(came: Came, *, by_grpc: Seen, by_http: Seen) -> None:
    calls = 1 if came.retried is Retried.NO else 2
    attempts = [("mini", came.outcome, came.charge)] * calls
    assert by_grpc == Seen(status=came.grpc, reason=came.reason, attempts=attempts)
    assert by_http == Seen(status=str(came.http), reason=came.code, attempts=attempts)


def _check_helped(came: Came, seen: Seen) -> None:
    calls = 2 if came.retried is Retried.YES else 1
    attempts = [("mini", came.outcome, came.charge)] * calls
    if came.fallback:
        assert seen.status in {"OK", "200"}
        attempts = [*attempts, ("flagship", "SUCCEEDED", "COUNTED")]
    assert seen.attempts == attempts
