"""Budgets, as a sidecar's process keeps to them, with the ledger's own core on the other side."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import aiohttp
import grpc
import openai
import pytest
from google.rpc import error_details_pb2, status_pb2

from pointsman_api.v1 import (
    completions_pb2,
    completions_pb2_grpc,
    control_pb2,
    decision_pb2,
    quota_pb2,
    snapshot_pb2,
    types_pb2,
)
from pointsman_stub import Fault, StubProvider
from support.answers import Refusal, outcomes, refusal, streamed
from support.completions import ask
from support.ledgers import FakeLedger, budget
from support.operators import FakeOperator, running_operator
from support.sidecar_processes import SidecarProcess, running_process
from support.snapshots import snapshot, update
from support.waiting import until

KEY = "sk-of-these-tests"
CAP = 40
MINI = "gpt-4o-mini"
LIMITED = "the rate limit of ModelProvider openai"
# Goes to the flagship by the policy's route.
SEVERE = completions_pb2.RoutingHints(severity=types_pb2.SEVERITY_CRITICAL)


@dataclass(kw_only=True)
class Pod:
    """A sidecar's process, and an app that counts what it was charged for."""

    process: SidecarProcess
    app: "completions_pb2_grpc.CompletionsAsyncStub"
    tokens: int = 0
    bounds: int = 0

    async def ask(self, **fields: Any) -> completions_pb2.CompleteResponse:
        """A completion."""
        answer = await self.app.Complete(small(**fields))
        for attempt in answer.decision.attempts:
            if attempt.charge == decision_pb2.CHARGE_COUNTED:
                # The one that answered, and another that had just answered too.
                self.tokens += attempt.usage.input_tokens + attempt.usage.output_tokens
            if attempt.charge == decision_pb2.CHARGE_UNKNOWN:
                self.bounds += attempt.most.input_tokens + attempt.most.output_tokens
        return answer

    async def spend_all(self) -> Refusal:
        """Completions until one is refused."""
        while True:
            try:
                await self.ask()
            except grpc.aio.AioRpcError:
                return await refusal(self.app.Complete(small()))

    async def stop(self) -> None:
        """End as a pod does."""
        self.process.terminate()
        assert await self.process.exit_code() == 0


def small(**fields: Any) -> completions_pb2.CompleteRequest:
    """A request whose bound is known."""
    return ask(max_tokens=CAP, **fields)


@asynccontextmanager
async def following(
    operator: FakeOperator, stub: StubProvider, *arguments: str, content: snapshot_pb2.Snapshot | None = None
) -> AsyncIterator[Pod]:
    """A pod under an operator, with its policy in force."""
    async with (
        running_process(operator=operator.address, arguments=("--grace", "5", *arguments)) as process,
        grpc.aio.insecure_channel(process.address) as channel,
    ):
        await set_up(operator, content or snapshot(base_url=stub.base_url))
        yield Pod(process=process, app=completions_pb2_grpc.CompletionsStub(channel))


async def set_up(operator: FakeOperator, content: snapshot_pb2.Snapshot) -> None:
    """Give the next sidecar that connects a policy and access."""
    connection = await operator.connection()
    connection.send(
        access=control_pb2.AccessUpdate(providers=[control_pb2.ProviderAccess(provider="openai", api_key=KEY)])
    )
    connection.send(snapshot=update(content))
    await connection.answer()


@asynccontextmanager
async def running(
    ledger: FakeLedger | None,
    stub: StubProvider,
    *,
    state: Path | None = None,
    content: snapshot_pb2.Snapshot | None = None,
) -> AsyncIterator[Pod]:
    """A pod under this ledger; without one, under an operator that knows no budgets."""
    async with (
        running_operator(quotas=ledger) as operator,
        following(operator, stub, *(("--state-dir", str(state)) if state else ()), content=content) as pod,
    ):
        yield pod


async def test_a_budget_binds_and_each_token_is_accounted_for(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=1_000))

    async with running(ledger, stub) as pod:
        first = await pod.ask()
        told = await pod.spend_all()
        await pod.stop()

    assert first.decision.quota.quota == "TokenQuota shop/month"
    assert (first.decision.quota.limit, first.decision.quota.unit) == (1_000, "Tokens")
    assert first.decision.quota.used == first.decision.usage.input_tokens + first.decision.usage.output_tokens
    assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED")
    assert "TokenQuota shop/month" in told.message
    assert "of 1,000 are used" in told.message
    assert "it resets at " in told.message
    assert told.retry_after is not None
    assert told.retry_after > 5
    assert ledger.used == pod.tokens <= 1_000
    # Less was left than a call may take.
    assert pod.tokens > 1_000 - 2 * (CAP + 20)
    assert ledger.held == 0


async def test_a_refusal_says_which_quota_and_when_it_resets_to_programs_too(stub: StubProvider) -> None:
    counted = budget(limit=0)

    async with running(FakeLedger(counted), stub) as pod:
        with pytest.raises(grpc.aio.AioRpcError) as caught:
            await pod.app.Complete(small())

    details = dict(caught.value.trailing_metadata() or ())["grpc-status-details-bin"]
    said = status_pb2.Status.FromString(details)
    info, failure = error_details_pb2.ErrorInfo(), error_details_pb2.QuotaFailure()
    for detail in said.details:
        detail.Unpack(info)
        detail.Unpack(failure)
    assert info.reason == "QUOTA_EXHAUSTED"
    assert info.metadata["quota"] == "TokenQuota shop/month"
    assert info.metadata["resets_at"].endswith("Z")
    assert [each.subject for each in failure.violations] == ["TokenQuota shop/month"]
    assert stub.requests == ()


async def test_openais_client_sees_a_rate_limit_once(stub: StubProvider) -> None:
    async with (
        running(FakeLedger(budget(limit=0)), stub) as pod,
        openai.AsyncOpenAI(base_url=pod.process.http_url, api_key="k") as client,
    ):
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello"}])
        metrics = await page(f"{pod.process.status_url}/metrics")

    assert caught.value.code == "insufficient_quota"
    assert "TokenQuota shop/month" in caught.value.message
    assert int(caught.value.response.headers["retry-after"]) > 5
    assert caught.value.response.headers["x-should-retry"] == "false"
    assert 'pointsman_quota_refusals_total{cause="exhausted",quota="TokenQuota shop/month"} 1.0' in metrics


async def page(url: str) -> str:
    """A page's text."""
    async with aiohttp.ClientSession() as session, session.get(url) as response:
        return await response.text()


async def test_answers_over_http_name_the_tightest_budget(stub: StubProvider) -> None:
    ledger = FakeLedger(budget("wide", limit=1_000_000), budget("tight", limit=10_000))

    async with (
        running(ledger, stub) as pod,
        openai.AsyncOpenAI(base_url=pod.process.http_url, api_key="k") as client,
    ):
        raw = await client.chat.completions.with_raw_response.create(
            model="auto", messages=[{"role": "user", "content": "Hello"}], max_tokens=CAP
        )
        metrics = await page(f"{pod.process.status_url}/metrics")

    assert raw.headers["x-pointsman-quota"] == "TokenQuota shop/tight"
    assert raw.headers["x-pointsman-quota-limit"] == "10000"
    usage = raw.parse().usage
    assert usage is not None
    assert raw.headers["x-pointsman-quota-used"] == str(usage.total_tokens)
    assert 'pointsman_quota_reserved{quota="TokenQuota shop/tight"} 0.0' in metrics
    assert 'pointsman_quota_held{quota="TokenQuota shop/tight"}' in metrics
    assert "pointsman_quota_connected 1.0" in metrics


def rate_limit(
    limit: int,
    *,
    models: tuple[str, ...] = (MINI,),
    unit: quota_pb2.BudgetUnit.ValueType = quota_pb2.BUDGET_UNIT_REQUESTS,
) -> quota_pb2.Budget:
    """A provider's rate limit in a window of the hours around now."""
    limited = budget(
        "calls",
        limit=limit,
        unit=unit,
        models=models,
        when_exhausted=quota_pb2.WHEN_EXHAUSTED_NEXT_MODEL,
    )
    limited.shown = LIMITED
    return limited


async def test_at_a_providers_rate_limit_the_next_model_answers(stub: StubProvider) -> None:
    async with running(FakeLedger(rate_limit(2)), stub) as pod:
        answers = [await pod.ask() for _ in range(3)]
        usage = await pod.app.GetUsage(completions_pb2.GetUsageRequest())

    assert [answer.decision.model for answer in answers] == ["mini", "mini", "flagship"]
    last = answers[-1].decision
    assert last.reason == decision_pb2.REASON_FALLBACK
    (passed,) = last.passed_over
    assert (passed.model, passed.message) == (
        "mini",
        f"{LIMITED} leaves no room for another call in this minute: all sidecars together may send 2 calls in a minute",
    )
    # No call was made that could have failed, and no budget of the app's is at its end.
    assert outcomes(last) == [("flagship", "SUCCEEDED")]
    assert not last.HasField("quota")
    assert list(usage.quotas) == []


async def test_where_no_other_model_is_left_a_rate_limit_is_told_as_the_providers_own(stub: StubProvider) -> None:
    limited = rate_limit(CAP, models=(MINI, "gpt-4o"), unit=quota_pb2.BUDGET_UNIT_TOKENS)

    async with (
        running(FakeLedger(limited), stub) as pod,
        openai.AsyncOpenAI(base_url=pod.process.http_url, api_key="k", max_retries=0) as client,
    ):
        told = await refusal(pod.app.Complete(small()))
        with pytest.raises(openai.RateLimitError) as caught:
            await client.chat.completions.create(model="auto", messages=[{"role": "user", "content": "Hello"}])

    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "RATE_LIMITED")
    assert f"all sidecars together may send {CAP} tokens in a minute" in told.message
    assert "is too low for a call that may take" in told.message
    assert caught.value.code == "rate_limit_exceeded"
    assert stub.requests == ()


async def test_while_the_ledger_is_away_the_providers_own_limit_is_what_holds(stub: StubProvider) -> None:
    ledger = FakeLedger(rate_limit(1_000_000))
    ledger.away = True

    async with running(ledger, stub) as pod:
        answer = await pod.ask()

    assert answer.decision.model == "mini"


async def test_how_budgets_stand_can_be_asked_through_both_doors(stub: StubProvider) -> None:
    steps = (
        quota_pb2.BudgetStep(at_percent=1, max_output_tokens=CAP),
        quota_pb2.BudgetStep(at_percent=90, no_hedging=True),
    )
    ledger = FakeLedger(budget("month", limit=1_000, steps=steps), budget("each", limit=500, of_each_user=True))

    async with running(ledger, stub) as pod, aiohttp.ClientSession() as session:
        before = await pod.app.GetUsage(completions_pb2.GetUsageRequest(user="ada"))
        await pod.ask(hints=completions_pb2.RoutingHints(user="ada"))
        after = await pod.app.GetUsage(completions_pb2.GetUsageRequest(user="ada"))
        other = await pod.app.GetUsage(completions_pb2.GetUsageRequest(user="bob"))
        url = f"{pod.process.http_url}/pointsman/usage"
        async with session.get(url, headers={"x-pointsman-user": "ada"}) as response:
            document = await response.json()
        async with session.get(url, headers={"x-pointsman-user": "a" * 600}) as response:
            too_long = (response.status, await response.json())
        told = await refusal(pod.app.GetUsage(completions_pb2.GetUsageRequest(user="a" * 600)))

    assert [(each.level.quota, each.level.used, each.left, each.told) for each in before.quotas] == [
        ("TokenQuota shop/each", 0, 500, False),
        ("TokenQuota shop/month", 0, 1_000, False),
    ]
    each, month = after.quotas
    assert (each.level.used, each.left, each.told) == (pod.tokens, 500 - pod.tokens, True)
    assert (month.level.used, month.left, month.told) == (pod.tokens, 1_000 - pod.tokens, True)
    assert month.reached_percent == 1
    assert not each.HasField("reached_percent")
    assert month.level.resets_at.seconds > 0
    # Held for calls to come, by this sidecar.
    assert month.held > 0
    assert [(quota.level.used, quota.left) for quota in other.quotas] == [(0, 500), (pod.tokens, 1_000 - pod.tokens)]
    assert [(said["quota"], said["used"], said["left"]) for said in document["data"]] == [
        ("TokenQuota shop/each", pod.tokens, 500 - pod.tokens),
        ("TokenQuota shop/month", pod.tokens, 1_000 - pod.tokens),
    ]
    assert too_long[0] == 400
    assert too_long[1]["error"]["message"] == "user is longer than 512 characters"
    assert (told.code, told.message) == (grpc.StatusCode.INVALID_ARGUMENT, "user is longer than 512 characters")


async def test_as_a_budget_runs_out_answers_get_shorter_and_then_only_the_default_model_answers(
    stub: StubProvider,
) -> None:
    steps = (
        quota_pb2.BudgetStep(at_percent=0, max_output_tokens=7),
        quota_pb2.BudgetStep(at_percent=0, default_model_only=True, no_hedging=True),
    )

    async with running(FakeLedger(budget(limit=10_000, steps=steps[:1])), stub) as pod:
        shorter = await pod.ask(hints=SEVERE)
    async with running(FakeLedger(budget(limit=10_000, steps=steps)), stub) as pod:
        default = await pod.ask(hints=SEVERE)

    (change,) = shorter.decision.changes
    assert (change.field, change.requested, change.sent) == ("max_tokens", str(CAP), "7")
    assert change.message == "TokenQuota shop/month is so far spent that an answer has at most 7 tokens"
    assert shorter.decision.model == "flagship"
    assert (default.decision.model, default.decision.reason) == ("mini", decision_pb2.REASON_QUOTA)
    assert default.decision.message == ("TokenQuota shop/month is so far spent that only the default model is used")
    assert [each.body["max_completion_tokens"] for each in stub.requests] == [7, 7]


async def test_at_its_end_a_budget_may_leave_the_default_model_which_it_does_not_count(stub: StubProvider) -> None:
    counted = budget(limit=0, models=("gpt-4o",), when_exhausted=quota_pb2.WHEN_EXHAUSTED_DEFAULT_MODEL)

    async with running(FakeLedger(counted), stub) as pod:
        answer = await pod.ask(hints=SEVERE)

    assert (answer.decision.model, answer.decision.reason) == ("mini", decision_pb2.REASON_QUOTA)
    assert answer.decision.message == "nothing is left of TokenQuota shop/month, so the default model answers"
    assert not answer.decision.HasField("quota")


async def test_after_a_crash_the_same_pod_goes_on_with_what_it_held(stub: StubProvider, tmp_path: Path) -> None:
    ledger = FakeLedger(budget(limit=100_000))

    async with running(ledger, stub, state=tmp_path) as pod:
        await pod.ask()
        await pod.ask()
        pod.process.process.kill()
        spent = pod.tokens
    async with running(ledger, stub, state=tmp_path) as pod:
        await pod.ask()
        await pod.stop()
        spent += pod.tokens

    assert len({hello.incarnation for hello in ledger.hellos}) == 1
    assert ledger.held == 0
    # What was not sure to be unused counts as used: a call's bound or two, and no more.
    assert spent <= ledger.used <= spent + 4 * (CAP + 20)


async def test_without_a_journal_a_crashed_pod_is_another_holder(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=100_000))

    for _ in range(2):
        async with running(ledger, stub) as pod:
            await pod.ask()
            pod.process.process.kill()

    assert len({hello.incarnation for hello in ledger.hellos}) == 2


async def test_while_the_ledger_is_away_what_is_held_is_spent_and_then_it_says_so(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=1_000_000))

    async with running(ledger, stub) as pod:
        for _ in range(20):
            await pod.ask()
        ledger.away = True
        told = await pod.spend_all()
        ledger.away = False
        # No restart: as soon as the ledger answers, so does the sidecar.
        await until_served(pod)
        await pod.stop()

    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "QUOTA_UNAVAILABLE")
    assert "TokenQuota shop/month" in told.message
    assert "the ledger" in told.message
    assert ledger.used == pod.tokens
    assert ledger.held == 0


async def test_when_the_operator_has_restarted_the_sidecar_says_what_it_holds_and_nothing_is_granted_twice(
    stub: StubProvider,
) -> None:
    ledger = FakeLedger(budget(limit=1_000_000))

    async with running_operator(quotas=ledger) as operator, following(operator, stub) as pod:
        await pod.ask()
        await operator.stop()
        ledger.forget_sidecars()
        # What is held does for another call, which asks nobody.
        port = int(operator.address.rpartition(":")[2])
        async with running_operator(port=port, quotas=ledger) as restarted:
            await set_up(restarted, snapshot(base_url=stub.base_url))
            await until(lambda: len(ledger.hellos) == 2)
            await until_served(pod)
            await pod.stop()

    assert ledger.hellos[0].incarnation == ledger.hellos[1].incarnation
    assert ledger.used == pod.tokens
    assert ledger.held == 0


async def test_until_it_is_told_which_budgets_there_are_it_calls_nobody(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=1_000_000))
    ledger.silent = True

    async with running(ledger, stub) as pod:
        told = await refusal(pod.app.Complete(small()))
        calls = len(stub.requests)
        ledger.silent = False
        ledger.change(*ledger.budgets)
        await until_served(pod)

    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "QUOTA_UNAVAILABLE")
    assert told.message == "the operator has not said yet which budgets bind this sidecar"
    assert calls == 0


async def test_two_sidecars_spend_one_budget(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=4_000))

    async with (
        running_operator(quotas=ledger) as operator,
        following(operator, stub, "--pod", "web-1") as one,
        following(operator, stub, "--pod", "web-2") as two,
    ):
        await asyncio.gather(one.spend_all(), two.spend_all())
        await asyncio.gather(one.stop(), two.stop())

    assert ledger.used == one.tokens + two.tokens <= 4_000
    assert min(one.tokens, two.tokens) > 0
    assert ledger.held == 0


async def until_served(pod: Pod) -> None:
    """Ask until there is an answer."""
    while True:
        try:
            await pod.ask()
        except grpc.aio.AioRpcError:
            continue
        return


async def test_each_user_has_a_budget_of_their_own_and_the_ledger_knows_no_name(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=2, unit=quota_pb2.BUDGET_UNIT_REQUESTS, of_each_user=True))

    async with running(ledger, stub) as pod:
        await pod.ask(hints=completions_pb2.RoutingHints(user="ada"))
        await pod.ask(hints=completions_pb2.RoutingHints(user="ada"))
        told = await refusal(pod.app.Complete(small(hints=completions_pb2.RoutingHints(user="ada"))))
        await pod.ask(hints=completions_pb2.RoutingHints(user="grace"))
        await pod.stop()

    assert told.reason == "QUOTA_EXHAUSTED"
    assert ledger.used == 3
    assert len(ledger.subjects) == 2
    assert all(len(subject) == 30 for subject in ledger.subjects)


async def test_a_stream_that_is_cut_takes_all_that_was_reserved(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=100_000, unit=quota_pb2.BUDGET_UNIT_OUTPUT_TOKENS))

    async with running(ledger, stub, content=snapshot(base_url=stub.base_url, fallbacks=())) as pod:
        stub.set_faults(Fault(model=MINI, cut=3, times=1))
        _, error = await streamed(pod.app.CompleteStream(small()))
        await pod.stop()

    assert error is not None
    assert ledger.used == CAP
    assert ledger.held == 0


async def test_a_whole_stream_takes_what_was_counted(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=100_000))

    async with running(ledger, stub) as pod:
        received, error = await streamed(pod.app.CompleteStream(small()))
        await pod.stop()

    assert error is None
    finished = received[-1].finished
    assert ledger.used == finished.usage.input_tokens + finished.usage.output_tokens == finished.quota.used


async def test_a_call_that_fails_is_a_request_and_no_tokens_and_each_fallback_is_another(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=100_000), budget("calls", limit=100, unit=quota_pb2.BUDGET_UNIT_REQUESTS))

    async with running(ledger, stub) as pod:
        stub.set_faults(Fault(model=MINI, status=500))
        await pod.ask()
        await pod.stop()

    used = {key.budget: account.used for key, account in ledger.books.accounts.items()}
    assert used == {"TokenQuota/shop/month": pod.tokens, "TokenQuota/shop/calls": 2}
    assert len(stub.requests) == 2


async def test_several_answers_are_reserved_for(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=3 * CAP - 1, unit=quota_pb2.BUDGET_UNIT_OUTPUT_TOKENS))

    async with running(ledger, stub) as pod:
        await pod.ask(sampling=completions_pb2.SamplingParameters(n=2))
        told = await refusal(pod.app.Complete(small(sampling=completions_pb2.SamplingParameters(n=3))))

    assert told.reason == "QUOTA_EXHAUSTED"
    assert f"may take {3 * CAP} output tokens" in told.message


async def test_a_call_that_a_hedge_overtakes_takes_all_that_was_reserved_for_it(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=10_000_000))
    hedged = snapshot(
        base_url=stub.base_url, hedging=snapshot_pb2.Hedging(after_percentile=90, max_percent=50), fallbacks=()
    )

    async with running(ledger, stub, content=hedged) as pod:
        for _ in range(50):
            await pod.ask()
        stub.set_faults(Fault(model=MINI, hang="start", times=1))
        decision = (await pod.ask()).decision
        await pod.stop()

    assert outcomes(decision) == [("mini", "OVERTAKEN"), ("mini", "SUCCEEDED")]
    lost = decision.attempts[0].most
    # Others may have been hedged while warming up, which have their bounds too.
    assert pod.bounds >= lost.input_tokens + lost.output_tokens > 0
    assert ledger.used == pod.tokens + pod.bounds
    assert ledger.held == 0


async def test_a_budgets_step_may_stop_hedging(stub: StubProvider) -> None:
    step = quota_pb2.BudgetStep(at_percent=0, no_hedging=True)
    hedged = snapshot(base_url=stub.base_url, hedging=snapshot_pb2.Hedging(after_percentile=90, max_percent=50))

    async with running(FakeLedger(budget(limit=10_000_000, steps=(step,))), stub, content=hedged) as pod:
        for _ in range(50):
            await pod.ask()
        stub.set_faults(Fault(model=MINI, latency=0.5, times=1))
        decision = (await pod.ask()).decision

    assert outcomes(decision) == [("mini", "SUCCEEDED")]
    assert len(stub.requests) == 51


async def test_raising_the_limit_frees_at_once(stub: StubProvider) -> None:
    ledger = FakeLedger(budget(limit=0))

    async with running(ledger, stub) as pod:
        told = await refusal(pod.app.Complete(small()))
        ledger.change(budget(limit=100_000))
        await until_served(pod)
        await pod.stop()

    assert told.reason == "QUOTA_EXHAUSTED"
    assert ledger.used == pod.tokens


async def test_under_an_operator_that_knows_no_budgets_there_are_none(stub: StubProvider) -> None:
    async with running(None, stub) as pod:
        answer = await pod.ask()

        await until(lambda: any("knows none" in line["event"] for line in pod.process.logged))

    assert not answer.decision.HasField("quota")


def guarded(stub: StubProvider) -> snapshot_pb2.Snapshot:
    """The policy, with its route protected."""
    content = snapshot(base_url=stub.base_url)
    content.routes[0].protected = True
    return content


async def test_steps_leave_a_protected_route_alone(stub: StubProvider) -> None:
    steps = (quota_pb2.BudgetStep(at_percent=1, max_output_tokens=3, default_model_only=True),)
    ledger = FakeLedger(budget(limit=100_000, steps=steps))

    async with running(ledger, stub, content=guarded(stub)) as pod:
        # A hundredth is used, and the step holds.
        while pod.tokens < 1_000:
            await pod.ask()
        plain = await pod.ask()
        severe = await pod.ask(hints=SEVERE)

    assert plain.decision.changes[0].sent == "3"
    assert severe.decision.model == "flagship"
    assert severe.decision.reason == decision_pb2.REASON_ROUTE
    assert not severe.decision.changes


async def test_a_protected_route_is_refused_where_its_budget_is_spent_and_never_sent_to_the_default_model(
    stub: StubProvider,
) -> None:
    flagship_only = budget(limit=10, models=("gpt-4o",), when_exhausted=quota_pb2.WHEN_EXHAUSTED_DEFAULT_MODEL)

    async with running(FakeLedger(flagship_only), stub, content=guarded(stub)) as pod:
        told = await refusal(pod.app.Complete(small(hints=SEVERE)))

    assert (told.code, told.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "QUOTA_EXHAUSTED")
    assert "route risky is protected, so no other model answers" in told.message
