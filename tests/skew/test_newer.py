"""Today's planes and one that is newer: what it says beyond the contract is passed over, or refused with a reason."""

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest

from skew.contract import NEW, PACKAGE, Contract, newer
from skew.planes import PlayedOperator, PlayedSidecar, todays_operator
from support.sidecar_processes import SidecarProcess, running_process
from support.waiting import until

NOVEL = "of a later version"


@pytest.fixture
def contract() -> Contract:
    """A contract that knows more."""
    return newer("0.1")


@asynccontextmanager
async def following(operator: PlayedOperator) -> AsyncIterator[SidecarProcess]:
    """Today's sidecar, which follows a newer operator and has its policy in force."""
    async with (
        operator.serving() as address,
        running_process(operator=address, arguments=("--labels", "app=support")) as process,
    ):
        await operator.hear("hello")
        operator.say(snapshot=operator.contract.said("snapshot", "ConnectResponse").snapshot)
        await operator.hear("ack")
        yield process


async def in_force(contract: Contract, sidecar: SidecarProcess) -> int:
    """The generation of the policy by which an app is answered."""
    async with grpc.aio.insecure_channel(sidecar.address) as wire:
        explain = wire.unary_unary(
            f"/{PACKAGE}.Completions/Explain",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=lambda data: contract.read("ExplainResponse", data),
        )
        answer = await explain(contract.said("complete", "CompleteRequest"), timeout=10)
    return int(answer.decision.policy.generation)


async def test_what_a_newer_sidecar_says_beyond_the_contract_is_passed_over(contract: Contract, tmp_path: Path) -> None:
    async with todays_operator(contract, tmp_path) as operator, operator.channel() as wire:
        sidecar = PlayedSidecar(contract, wire)
        hello = contract.said("hello", "ConnectRequest")
        hello.hello.token, hello.hello.novel_text = operator.token, NOVEL
        await sidecar.say(hello)
        update = await sidecar.hear("snapshot")
        fresh = operator.another_token()

        await sidecar.say(contract.new("ConnectRequest", novelty={"novel_text": NOVEL}))
        await sidecar.say(contract.new("ConnectRequest", token={"token": fresh, "novel_text": NOVEL}))
        await sidecar.say(contract.new("ConnectRequest", ack={"nonce": update.nonce, "novel_text": NOVEL}))

        await until(lambda: operator.status().get("sidecars", {}).get("summary") == "1/1")
        await until(lambda: fresh in operator.api.reviewed)


async def test_a_newer_kind_of_update_is_passed_over(contract: Contract) -> None:
    operator = PlayedOperator(contract)
    async with following(operator) as sidecar:
        operator.say(novelty={"novel_text": NOVEL})
        operator.say(access={"providers": [{"provider": "openai", "api_key": "k", "novel_text": NOVEL}]})
        later = contract.said("snapshot", "ConnectResponse").snapshot
        later.nonce, later.snapshot.policy.generation, later.version = "8", 4, "later"
        operator.say(snapshot=later)

        assert (await operator.hear("ack")).nonce == "8"  # the same stream goes on
        assert await in_force(contract, sidecar) == 4

        operator.say(no_policy={"nonce": "9", "reason": "none", "novel_text": NOVEL})
        assert (await operator.hear("ack")).nonce == "9"


def novel_provider_type(update: Any) -> None:
    update.snapshot.providers[0].type = NEW


def novel_severity(update: Any) -> None:
    getattr(update.snapshot.routes[0].when.any[0].severity, "in").append(NEW)


def novel_matcher(update: Any) -> None:
    update.snapshot.routes[0].when.any.add().novelty.novel_text = NOVEL


def novel_text_in(place: Callable[[Any], Any]) -> Callable[[Any], None]:
    def add(update: Any) -> None:
        place(update).novel_text = NOVEL

    return add


@pytest.mark.parametrize(
    "add",
    [
        pytest.param(novel_text_in(lambda update: update), id="a field of the update"),
        pytest.param(novel_text_in(lambda update: update.snapshot), id="a field of the snapshot"),
        pytest.param(novel_text_in(lambda update: update.snapshot.routes[1]), id="a field of a route"),
        pytest.param(novel_matcher, id="a kind of matcher"),
        pytest.param(novel_severity, id="a severity"),
        pytest.param(novel_provider_type, id="a type of provider"),
        pytest.param(lambda update: update.snapshot.models[0].features.append(NEW), id="a feature"),
        pytest.param(lambda update: update.snapshot.models[0].input_modalities.append(NEW), id="a modality"),
        pytest.param(lambda update: setattr(update.snapshot.routes[2], "sticky_by", NEW), id="a way to stick"),
        pytest.param(lambda update: setattr(update, "contract_version", 2), id="another version of the contract"),
    ],
)
async def test_a_snapshot_that_says_more_is_rejected_and_what_was_in_force_stays(
    contract: Contract, add: Callable[[Any], None]
) -> None:
    operator = PlayedOperator(contract)
    async with following(operator) as sidecar:
        later = contract.said("snapshot", "ConnectResponse").snapshot
        later.nonce, later.snapshot.policy.generation, later.version = "8", 4, "later"
        add(later)
        operator.say(snapshot=later)

        nack = await operator.hear("nack")

        assert nack.nonce == "8"
        assert "this sidecar" in nack.reason
        assert await in_force(contract, sidecar) == 3
