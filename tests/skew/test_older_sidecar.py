"""Today's operator and a sidecar of an older version: pods are restarted long after the operator was upgraded."""

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest

from process.operator.fake_api import CONFIG_MAPS, POLICIES
from skew.contract import Contract, unknown_fields
from skew.planes import Operator, PlayedSidecar, todays_operator
from support.waiting import until


@pytest.fixture
async def operator(older: Contract, tmp_path: Path) -> AsyncIterator[Operator]:
    """Today's operator on the older version's resources."""
    async with todays_operator(older, tmp_path) as running:
        yield running


@pytest.fixture
async def wire(operator: Operator) -> AsyncIterator[grpc.aio.Channel]:
    """A channel to it."""
    async with operator.channel() as opened:
        yield opened


async def connected(older: Contract, operator: Operator, wire: grpc.aio.Channel) -> PlayedSidecar:
    """A sidecar of the older version that has said hello as it does."""
    hello = older.said("hello", "ConnectRequest")
    hello.hello.token = operator.token
    sidecar = PlayedSidecar(older, wire)
    await sidecar.say(hello)
    return sidecar


def answer(older: Contract, kind: str, nonce: str) -> Any:
    """An answer to an update, as the older version gives it."""
    said = older.said(kind, "ConnectRequest")
    getattr(said, kind).nonce = nonce
    return said


async def test_of_older_resources_it_is_given_what_the_older_operator_gave(
    older: Contract, operator: Operator, wire: grpc.aio.Channel
) -> None:
    sidecar = await connected(older, operator, wire)

    trust, access = await sidecar.hear("trust"), await sidecar.hear("access")
    update = await sidecar.hear("snapshot")

    expected = older.said("snapshot", "ConnectResponse").snapshot
    # An older sidecar rejects a snapshot with a field that it does not know, even if it says nothing new.
    assert unknown_fields(update) == []
    assert update.snapshot == expected.snapshot
    assert (update.contract_version, update.generation) == (expected.contract_version, expected.generation)
    assert update.version
    assert access == older.said("access", "ConnectResponse").access
    assert trust.ca_bundle.startswith(b"-----BEGIN CERTIFICATE-----")


async def test_its_answers_are_understood(older: Contract, operator: Operator, wire: grpc.aio.Channel) -> None:
    sidecar = await connected(older, operator, wire)
    update = await sidecar.hear("snapshot")

    await sidecar.say(answer(older, "ack", update.nonce))

    await until(lambda: operator.status().get("sidecars", {}).get("summary") == "1/1")


async def test_its_rejections_are_understood(older: Contract, operator: Operator, wire: grpc.aio.Channel) -> None:
    sidecar = await connected(older, operator, wire)
    update = await sidecar.hear("snapshot")

    await sidecar.say(answer(older, "nack", update.nonce))

    reason = older.said("nack", "ConnectRequest").nack.reason
    rejection = [{"sidecar": "app-1", "reason": reason}]
    await until(lambda: operator.status().get("sidecars", {}).get("rejections") == rejection)


async def test_its_fresh_token_is_taken(older: Contract, operator: Operator, wire: grpc.aio.Channel) -> None:
    sidecar = await connected(older, operator, wire)
    update = await sidecar.hear("snapshot")
    fresh = older.said("token", "ConnectRequest")
    fresh.token.token = operator.another_token()

    await sidecar.say(fresh)

    await until(lambda: fresh.token.token in operator.api.reviewed)
    await sidecar.say(answer(older, "ack", update.nonce))
    await until(lambda: operator.status().get("sidecars", {}).get("summary") == "1/1")


async def test_it_is_told_when_no_policy_is_left(older: Contract, operator: Operator, wire: grpc.aio.Channel) -> None:
    sidecar = await connected(older, operator, wire)
    await sidecar.say(answer(older, "ack", (await sidecar.hear("snapshot")).nonce))
    await until(lambda: operator.status().get("sidecars", {}).get("summary") == "1/1")

    operator.api.delete(POLICIES, "support")

    told = await sidecar.hear("no_policy")
    assert told.nonce
    assert told.reason == older.said("no-policy", "ConnectResponse").no_policy.reason


async def test_what_its_policy_is_tuned_by_is_no_concern_of_it(older: Contract, tmp_path: Path) -> None:
    """It is told so, as all sidecars are, and passes it over: its policy asks for nothing that needs it."""
    policy = older.said("snapshot", "ConnectResponse").snapshot.snapshot.policy
    record = {"namespace": policy.namespace, "policy": policy.name, "version": 7, "at": 1}
    metadata = {"name": "pointsman-tuning-00", "labels": {"pointsman.dev/tuning": "true"}}
    kept = {"metadata": metadata, "data": {policy.uid: json.dumps(record)}}
    async with (
        todays_operator(older, tmp_path, beside=[(CONFIG_MAPS, kept)]) as operator,
        operator.channel() as wire,
    ):
        sidecar = await connected(older, operator, wire)
        passed_over: list[str] = []
        nonce = ""
        while not (passed_over and nonce):
            heard = await sidecar.next()
            passed_over += unknown_fields(heard)
            nonce = nonce or heard.snapshot.nonce
        await sidecar.say(answer(older, "ack", nonce))

        await until(lambda: operator.status().get("sidecars", {}).get("summary") == "1/1")
