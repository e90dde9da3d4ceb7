"""A stronger model asked in place of one whose answer is found wanting, as an app meets it."""

import json
from typing import Any

import aiohttp
import pytest

from pointsman_api.v1 import completions_pb2, decision_pb2, quota_pb2, snapshot_pb2, types_pb2
from pointsman_sidecar.confidence.calibration import Calibration, Curve
from pointsman_sidecar.tuning.tuning import Tuning
from pointsman_stub import Fault, StubProvider
from process.sidecar.test_sidecar_quotas import running
from support.answers import outcomes, streamed, text_of
from support.completions import ask
from support.ledgers import FakeLedger, budget
from support.sidecars import Sidecar, sample
from support.snapshots import breaking, flagship, mini, retrying, snapshot

MINI, FLAGSHIP = "gpt-4o-mini", "gpt-4o"
LIMIT = "ModelRoutingPolicy/shop/support"
FAULTS = (
    snapshot_pb2.ANSWER_FAULT_REFUSAL,
    snapshot_pb2.ANSWER_FAULT_TRUNCATION,
    snapshot_pb2.ANSWER_FAULT_INVALID_OUTPUT,
)
SEVERE = completions_pb2.RoutingHints(severity=types_pb2.SEVERITY_CRITICAL)


def escalating(stub: StubProvider, *, daily_limit: str = "", **fields: Any) -> snapshot_pb2.Snapshot:
    """The policy, with an escalation for all that can be wrong."""
    rule = snapshot_pb2.Escalation(model="flagship", on=FAULTS, daily_limit=daily_limit)
    return snapshot(base_url=stub.base_url, escalation=rule, **{"fallbacks": (), **fields})


@pytest.fixture
def filtered(stub: StubProvider, sidecar: Sidecar) -> None:
    """The cheap model's provider takes all its answers out, and the policy escalates."""
    stub.set_faults(Fault(model=MINI, odd="filtered"))
    sidecar.apply(escalating(stub))


def by(response: completions_pb2.CompleteResponse) -> str:
    """Who answered, by the text."""
    return response.choices[0].message.content[0].text.split()[0].strip("[]")


def escalations(sidecar: Sidecar, cause: str, result: str) -> float | None:
    """How often."""
    return sample(
        sidecar.metrics.registry,
        "pointsman_escalations_total",
        policy="shop/support",
        cause=cause,
        result=result,
    )


@pytest.mark.usefixtures("filtered")
async def test_a_refused_answer_is_replaced_by_the_stronger_models_and_both_are_accounted_for(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    response = await sidecar.app.Complete(ask())

    decision = response.decision
    assert by(response) == FLAGSHIP
    assert (decision.model, decision.reason) == ("flagship", decision_pb2.REASON_REFUSAL)
    assert decision.message == "mini answered, but its provider took the answer out"
    assert outcomes(decision) == [("mini", "SUCCEEDED"), ("flagship", "SUCCEEDED")]
    first, second = decision.attempts
    assert (first.unused, second.unused) == ("its provider took the answer out", "")
    assert decision.usage.output_tokens == first.usage.output_tokens + second.usage.output_tokens
    assert decision.usage.input_tokens == first.usage.input_tokens + second.usage.input_tokens
    dear = second.usage.input_tokens * 2.5 + second.usage.output_tokens * 10
    cheap = first.usage.input_tokens * 0.15 + first.usage.output_tokens * 0.6
    assert float(decision.cost.amount) == pytest.approx((dear + cheap) / 1e6)
    assert decision.escalation == decision_pb2.Escalated(
        cause=decision_pb2.REASON_REFUSAL, model="flagship", done=True, message=decision.message
    )
    assert [each.model for each in stub.requests] == [MINI, FLAGSHIP]
    assert escalations(sidecar, "refusal", "answered") == 1
    tokens = {
        model: sample(
            sidecar.metrics.registry, "pointsman_tokens_total", policy="shop/support", model=model, type="output"
        )
        for model in ("mini", "flagship")
    }
    assert tokens == {"mini": first.usage.output_tokens, "flagship": second.usage.output_tokens}
    assert sidecar.logged[-1]["escalation"] == "REFUSAL"


async def test_an_answer_that_is_not_found_wanting_is_used(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(escalating(stub))

    response = await sidecar.app.Complete(ask())

    assert by(response) == MINI
    assert not response.decision.HasField("escalation")
    assert [each.model for each in stub.requests] == [MINI]


async def test_an_answer_that_is_cut_off_is_asked_for_again_once(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(escalating(stub))

    response = await sidecar.app.Complete(ask(max_tokens=3))

    assert response.decision.reason == decision_pb2.REASON_TRUNCATION
    # The flagship's is cut off too, and is used: there is no stronger model.
    assert response.choices[0].finish_reason == completions_pb2.FINISH_REASON_LENGTH
    assert [each.model for each in stub.requests] == [MINI, FLAGSHIP]


@pytest.mark.usefixtures("filtered")
async def test_where_the_stronger_model_fails_the_first_answer_is_returned(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    stub.set_faults(Fault(model=MINI, odd="filtered"), Fault(model=FLAGSHIP, status=503))

    response = await sidecar.app.Complete(ask())

    decision = response.decision
    assert by(response) == MINI
    assert (decision.model, decision.reason) == ("mini", decision_pb2.REASON_DEFAULT)
    assert outcomes(decision) == [("mini", "SUCCEEDED"), ("flagship", "PROVIDER_FAILED")]
    assert not decision.attempts[0].unused
    assert decision.usage == decision.attempts[0].usage
    assert not decision.escalation.done
    assert "its answer is used all the same: flagship did not answer" in decision.escalation.message
    assert escalations(sidecar, "refusal", "failed") == 1


async def test_where_the_stronger_model_takes_too_long_the_first_answer_is_returned(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    sidecar.apply(escalating(stub, attempt=5.0, total=1.0))
    stub.set_faults(Fault(model=MINI, odd="filtered"), Fault(model=FLAGSHIP, hang="start"))

    response = await sidecar.app.Complete(ask())

    assert by(response) == MINI
    assert outcomes(response.decision) == [("mini", "SUCCEEDED"), ("flagship", "TIMED_OUT")]
    assert "flagship did not answer in the time that was left" in response.decision.escalation.message


async def test_the_stronger_model_is_asked_again_as_retries_say(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(escalating(stub, retries=retrying()))
    stub.set_faults(Fault(model=MINI, odd="filtered"), Fault(model=FLAGSHIP, status=503, times=1))

    response = await sidecar.app.Complete(ask())

    assert by(response) == FLAGSHIP
    assert [each.retry for each in response.decision.attempts] == [0, 0, 1]


async def test_a_stronger_model_whose_circuit_is_open_is_not_asked(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(escalating(stub, circuit_breaker=breaking(min_requests=1)))
    stub.set_faults(Fault(model=MINI, odd="filtered"), Fault(model=FLAGSHIP, status=503))
    await sidecar.app.Complete(ask())

    response = await sidecar.app.Complete(ask())

    assert by(response) == MINI
    assert response.decision.escalation.message.endswith("the circuit of flagship is open")
    assert escalations(sidecar, "refusal", "suppressed") == 1


@pytest.mark.usefixtures("filtered")
async def test_a_protected_routes_answer_is_used_whatever_it_is(stub: StubProvider, sidecar: Sidecar) -> None:
    content = escalating(stub)
    content.routes[0].protected = True
    content.routes[0].arms[0].model = "mini"
    sidecar.apply(content)

    response = await sidecar.app.Complete(ask(hints=SEVERE))

    assert by(response) == MINI
    assert len(stub.requests) == 1


async def test_a_stronger_model_that_lacks_what_the_request_needs_is_not_asked(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    dear = flagship()
    dear.context_window = 20
    sidecar.apply(escalating(stub, models=[mini(), dear]))
    stub.set_faults(Fault(model=MINI, odd="filtered"))

    response = await sidecar.app.Complete(ask("word " * 30))

    assert by(response) == MINI
    assert "flagship cannot serve the request" in response.decision.escalation.message


@pytest.mark.usefixtures("filtered")
@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
async def test_it_is_the_same_over_http(sidecar: Sidecar, path: str) -> None:
    asks = {"messages": [{"role": "user", "content": "Why?"}]} if path.startswith("/chat") else {"input": "Why?"}
    headers = {"x-pointsman-decision": "body"}
    async with (
        aiohttp.ClientSession() as session,
        session.post(sidecar.http_url + path, json={"model": "auto", **asks}, headers=headers) as response,
    ):
        body = json.loads(await response.read())

    assert (response.headers["x-pointsman-model"], response.headers["x-pointsman-reason"]) == ("flagship", "REFUSAL")
    assert f"[{FLAGSHIP}]" in json.dumps(body)
    assert body["pointsman"]["escalation"]["done"] is True
    assert body["pointsman"]["attempts"][0]["unused"] == "its provider took the answer out"


def limit(requests: int) -> quota_pb2.Budget:
    """The daily limit of the policy's escalations."""
    made = budget(limit=requests, unit=quota_pb2.BUDGET_UNIT_REQUESTS, escalations_only=True)
    made.name, made.shown = LIMIT, "escalation.dailyLimit of ModelRoutingPolicy shop/support"
    return made


async def test_the_daily_limit_counts_escalations_alone_and_then_the_first_answer_is_used(stub: StubProvider) -> None:
    stub.set_faults(Fault(model=MINI, odd="filtered"))
    ledger = FakeLedger(limit(2))

    async with running(ledger, stub, content=escalating(stub, daily_limit=LIMIT)) as pod:
        # Neither a route to the flagship nor what the cheap model does is an escalation.
        severe = await pod.app.Complete(ask(hints=SEVERE))
        answers = [await pod.app.Complete(ask()) for _ in range(4)]
        await pod.stop()

    assert not severe.decision.HasField("quota")
    assert [by(each) for each in answers] == [FLAGSHIP, FLAGSHIP, MINI, MINI]
    for refused in answers[2:]:
        assert refused.decision.escalation.message == (
            "mini answered, but its provider took the answer out; its answer is used all the same: "
            "the daily limit of escalations is reached"
        )
        assert outcomes(refused.decision) == [("mini", "SUCCEEDED")]
    assert ledger.used == 2
    assert ledger.held == 0


@pytest.mark.parametrize(
    "told",
    [
        pytest.param((), id="no budgets"),
        pytest.param((budget(limit=1_000_000),), id="others alone"),
    ],
)
async def test_a_limit_that_the_sidecar_was_not_told_of_lets_nothing_go_up(
    stub: StubProvider, told: tuple[quota_pb2.Budget, ...]
) -> None:
    stub.set_faults(Fault(model=MINI, odd="filtered"))

    async with running(FakeLedger(*told), stub, content=escalating(stub, daily_limit=LIMIT)) as pod:
        answer = await pod.app.Complete(ask())

    assert by(answer) == MINI
    assert "it is not known here how much of the daily limit" in answer.decision.escalation.message


async def test_a_budget_that_leaves_only_the_default_model_lets_nothing_go_up(stub: StubProvider) -> None:
    stub.set_faults(Fault(model=MINI, odd="filtered"))
    steps = (quota_pb2.BudgetStep(at_percent=1, default_model_only=True),)
    ledger = FakeLedger(budget(limit=50_000, models=(FLAGSHIP,), steps=steps))

    async with running(ledger, stub, content=escalating(stub)) as pod:
        answer = await pod.app.Complete(ask())
        while by(answer) == FLAGSHIP:
            answer = await pod.app.Complete(ask())

    assert answer.decision.escalation.message.endswith(
        "TokenQuota shop/month is so far spent that only the default model is used"
    )


async def test_where_a_budget_has_too_little_left_for_the_stronger_model_the_first_answer_is_used(
    stub: StubProvider,
) -> None:
    stub.set_faults(Fault(model=MINI, odd="filtered"))

    async with running(FakeLedger(budget(limit=10, models=(FLAGSHIP,))), stub, content=escalating(stub)) as pod:
        answer = await pod.app.Complete(ask())

    assert by(answer) == MINI
    assert answer.decision.escalation.message.endswith("TokenQuota shop/month has too little left for it")
    assert not answer.decision.HasField("quota")


def confident(stub: StubProvider, below: str, **fields: Any) -> snapshot_pb2.Snapshot:
    """The policy, with an escalation below this confidence."""
    rule = snapshot_pb2.Escalation(model="flagship", confidence_below=below)
    return snapshot(base_url=stub.base_url, escalation=rule, **{"fallbacks": (), **fields})


async def test_an_answer_that_is_trusted_too_little_is_asked_for_again(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(confident(stub, "1"))

    response = await sidecar.app.Complete(ask())

    first, second = response.decision.attempts
    assert by(response) == FLAGSHIP
    assert response.decision.reason == decision_pb2.REASON_CONFIDENCE
    assert first.HasField("confidence")
    assert first.unused == f"the confidence in its answer is {first.confidence:.2f}, below 1"
    # There is no stronger model: whatever is thought of its answer, it is used.
    assert not second.HasField("confidence")
    assert [bool(each.body.get("logprobs")) for each in stub.requests] == [True, False]


async def test_an_answer_that_is_trusted_far_enough_is_used_and_the_decision_says_how_far(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    sidecar.apply(confident(stub, "0.01"))

    response = await sidecar.app.Complete(ask())

    assert by(response) == MINI
    assert 0.01 <= response.decision.attempts[0].confidence <= 1
    assert not response.decision.HasField("escalation")


async def test_log_probabilities_that_the_app_did_not_ask_for_are_asked_for_and_taken_out_again(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    sidecar.apply(confident(stub, "0.01"))

    quiet = await sidecar.app.Complete(ask())
    curious = await sidecar.app.Complete(ask(sampling=completions_pb2.SamplingParameters(logprobs=True)))

    assert [each.body["logprobs"] for each in stub.requests] == [True, True]
    assert not quiet.choices[0].logprobs
    assert curious.choices[0].logprobs
    assert [(each.field, each.sent) for each in quiet.decision.changes] == [("logprobs", "true")]
    assert not curious.decision.changes


async def test_a_model_that_gives_no_log_probabilities_is_not_asked_for_them(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    cheap = mini()
    cheap.features.remove(types_pb2.FEATURE_LOGPROBS)
    sidecar.apply(confident(stub, "0.01", models=[cheap, flagship()]))

    response = await sidecar.app.Complete(ask())

    assert "logprobs" not in stub.requests[0].body
    assert response.decision.attempts[0].HasField("confidence")


@pytest.mark.parametrize("asked", [False, True])
async def test_over_http_an_answer_is_as_the_provider_gives_it_where_nobody_judges(
    stub: StubProvider, sidecar: Sidecar, *, asked: bool
) -> None:
    wanted: dict[str, Any] = {"model": "auto", "messages": [{"role": "user", "content": "Why?"}]}
    if asked:
        wanted["logprobs"] = True
    bodies = []
    for content in (snapshot(base_url=stub.base_url), confident(stub, "0.01")):
        sidecar.apply(content)
        async with (
            aiohttp.ClientSession() as session,
            session.post(f"{sidecar.http_url}/chat/completions", json=wanted) as response,
        ):
            bodies.append(json.loads(await response.read()))

    plain, judged = bodies
    assert (plain["choices"][0]["logprobs"] is not None) is asked
    assert judged["choices"] == plain["choices"]
    assert list(judged) == list(plain)


FIRST, BUFFER, ALL = (
    snapshot_pb2.WHEN_STREAMING_FIRST_TOKENS,
    snapshot_pb2.WHEN_STREAMING_BUFFER,
    snapshot_pb2.WHEN_STREAMING_BUFFER_ALL,
)


def holding(
    stub: StubProvider,
    how: snapshot_pb2.WhenStreaming.ValueType,
    *,
    tokens: int = 0,
    below: str = "",
    on: tuple[snapshot_pb2.AnswerFault.ValueType, ...] = FAULTS,
    **fields: Any,
) -> snapshot_pb2.Snapshot:
    """The policy, with an escalation that looks at streams."""
    rule = snapshot_pb2.Escalation(
        model="flagship", on=on, when_streaming=how, buffer_tokens=tokens, confidence_below=below
    )
    return snapshot(base_url=stub.base_url, escalation=rule, **{"fallbacks": (), **fields})


async def test_a_stream_that_is_held_back_whole_is_replaced_before_anything_of_it_is_sent(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    stub.set_faults(Fault(model=MINI, odd="filtered"))
    sidecar.apply(holding(stub, ALL))

    received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert text_of(received).startswith(f"[{FLAGSHIP}] ")
    started, finished = received[0].started, received[-1].finished
    assert (started.model, started.reason) == ("flagship", decision_pb2.REASON_REFUSAL)
    assert started.attempts[0].unused == "its provider took the answer out"
    assert outcomes(finished) == [("mini", "SUCCEEDED"), ("flagship", "SUCCEEDED")]
    first, second = finished.attempts
    assert finished.usage.output_tokens == first.usage.output_tokens + second.usage.output_tokens
    assert finished.escalation.done
    assert escalations(sidecar, "refusal", "answered") == 1


@pytest.mark.parametrize(
    ("how", "tokens"), [pytest.param(FIRST, 0, id="FirstTokens"), pytest.param(BUFFER, 4, id="Buffer")]
)
async def test_a_stream_in_which_nothing_is_found_so_far_is_released_and_goes_on(
    stub: StubProvider, sidecar: Sidecar, how: snapshot_pb2.WhenStreaming.ValueType, tokens: int
) -> None:
    # What is wrong with it comes at its end, when it has been sent.
    stub.set_faults(Fault(model=MINI, odd="filtered"))
    sidecar.apply(holding(stub, how, tokens=tokens))

    received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert text_of(received).startswith(f"[{MINI}] ")
    assert not received[-1].finished.HasField("escalation")
    assert [each.model for each in stub.requests] == [MINI]


async def test_a_short_answer_is_looked_at_whole_in_a_buffer(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(holding(stub, BUFFER, tokens=500))

    received, error = await streamed(sidecar.app.CompleteStream(ask(max_tokens=5)))

    assert error is None
    assert received[0].started.reason == decision_pb2.REASON_TRUNCATION


@pytest.mark.parametrize("how", [FIRST, BUFFER, ALL])
async def test_where_the_stronger_model_fails_the_stream_that_was_held_back_goes_on(
    stub: StubProvider, sidecar: Sidecar, how: snapshot_pb2.WhenStreaming.ValueType
) -> None:
    stub.set_faults(Fault(model=FLAGSHIP, status=503))
    sidecar.apply(holding(stub, how, tokens=500))

    received, error = await streamed(sidecar.app.CompleteStream(ask(max_tokens=5)))

    assert error is None
    assert text_of(received).startswith(f"[{MINI}] ")
    finished = received[-1].finished
    assert (finished.model, finished.reason) == ("mini", decision_pb2.REASON_DEFAULT)
    assert finished.usage == finished.attempts[0].usage
    assert finished.escalation.message.count("flagship did not answer") == 1
    assert not finished.escalation.done


async def test_a_stronger_stream_that_breaks_is_cut_and_nothing_of_the_first_is_sent_after_it(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    stub.set_faults(Fault(model=MINI, odd="filtered"), Fault(model=FLAGSHIP, cut=4))
    sidecar.apply(holding(stub, ALL))

    received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is not None
    assert error.reason == "STREAM_CUT"
    assert MINI not in text_of(received)


async def test_a_stream_that_breaks_while_it_is_held_back_is_answered_by_a_fallback(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    stub.set_faults(Fault(model=MINI, cut=4))
    sidecar.apply(holding(stub, ALL, fallbacks=("flagship",)))

    received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert text_of(received).startswith(f"[{FLAGSHIP}] ")
    assert received[-1].finished.reason == decision_pb2.REASON_FALLBACK


async def test_streams_are_not_held_back_where_the_policy_does_not_say_so(stub: StubProvider, sidecar: Sidecar) -> None:
    stub.set_faults(Fault(model=MINI, odd="filtered"))
    sidecar.apply(escalating(stub))

    received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert text_of(received).startswith(f"[{MINI}] ")


@pytest.mark.parametrize("asked", [False, True])
async def test_log_probabilities_are_taken_out_of_streams_too(
    stub: StubProvider, sidecar: Sidecar, *, asked: bool
) -> None:
    sidecar.apply(holding(stub, BUFFER, tokens=3, below="0.01"))
    request = ask(sampling=completions_pb2.SamplingParameters(logprobs=True) if asked else None)

    received, error = await streamed(sidecar.app.CompleteStream(request))

    assert error is None
    assert stub.requests[0].body["logprobs"] is True
    assert any(delta.logprobs for event in received for delta in event.chunk.choices) is asked


@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
async def test_streams_over_http_are_replaced_too(stub: StubProvider, sidecar: Sidecar, path: str) -> None:
    stub.set_faults(Fault(model=MINI, odd="filtered"))
    sidecar.apply(holding(stub, ALL, below="0.9"))
    asks = {"messages": [{"role": "user", "content": "Why?"}]} if path.startswith("/chat") else {"input": "Why?"}

    async with (
        aiohttp.ClientSession() as session,
        session.post(sidecar.http_url + path, json={"model": "auto", "stream": True, **asks}) as response,
    ):
        body = await response.read()

    assert response.headers["x-pointsman-model"] == "flagship"
    assert MINI.encode() not in body


async def test_a_held_stream_is_charged_to_the_budgets_in_full(stub: StubProvider) -> None:
    stub.set_faults(Fault(model=MINI, odd="filtered"))
    ledger = FakeLedger(budget(limit=100_000))

    async with running(ledger, stub, content=holding(stub, ALL)) as pod:
        received, error = await streamed(pod.app.CompleteStream(ask()))
        await pod.stop()

    assert error is None
    finished = received[-1].finished
    assert ledger.used == finished.usage.input_tokens + finished.usage.output_tokens
    assert ledger.held == 0


def complex_from(stub: StubProvider, threshold: str, **fields: Any) -> snapshot_pb2.Snapshot:
    """The policy, with the flagship for what is as complex as this."""
    limit = fields.pop("daily_limit", "")
    rule = snapshot_pb2.Escalation(model="flagship", complexity_threshold=threshold, daily_limit=limit)
    return snapshot(base_url=stub.base_url, escalation=rule, **{"fallbacks": (), **fields})


async def test_a_complex_request_goes_to_the_stronger_model_at_once(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(complex_from(stub, "0"))

    response = await sidecar.app.Complete(ask())

    decision = response.decision
    assert by(response) == FLAGSHIP
    assert (decision.model, decision.reason) == ("flagship", decision_pb2.REASON_COMPLEXITY)
    assert decision.complexity.threshold == 0
    assert decision.message == f"the request's complexity is {decision.complexity.score:.2f}, at or above 0"
    assert [each.model for each in stub.requests] == [FLAGSHIP]
    assert escalations(sidecar, "complexity", "answered") == 1
    assert sample(sidecar.metrics.registry, "pointsman_complexity_score_count", policy="shop/support") == 1


async def test_a_simple_request_does_not(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(complex_from(stub, "1"))

    response = await sidecar.app.Complete(ask())

    assert by(response) == MINI
    assert response.decision.reason == decision_pb2.REASON_DEFAULT
    assert 0 <= response.decision.complexity.score < 1


async def test_explain_says_what_is_done(stub: StubProvider, sidecar: Sidecar) -> None:
    for threshold in ("0", "0.5", "1"):
        sidecar.apply(complex_from(stub, threshold))
        for words in ("Hi", "Prove that there are infinitely many primes of the form 4k + 3."):
            explained = await sidecar.app.Explain(ask(words))
            done = (await sidecar.app.Complete(ask(words))).decision

            assert (explained.decision.model, explained.decision.reason) == (done.model, done.reason)
            assert explained.decision.message == done.message
            assert explained.decision.complexity == done.complexity


async def test_the_threshold_of_a_share_follows_what_is_answered_and_not_what_is_explained(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    rule = snapshot_pb2.Escalation(model="flagship", complexity_share=10)
    sidecar.apply(snapshot(base_url=stub.base_url, escalation=rule, fallbacks=()))

    for _ in range(3):
        explained = (await sidecar.app.Explain(ask())).decision.complexity
        assert explained.threshold == pytest.approx(0.9)
    first = (await sidecar.app.Complete(ask())).decision.complexity
    second = (await sidecar.app.Complete(ask())).decision.complexity

    assert first == explained
    assert second.score == first.score
    assert second.threshold != first.threshold


async def test_a_route_that_matches_decides_whatever_the_complexity(stub: StubProvider, sidecar: Sidecar) -> None:
    content = complex_from(stub, "0")
    content.routes[0].arms[0].model = "mini"
    sidecar.apply(content)

    response = await sidecar.app.Complete(ask(hints=SEVERE))
    explained = await sidecar.app.Explain(ask(hints=SEVERE))

    assert by(response) == MINI
    assert response.decision.reason == explained.decision.reason == decision_pb2.REASON_ROUTE
    # It need not be scored, so it is not; who asks is told all the same.
    assert not response.decision.HasField("complexity")
    assert 0 < explained.decision.complexity.score < 1
    assert sample(sidecar.metrics.registry, "pointsman_complexity_score_count", policy="shop/support") in {None, 0}


async def test_where_the_stronger_model_does_not_answer_a_complex_request_the_default_does(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    stub.set_faults(Fault(model=FLAGSHIP, status=503))
    sidecar.apply(complex_from(stub, "0"))

    response = await sidecar.app.Complete(ask())

    assert by(response) == MINI
    assert outcomes(response.decision) == [("flagship", "PROVIDER_FAILED"), ("mini", "SUCCEEDED")]
    assert escalations(sidecar, "complexity", "failed") == 1


@pytest.mark.parametrize("path", ["/chat/completions", "/responses"])
async def test_a_request_has_the_same_complexity_at_each_door(stub: StubProvider, sidecar: Sidecar, path: str) -> None:
    sidecar.apply(complex_from(stub, "0.5"))
    words = "Why does ice float? Explain it to a child, then to a physicist."
    told = (await sidecar.app.Complete(ask(words))).decision.complexity.score
    asks = {"messages": [{"role": "user", "content": words}]} if path.startswith("/chat") else {"input": words}

    async with (
        aiohttp.ClientSession() as session,
        session.post(
            sidecar.http_url + path, json={"model": "auto", **asks}, headers={"x-pointsman-decision": "body"}
        ) as response,
    ):
        body = json.loads(await response.read())

    assert body["pointsman"]["complexity"] == {"score": round(told, 4), "threshold": 0.5}


async def test_the_daily_limit_counts_complex_requests_and_then_the_default_model_answers(stub: StubProvider) -> None:
    ledger = FakeLedger(limit(2))

    async with running(ledger, stub, content=complex_from(stub, "0", daily_limit=LIMIT)) as pod:
        # Until it is known what budgets there are, nothing goes up.
        answers = [await pod.app.Complete(ask())]
        while by(answers[-1]) == MINI:
            answers.append(await pod.app.Complete(ask()))
        up = [answers[-1], await pod.app.Complete(ask())]
        down = [await pod.app.Complete(ask()) for _ in range(2)]
        explained = await pod.app.Explain(ask())
        await pod.stop()

    assert [by(each) for each in up] == [FLAGSHIP, FLAGSHIP]
    assert [by(each) for each in down] == [MINI, MINI]
    assert "but the daily limit of escalations is reached" in down[-1].decision.message
    assert explained.decision.message == down[-1].decision.message
    assert ledger.used == 2


async def test_where_a_budget_has_too_little_left_for_the_stronger_model_the_default_answers_a_complex_request(
    stub: StubProvider,
) -> None:
    async with running(FakeLedger(budget(limit=10, models=(FLAGSHIP,))), stub, content=complex_from(stub, "0")) as pod:
        answer = await pod.app.Complete(ask())

    assert by(answer) == MINI
    assert [(each.model, each.message) for each in answer.decision.passed_over] == [
        ("flagship", "TokenQuota shop/month has too little left for it")
    ]


def halving(model: str = "mini") -> Calibration:
    """Labels of a model say: right half as often as the judge says."""
    return Calibration(models={model: Curve(points=((0.0, 0.0), (1.0, 0.5)), labels=100)})


@pytest.mark.parametrize("source", ["the fleet's labels", "a file"])
async def test_the_bar_is_held_against_what_a_confidence_means(
    stub: StubProvider, sidecar: Sidecar, source: str
) -> None:
    sidecar.apply(confident(stub, "0.01"))
    judged = (await sidecar.app.Complete(ask())).decision.attempts[0].confidence
    sidecar.apply(confident(stub, f"{judged * 0.75:.4f}"))
    kept = await sidecar.app.Complete(ask())
    if source == "a file":
        sidecar.in_force.calibration = halving()
    else:
        policy = sidecar.in_force.policy
        assert policy is not None
        sidecar.in_force.fleet = Tuning(policy_uid=policy.uid, calibration=halving())

    response = await sidecar.app.Complete(ask())

    assert [each.model for each in kept.decision.attempts] == ["mini"]
    assert not kept.decision.attempts[0].HasField("judged")
    first, _ = response.decision.attempts
    assert response.decision.reason == decision_pb2.REASON_CONFIDENCE
    assert first.confidence == pytest.approx(judged / 2)
    assert first.judged == pytest.approx(judged)


async def test_a_stream_is_held_against_what_its_confidence_means(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.in_force.calibration = halving()
    sidecar.apply(holding(stub, ALL, on=(), below="0.5001"))

    received, error = await streamed(sidecar.app.CompleteStream(ask()))

    assert error is None
    assert received[-1].finished.attempts[0].judged > received[-1].finished.attempts[0].confidence
    assert text_of(received).startswith(f"[{FLAGSHIP}] ")


async def test_a_calibration_of_another_policy_means_nothing_here(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.in_force.fleet = Tuning(policy_uid="another", calibration=halving())
    sidecar.apply(confident(stub, "0.01"))

    response = await sidecar.app.Complete(ask())

    assert not response.decision.attempts[0].HasField("judged")
