"""Requests that get no model, and what their callers are told; and `Explain`, which calls none."""

from collections.abc import AsyncIterator

import grpc
import pytest

from pointsman_api.v1 import completions_pb2, decision_pb2, types_pb2
from pointsman_stub import StubProvider
from support.answers import refusal, streamed
from support.completions import ask
from support.sidecars import Sidecar, running_sidecar, sample
from support.snapshots import flagship, mini, snapshot

Part = completions_pb2.ContentPart
AUDIO = Part(audio=completions_pb2.AudioPart(data=bytes(100), format="wav"))
HIGH = completions_pb2.RoutingHints(severity=types_pb2.SEVERITY_HIGH)


@pytest.fixture
async def blank() -> AsyncIterator[Sidecar]:
    """A sidecar that has heard nothing yet."""
    async with running_sidecar() as running:
        yield running


async def test_a_malformed_request_is_told_all_that_is_wrong(stub: StubProvider, sidecar: Sidecar) -> None:
    told = await refusal(sidecar.app.Complete(completions_pb2.CompleteRequest(max_tokens=0)))

    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")
    assert told.message == (
        "messages is empty: give one message at least; max_tokens is 0: give 1 or more, or leave it out"
    )
    assert told.violations == (
        ("messages", "is empty: give one message at least"),
        ("max_tokens", "is 0: give 1 or more, or leave it out"),
    )
    assert stub.requests == ()


async def test_a_stream_is_refused_as_a_whole_answer_is(sidecar: Sidecar) -> None:
    events, told = await streamed(sidecar.app.CompleteStream(completions_pb2.CompleteRequest()))

    assert events == []
    assert told == await refusal(sidecar.app.Complete(completions_pb2.CompleteRequest()))


async def test_a_request_larger_than_the_policy_allows_is_refused_with_both_sizes(
    stub: StubProvider, sidecar: Sidecar
) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, max_request_bytes=1000))
    request = ask("x" * 1000)

    told = await refusal(sidecar.app.Complete(request))

    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "REQUEST_TOO_LARGE")
    assert told.message == f"the request has {request.ByteSize():,} bytes and policy shop/support allows 1,000"
    assert stub.requests == ()


# aiohttp would rather be given a file; a picture that came in a message is in memory anyway.
@pytest.mark.filterwarnings("ignore:Sending a large body:ResourceWarning")
async def test_a_request_larger_than_grpc_takes_by_default_is_served(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, max_request_bytes=64 * 1024 * 1024))
    image = completions_pb2.ImagePart(data=bytes(6 * 1024 * 1024), media_type="image/png")

    response = await sidecar.app.Complete(ask("Look", Part(image=image)))

    assert f"image/png of {6 * 1024 * 1024} bytes" in response.choices[0].message.content[0].text


async def test_a_request_beyond_any_policy_is_refused_by_grpc_and_the_sidecar_lives_on(sidecar: Sidecar) -> None:
    image = completions_pb2.ImagePart(data=bytes(73 * 1024 * 1024), media_type="image/png")

    told = await refusal(sidecar.app.Complete(ask("Look", Part(image=image))))

    assert told.code is grpc.StatusCode.RESOURCE_EXHAUSTED
    assert "larger than max" in told.message
    assert (await sidecar.app.Complete(ask())).choices


async def test_sound_where_no_model_hears_has_no_route(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, models=[mini()], fallbacks=(), routes=()))

    told = await refusal(sidecar.app.Complete(ask("Listen", AUDIO)))

    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_CAPABLE_MODEL")
    assert told.message == ("no model of policy shop/support can serve the request: mini: it does not take in audio")
    assert stub.requests == ()


async def test_before_the_operator_has_spoken_callers_may_try_again(blank: Sidecar) -> None:
    told = await refusal(blank.app.Complete(ask()))

    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "NOT_READY")
    assert told.message == "the operator has not sent a policy yet"


async def test_where_no_policy_is_in_force_the_operators_reason_is_told(blank: Sidecar) -> None:
    blank.in_force.withdraw("no policy in namespace shop selects this pod")

    told = await refusal(blank.app.Complete(ask()))

    assert (told.code, told.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "NO_POLICY")
    assert told.message == "no policy in namespace shop selects this pod"


async def test_without_access_to_any_provider_no_call_is_made(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.in_force.access = {}

    told = await refusal(sidecar.app.Complete(ask()))

    assert (told.code, told.reason) == (grpc.StatusCode.UNAVAILABLE, "NO_MODEL_ANSWERED")
    assert told.message == (
        "no model answered: mini: the operator gives no access to provider openai; "
        "flagship: the operator gives no access to provider openai"
    )
    assert told.outcomes == [("mini", "NO_ACCESS"), ("flagship", "NO_ACCESS")]
    assert stub.requests == ()


async def test_refusals_are_counted_by_code(sidecar: Sidecar) -> None:
    await refusal(sidecar.app.Complete(completions_pb2.CompleteRequest()))

    counted = sample(
        sidecar.metrics.registry,
        "pointsman_completions_total",
        policy="",
        route="",
        model="",
        reason="",
        code="INVALID_ARGUMENT",
    )
    assert counted == 1


async def test_a_model_may_be_pinned_where_the_policy_allows_it(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, allow_pinning=True))

    decision = (await sidecar.app.Complete(ask(model="flagship"))).decision

    assert (decision.model, decision.reason) == ("flagship", decision_pb2.REASON_PINNED)


async def test_auto_pins_nothing(sidecar: Sidecar) -> None:
    assert (await sidecar.app.Complete(ask(model="auto"))).decision.model == "mini"


async def test_pinning_is_refused_elsewhere(stub: StubProvider, sidecar: Sidecar) -> None:
    told = await refusal(sidecar.app.Complete(ask(model="flagship")))

    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "PINNING_NOT_ALLOWED")
    assert told.message == (
        "policy shop/support chooses the model itself (allowPinning is false): leave model empty or send auto"
    )
    assert stub.requests == ()


async def test_an_unknown_model_is_refused_with_those_that_there_are(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, allow_pinning=True))

    told = await refusal(sidecar.app.Complete(ask(model="gpt-5")))

    assert (told.code, told.reason) == (grpc.StatusCode.INVALID_ARGUMENT, "UNKNOWN_MODEL")
    assert told.message == (
        "model gpt-5 is not in policy shop/support, which has mini, flagship; "
        "leave model empty or send auto to let the policy choose"
    )


async def test_explain_says_what_would_be_done_and_calls_no_model(stub: StubProvider, sidecar: Sidecar) -> None:
    told = await sidecar.app.Explain(ask("Listen", AUDIO, hints=HIGH))

    assert stub.requests == ()
    assert [(each.route, each.matched, each.message) for each in told.routes] == [("risky", True, "severity High")]
    assert [(each.model, each.reason) for each in told.plan] == [("flagship", decision_pb2.REASON_ROUTE)]
    assert told.estimated_input_tokens > 0
    assert (told.decision.model, told.decision.route) == ("flagship", "risky")
    assert not told.decision.attempts
    assert not told.decision.HasField("usage")


async def test_explain_says_which_models_cannot_serve(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, models=[mini(), flagship()]))

    told = await sidecar.app.Explain(ask("Listen", AUDIO))

    assert [(each.route, each.matched, each.message) for each in told.routes] == [
        ("risky", False, "not severity High or Critical")
    ]
    assert [(each.model, each.message) for each in told.skipped] == [("mini", "it does not take in audio")]
    assert [(each.model, each.reason) for each in told.plan] == [("flagship", decision_pb2.REASON_CAPABILITY)]


async def test_what_explain_says_is_what_complete_does(sidecar: Sidecar) -> None:
    explained = (await sidecar.app.Explain(ask(hints=HIGH))).decision
    decided = (await sidecar.app.Complete(ask(hints=HIGH))).decision

    assert (explained.model, explained.reason, explained.message, explained.route) == (
        decided.model,
        decided.reason,
        decided.message,
        decided.route,
    )


async def test_explain_refuses_as_complete_does(sidecar: Sidecar) -> None:
    told = await refusal(sidecar.app.Explain(ask(model="flagship")))

    assert told == await refusal(sidecar.app.Complete(ask(model="flagship")))
