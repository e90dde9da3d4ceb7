"""A whole answer, from an app's request to the stub provider and back."""

import json
from decimal import Decimal

import pytest

from pointsman_api.v1 import completions_pb2, decision_pb2, types_pb2
from pointsman_stub import StubProvider
from support.answers import outcomes
from support.completions import ask, said, text, tool
from support.sidecars import Sidecar, sample
from support.snapshots import snapshot

Part = completions_pb2.ContentPart
SCHEMA = b'{"type": "object", "properties": {"total": {"type": "number"}}, "required": ["total"]}'
CAN_SEE = completions_pb2.ImagePart(data=b"\x89PNG" * 8, media_type="image/png")


def said_by(response: completions_pb2.CompleteResponse, *, index: int = 0) -> str:
    """The text of one answer."""
    return "".join(part.text for part in response.choices[index].message.content)


async def test_an_answer_comes_with_the_decision_that_gave_it(stub: StubProvider, sidecar: Sidecar) -> None:
    response = await sidecar.app.Complete(ask("What is 2 + 2?"))

    assert said_by(response).startswith('[gpt-4o-mini] Canned answer to "What is 2 + 2?".')
    assert response.id.startswith("chatcmpl-")
    assert response.choices[0].finish_reason == completions_pb2.FINISH_REASON_STOP
    decision = response.decision
    assert len(decision.id) == 32
    assert (decision.policy.namespace, decision.policy.name, decision.policy.generation) == ("shop", "support", 3)
    assert decision.snapshot_version == "sha256:1"
    assert (decision.model, decision.provider, decision.provider_model) == ("mini", "openai", "gpt-4o-mini")
    assert decision.reason == decision_pb2.REASON_DEFAULT
    assert outcomes(decision) == [("mini", "SUCCEEDED")]
    assert decision.attempts[0].latency.ToMicroseconds() > 0
    tokens = decision.usage
    assert (tokens.input_tokens, tokens.output_tokens) == (3 + 3 + 4, -(-len(said_by(response)) // 4))
    assert Decimal(decision.cost.amount) == (
        tokens.input_tokens * Decimal("0.15") + tokens.output_tokens * Decimal("0.60")
    ) / Decimal(1_000_000)
    assert decision.cost.currency == "USD"
    assert len(stub.requests) == 1


async def test_a_route_sends_what_is_severe_to_its_model(sidecar: Sidecar) -> None:
    hints = completions_pb2.RoutingHints(severity=types_pb2.SEVERITY_CRITICAL)

    response = await sidecar.app.Complete(ask(hints=hints))

    assert said_by(response).startswith("[gpt-4o] ")
    assert (response.decision.route, response.decision.reason) == ("risky", decision_pb2.REASON_ROUTE)
    assert response.decision.message == "route risky matched: severity Critical"


async def test_two_decisions_have_two_ids(sidecar: Sidecar) -> None:
    ids = {(await sidecar.app.Complete(ask())).decision.id for _ in range(2)}

    assert len(ids) == 2


async def test_tools_are_called_and_their_results_sent_back(sidecar: Sidecar) -> None:
    schema = b'{"type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]}'
    request = ask("What is the weather?", tools=[tool("get_weather", schema=schema)])

    first = await sidecar.app.Complete(request)

    (call,) = first.choices[0].message.tool_calls
    assert (call.name, json.loads(call.arguments)) == ("get_weather", {"city": "Oslo"})
    assert first.choices[0].finish_reason == completions_pb2.FINISH_REASON_TOOL_CALLS
    request.messages.append(first.choices[0].message)
    request.messages.add(role=completions_pb2.ROLE_TOOL, tool_call_id=call.id, content=[text("-3 °C")])
    second = await sidecar.app.Complete(request)
    assert 'The tool says "-3 °C".' in said_by(second)


async def test_an_answer_follows_its_schema(sidecar: Sidecar) -> None:
    form = completions_pb2.ResponseFormat(
        json_schema=completions_pb2.JsonSchemaFormat(name="invoice", json_schema=SCHEMA, strict=True)
    )

    response = await sidecar.app.Complete(ask(response_format=form))

    assert isinstance(json.loads(said_by(response))["total"], float | int)


@pytest.mark.parametrize(
    ("image", "seen"),
    [
        (CAN_SEE, "I see image/png of 32 bytes."),
        (completions_pb2.ImagePart(url="https://example.com/a.png"), "I see the image at https://example.com/a.png."),
    ],
    ids=["bytes", "url"],
)
async def test_a_picture_arrives(sidecar: Sidecar, image: completions_pb2.ImagePart, seen: str) -> None:
    response = await sidecar.app.Complete(ask("Look", Part(image=image)))

    assert seen in said_by(response)
    assert response.decision.model == "mini"


async def test_sound_goes_to_the_model_that_hears(sidecar: Sidecar) -> None:
    audio = completions_pb2.AudioPart(data=bytes(6400), format="wav")

    response = await sidecar.app.Complete(ask("Listen", Part(audio=audio)))

    assert "I hear a wav clip of 6400 bytes." in said_by(response)
    assert (response.decision.model, response.decision.reason) == ("flagship", decision_pb2.REASON_CAPABILITY)
    assert response.decision.message == (
        "mini was chosen (no route matched, so the default model answers) but cannot serve the request: "
        "it does not take in audio"
    )


async def test_several_answers_come_at_once(sidecar: Sidecar) -> None:
    response = await sidecar.app.Complete(ask(sampling=completions_pb2.SamplingParameters(n=2)))

    assert [choice.index for choice in response.choices] == [0, 1]
    assert said_by(response, index=0) != said_by(response, index=1)


async def test_logprobs_come_with_their_tokens(sidecar: Sidecar) -> None:
    sampling = completions_pb2.SamplingParameters(logprobs=True, top_logprobs=2)

    response = await sidecar.app.Complete(ask(sampling=sampling))

    tokens = response.choices[0].logprobs
    assert "".join(token.token for token in tokens) == said_by(response)
    assert all(token.logprob < 0 and len(token.top) == 2 for token in tokens)


async def test_cached_input_costs_less(sidecar: Sidecar) -> None:
    """The stub counts earlier turns as cached once they are long enough."""
    request = completions_pb2.CompleteRequest(messages=[said("x" * 8000), said("Go on")])

    decision = (await sidecar.app.Complete(request)).decision

    cached, fresh = decision.usage.cached_input_tokens, decision.usage.input_tokens
    assert cached == 1920
    assert Decimal(decision.cost.amount) == (
        (fresh - cached) * Decimal("0.15") + cached * Decimal("0.075") + decision.usage.output_tokens * Decimal("0.60")
    ) / Decimal(1_000_000)


async def test_the_policys_cap_is_obeyed_and_told(stub: StubProvider, sidecar: Sidecar) -> None:
    sidecar.apply(snapshot(base_url=stub.base_url, max_output_tokens=5))

    response = await sidecar.app.Complete(ask(max_tokens=50))

    assert response.choices[0].finish_reason == completions_pb2.FINISH_REASON_LENGTH
    assert response.decision.usage.output_tokens == 5
    assert [(each.field, each.requested, each.sent, each.message) for each in response.decision.changes] == [
        ("max_tokens", "50", "5", "the policy allows 5 tokens")
    ]


async def test_a_policy_change_is_obeyed_by_the_next_request(stub: StubProvider, sidecar: Sidecar) -> None:
    assert (await sidecar.app.Complete(ask())).decision.model == "mini"

    sidecar.apply(snapshot(base_url=stub.base_url, default_model="flagship", generation=4))

    decision = (await sidecar.app.Complete(ask())).decision
    assert (decision.model, decision.policy.generation) == ("flagship", 4)


async def test_metrics_count_what_was_answered(sidecar: Sidecar) -> None:
    decision = (await sidecar.app.Complete(ask())).decision

    registry = sidecar.metrics.registry
    assert (
        sample(
            registry,
            "pointsman_completions_total",
            policy="shop/support",
            route="",
            model="mini",
            reason="DEFAULT",
            code="OK",
        )
        == 1
    )
    assert (
        sample(
            registry,
            "pointsman_attempts_total",
            policy="shop/support",
            model="mini",
            provider="openai",
            outcome="SUCCEEDED",
        )
        == 1
    )
    counted = {"policy": "shop/support", "model": "mini"}
    assert sample(registry, "pointsman_tokens_total", **counted, type="input") == decision.usage.input_tokens
    assert sample(registry, "pointsman_tokens_total", **counted, type="output") == decision.usage.output_tokens
    assert sample(registry, "pointsman_cost_total", **counted, currency="USD") == pytest.approx(
        float(decision.cost.amount)
    )
    assert sample(registry, "pointsman_completion_duration_seconds_count", **counted) == 1
    assert sidecar.in_flight == 0
