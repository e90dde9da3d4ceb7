"""Today's sidecar and an operator of an older version: after its rollback, or where pods were restarted first."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from pointsman_stub import StubProvider
from skew.contract import PACKAGE, Contract
from skew.planes import KEY, PlayedOperator
from support.sidecar_processes import SidecarProcess, running_process
from support.waiting import until


@pytest.fixture
async def stub() -> AsyncIterator[StubProvider]:
    """A provider that wants a key."""
    async with StubProvider.running(api_keys=[KEY]) as provider:
        yield provider


@asynccontextmanager
async def following(operator: PlayedOperator, *arguments: str) -> AsyncIterator[SidecarProcess]:
    """Today's sidecar, which follows an operator."""
    async with (
        operator.serving() as address,
        running_process(operator=address, arguments=("--labels", "app=support", *arguments)) as process,
    ):
        yield process


def snapshot(older: Contract, base_url: str) -> Any:
    """The older operator's snapshot, with a provider that is there."""
    update = older.said("snapshot", "ConnectResponse").snapshot
    update.snapshot.providers[0].base_url = base_url
    return update


async def asked(older: Contract, address: str, method: str = "Complete") -> Any:
    """What an app of the older version is answered."""
    async with grpc.aio.insecure_channel(address) as wire:
        call = wire.unary_unary(
            f"/{PACKAGE}.Completions/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=lambda data: older.read(f"{method}Response", data),
        )
        return await call(older.said("complete", "CompleteRequest"), timeout=10)


async def test_it_obeys_and_answers_and_serves_an_app_of_that_version(older: Contract, stub: StubProvider) -> None:
    operator = PlayedOperator(older)
    async with following(operator) as sidecar:
        hello = await operator.hear("hello")
        operator.say(trust=older.said("trust", "ConnectResponse").trust)
        operator.say(access=older.said("access", "ConnectResponse").access)
        operator.say(snapshot=snapshot(older, stub.base_url))
        ack = await operator.hear("ack")
        answer = await asked(older, sidecar.address)

    assert hello.contract_version == older.said("hello", "ConnectRequest").hello.contract_version
    assert (hello.claimed_identity.namespace, hello.claimed_identity.pod) == ("shop", "web-1")
    assert dict(hello.claimed_identity.labels) == {"app": "support"}
    assert hello.snapshot_version == ""
    assert ack.nonce == older.said("snapshot", "ConnectResponse").snapshot.nonce
    decision = answer.decision
    assert (decision.model, decision.route) == ("flagship", "regulated")
    assert decision.policy == older.said("snapshot", "ConnectResponse").snapshot.snapshot.policy
    assert [each.provider_model for each in decision.attempts] == ["gpt-4o"]
    assert decision.usage.output_tokens > 0
    assert decision.cost.currency == "USD"
    assert answer.choices[0].message.content[0].text.startswith("[gpt-4o]")


async def test_it_gives_up_its_policy_when_it_is_told_to(older: Contract, stub: StubProvider) -> None:
    operator = PlayedOperator(older)
    told = older.said("no-policy", "ConnectResponse").no_policy
    async with following(operator) as sidecar:
        await operator.hear("hello")
        operator.say(snapshot=snapshot(older, stub.base_url))
        await operator.hear("ack")

        operator.say(no_policy=told)
        ack = await operator.hear("ack")
        with pytest.raises(grpc.aio.AioRpcError) as refused:
            await asked(older, sidecar.address, "Explain")

    assert ack.nonce == told.nonce
    assert refused.value.code() == grpc.StatusCode.FAILED_PRECONDITION
    assert told.reason in (refused.value.details() or "")


async def test_it_says_why_it_will_not_have_a_snapshot(older: Contract, stub: StubProvider) -> None:
    operator = PlayedOperator(older)
    wrong = snapshot(older, stub.base_url)
    wrong.snapshot.default_model = "nobody"
    async with following(operator):
        await operator.hear("hello")
        operator.say(snapshot=wrong)

        nack = await operator.hear("nack")

    assert nack.nonce == wrong.nonce
    assert "nobody" in nack.reason


async def test_what_an_older_sidecar_stored_is_in_force_at_once(older: Contract, tmp_path: Path) -> None:
    update = older.said("snapshot", "ConnectResponse").snapshot
    (tmp_path / "snapshot.pb").write_bytes(update.SerializeToString())
    operator = PlayedOperator(older)
    async with following(operator, "--state-dir", str(tmp_path)) as sidecar:
        hello = await operator.hear("hello")
        await until(lambda: any(line["event"] == "stored snapshot in force" for line in sidecar.logged))

    assert hello.snapshot_version == update.version
    assert list(hello.known) == list(update.snapshot.inputs)
