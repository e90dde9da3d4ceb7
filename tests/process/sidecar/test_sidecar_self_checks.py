"""A model asked whether its own answer is right, as an app meets it."""

import json
from typing import Any

import aiohttp
import pytest

from pointsman_api.v1 import decision_pb2, quota_pb2, snapshot_pb2, types_pb2
from pointsman_stub import Fault, StubProvider
from process.sidecar.test_sidecar_quotas import running
from support.answers import outcomes, streamed, text_of
from support.completions import ask, tool
from support.ledgers import FakeLedger, budget
from support.sidecars import Sidecar, sample
from support.snapshots import flagship, mini, snapshot

MINI, FLAGSHIP = "gpt-4o-mini", "gpt-4o"
# The stub's models say Yes to a question that ends so, and No where this word was said before.
SURE, UNSURE = "Which way is north?", "A doubtful case: which way is north?"


def checking(stub: StubProvider, below: str = "0.4", within: str = "1", **fields: Any) -> snapshot_pb2.Snapshot:
    """The policy, with an escalation below this confidence, and a self-check up to so far above it."""
    fields = {"fallbacks": (), "when": snapshot_pb2.WHEN_STREAMING_UNSPECIFIED, **fields}
    rule = snapshot_pb2.Escalation(
        model="flagship", confidence_below=below, self_check_within=within, when_streaming=fields.pop("when")
    )
    return snapshot(base_url=stub.base_url, escalation=rule, **fields)


def checks(sidecar: Sidecar, result: str) -> float | None:
    """How often a model said so."""
    return sample(
        sidecar.metrics.registry, "pointsman_self_checks_total", policy="shop/support", model="mini", result=result
    )


async def test_an_answer_that_its_model_stands_by_is_used(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(checking(stub))

    response = await sidecar.app.Complete(ask(SURE))

    decision = response.decision
    first, check = decision.attempts
    assert decision.model == "mini"
    assert not decision.HasField("escalation")
    assert (first.self_check, check.self_check) == (False, True)
    assert check.confidence > 0.9
    assert 0.4 < first.confidence < check.confidence
    # Both are paid for.
    assert decision.usage.output_tokens == first.usage.output_tokens + check.usage.output_tokens
    assert decision.usage.input_tokens == first.usage.input_tokens + check.usage.input_tokens
    assert checks(sidecar, "confirmed") == 1


async def test_an_answer_that_its_model_doubts_goes_up(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(checking(stub))

    response = await sidecar.app.Complete(ask(UNSURE))

    decision = response.decision
    first, check, second = decision.attempts
    assert (decision.model, decision.reason) == ("flagship", decision_pb2.REASON_CONFIDENCE)
    assert first.unused == f"the confidence in its answer is {first.confidence:.2f}, below 0.4"
    assert check.confidence < 0.1
    assert (second.model, second.self_check) == ("flagship", False)
    assert decision.usage.output_tokens == sum(each.usage.output_tokens for each in decision.attempts)
    assert checks(sidecar, "doubted") == 1


async def test_the_conversation_stands_before_the_question_as_it_was_sent(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(checking(stub))

    response = await sidecar.app.Complete(ask(SURE, max_tokens=300))

    asked, check = (each.body for each in stub.requests)
    *before, answer, question = check["messages"]
    assert before == asked["messages"]
    assert answer == {"role": "assistant", "content": response.choices[0].message.content[0].text}
    assert question["role"] == "user"
    assert (check["max_completion_tokens"], check["logprobs"], check["top_logprobs"]) == (16, True, 5)
    assert "stream" not in check


async def test_only_what_is_just_above_the_bar_is_asked_about(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(checking(stub, "0.01", "0.02"))
    sure = await sidecar.app.Complete(ask(UNSURE))
    sidecar.apply(checking(stub, "1", "1"))
    found = await sidecar.app.Complete(ask(UNSURE))

    assert outcomes(sure.decision) == [("mini", "SUCCEEDED")]
    assert outcomes(found.decision) == [("mini", "SUCCEEDED"), ("flagship", "SUCCEEDED")]


async def test_without_log_probabilities_the_word_counts(stub: StubProvider, sidecar: Sidecar) -> None:
    cheap = mini()
    cheap.features.remove(types_pb2.FEATURE_LOGPROBS)
    sidecar.apply(checking(stub, "0.3", models=[cheap, flagship()]))

    sure = await sidecar.app.Complete(ask(SURE))
    unsure = await sidecar.app.Complete(ask(UNSURE))

    assert sure.decision.attempts[1].confidence == 0.8
    assert unsure.decision.attempts[1].confidence == 0.1
    assert "logprobs" not in stub.requests[1].body


@pytest.mark.parametrize("fault", [Fault(status=503), Fault(garbage="html"), Fault(odd="no_choices")])
async def test_where_the_check_fails_the_judges_word_stands(stub: StubProvider, sidecar: Sidecar, fault: Fault) -> None:
    sidecar.apply(checking(stub, "0.01"))
    alone = (await sidecar.app.Complete(ask(SURE))).decision.attempts[0].confidence
    stub.set_faults(Fault(latency=0.0, times=1), fault)

    response = await sidecar.app.Complete(ask(SURE))

    first, check = response.decision.attempts
    assert response.decision.model == "mini"
    assert check.outcome != decision_pb2.OUTCOME_SUCCEEDED
    assert not check.HasField("confidence")
    assert first.confidence != alone
    assert checks(sidecar, "silent") == 1


async def test_a_request_with_tools_is_not_checked(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(checking(stub))

    response = await sidecar.app.Complete(ask(SURE, tools=[tool("compass")]))

    assert not any(each.self_check for each in response.decision.attempts)


@pytest.mark.parametrize(("question", "model"), [(SURE, "mini"), (UNSURE, "flagship")])
async def test_a_stream_that_is_held_back_whole_is_checked_before_anything_is_sent(
    stub: StubProvider, sidecar: Sidecar, question: str, model: str
) -> None:
    sidecar.apply(checking(stub, when=snapshot_pb2.WHEN_STREAMING_BUFFER_ALL))

    received, error = await streamed(sidecar.app.CompleteStream(ask(question)))

    assert error is None
    assert received[0].started.model == model
    assert text_of(received).startswith(f"[{MINI if model == 'mini' else FLAGSHIP}] ")
    finished = received[-1].finished
    assert [each.self_check for each in finished.attempts[:2]] == [False, True]
    assert finished.usage.output_tokens == sum(each.usage.output_tokens for each in finished.attempts)


async def test_over_http_nothing_of_it_is_in_the_answer(stub: StubProvider, sidecar: Sidecar) -> None:
    wanted = {"model": "auto", "messages": [{"role": "user", "content": SURE}]}
    bodies = []
    for content in (snapshot(base_url=stub.base_url), checking(stub)):
        sidecar.apply(content)
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{sidecar.http_url}/chat/completions", json=wanted) as response,
        ):
            bodies.append(json.loads(await response.read()))

    plain, checked = bodies
    assert checked["choices"] == plain["choices"]
    assert list(checked) == list(plain)


async def test_budgets_count_it_and_where_they_have_nothing_left_for_it_the_judges_word_stands(
    stub: StubProvider,
) -> None:
    ledger = FakeLedger(budget(limit=3, unit=quota_pb2.BUDGET_UNIT_REQUESTS))

    async with running(ledger, stub, content=checking(stub)) as pod:
        whole = await pod.app.Complete(ask(SURE))
        short = await pod.app.Complete(ask(UNSURE))
        await pod.stop()

    assert [each.self_check for each in whole.decision.attempts] == [False, True]
    assert outcomes(short.decision) == [("mini", "SUCCEEDED")]
    assert (ledger.used, ledger.held) == (3, 0)
