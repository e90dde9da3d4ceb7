"""The body that a provider is sent, and what is said of what was changed in it."""

import json
from typing import Any

import pytest
from openai.types.chat import completion_create_params

from pointsman_api.v1 import completions_pb2, decision_pb2, types_pb2
from pointsman_sidecar.contract.provider_requests import ProviderRequest, provider_request
from pointsman_sidecar.contract.requests import features
from pointsman_stub.requests import parse_request
from support.completions import ask, said, text, tool
from support.policies import model

Request = completions_pb2.CompleteRequest
Message = completions_pb2.Message
Part = completions_pb2.ContentPart
ToolChoice = completions_pb2.ToolChoice
Format = completions_pb2.ResponseFormat

# Numbers, order and blanks that reading and writing JSON anew would not keep.
SCHEMA = b'{"type": "object",\n "required": ["b", "a"], "properties": {"b": {"maximum": 40.0}, "a": {"maximum": 40}}}'


def sent(
    request: Request, *, policy_cap: int | None = None, stream: bool = False, model_cap: int = 16_384
) -> ProviderRequest:
    """What is sent for a request."""
    return provider_request(
        request,
        features(request),
        model=model("mini", max_output_tokens=model_cap),
        policy_cap=policy_cap,
        stream=stream,
    )


def body(request: Request, **settings: Any) -> dict[str, Any]:
    """The body, decoded."""
    decoded: dict[str, Any] = json.loads(sent(request, **settings).body)
    return decoded


def test_a_plain_question_is_sent_as_a_plain_string() -> None:
    assert body(ask("Hi")) == {"model": "gpt-mini", "messages": [{"role": "user", "content": "Hi"}]}


def test_every_field_lands_where_the_api_has_it() -> None:
    request = Request(
        messages=[
            Message(role=completions_pb2.ROLE_SYSTEM, content=[text("Be brief.")]),
            Message(role=completions_pb2.ROLE_DEVELOPER, content=[text("In JSON."), text("Always.")]),
            said(
                "See and hear",
                Part(image=completions_pb2.ImagePart(url="https://example.com/a.png", detail="low")),
                Part(image=completions_pb2.ImagePart(data=b"\x89PNG", media_type="image/png")),
                Part(audio=completions_pb2.AudioPart(data=b"RIFF", format="wav")),
            ),
            Message(
                role=completions_pb2.ROLE_ASSISTANT,
                name="helper",
                tool_calls=[completions_pb2.ToolCall(id="c-1", name="f", arguments='{"x": 1')],
            ),
            Message(role=completions_pb2.ROLE_TOOL, content=[text("42")], tool_call_id="c-1"),
            Message(role=completions_pb2.ROLE_ASSISTANT, refusal="I will not."),
            Message(role=completions_pb2.ROLE_USER, name="ada", content=[text("Why?")]),
        ],
        tools=[tool("f", description="Does f.", schema=SCHEMA, strict=True), tool("g")],
        tool_choice=ToolChoice(function="f"),
        parallel_tool_calls=False,
        response_format=Format(
            json_schema=completions_pb2.JsonSchemaFormat(
                name="answer", description="The answer.", json_schema=SCHEMA, strict=False
            )
        ),
        sampling=completions_pb2.SamplingParameters(
            temperature=0,
            top_p=0.5,
            frequency_penalty=-1,
            presence_penalty=1.5,
            seed=7,
            stop=["END", "STOP"],
            n=2,
            logprobs=True,
            top_logprobs=3,
        ),
        max_tokens=100,
    )

    assert body(request) == {
        "model": "gpt-mini",
        "messages": [
            {"role": "system", "content": "Be brief."},
            {
                "role": "developer",
                "content": [{"type": "text", "text": "In JSON."}, {"type": "text", "text": "Always."}],
            },
            {
                "role": "user",
                "content": [
                    {"type": "text", "text": "See and hear"},
                    {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                    {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
                    {"type": "input_audio", "input_audio": {"data": "UklGRg==", "format": "wav"}},
                ],
            },
            {
                "role": "assistant",
                "name": "helper",
                "content": None,
                "tool_calls": [{"id": "c-1", "type": "function", "function": {"name": "f", "arguments": '{"x": 1'}}],
            },
            {"role": "tool", "content": "42", "tool_call_id": "c-1"},
            {"role": "assistant", "content": None, "refusal": "I will not."},
            {"role": "user", "name": "ada", "content": "Why?"},
        ],
        "tools": [
            {
                "type": "function",
                "function": {
                    "name": "f",
                    "description": "Does f.",
                    "parameters": json.loads(SCHEMA),
                    "strict": True,
                },
            },
            {"type": "function", "function": {"name": "g"}},
        ],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "parallel_tool_calls": False,
        "response_format": {
            "type": "json_schema",
            "json_schema": {
                "name": "answer",
                "description": "The answer.",
                "schema": json.loads(SCHEMA),
                "strict": False,
            },
        },
        "temperature": 0,
        "top_p": 0.5,
        "frequency_penalty": -1,
        "presence_penalty": 1.5,
        "seed": 7,
        "stop": ["END", "STOP"],
        "n": 2,
        "logprobs": True,
        "top_logprobs": 3,
        "max_completion_tokens": 100,
    }
    # What the SDK's own types and a server that checks as OpenAI does make of it.
    assert body(request).keys() <= completion_create_params.CompletionCreateParamsBase.__annotations__.keys()
    parse_request(body(request))


@pytest.mark.parametrize(
    ("form", "expected"),
    [
        pytest.param(Format(text=completions_pb2.TextFormat()), {"type": "text"}, id="text"),
        pytest.param(Format(json_object=completions_pb2.JsonObjectFormat()), {"type": "json_object"}, id="any JSON"),
    ],
)
def test_formats_without_a_schema(form: Format, expected: dict[str, str]) -> None:
    assert body(ask(response_format=form))["response_format"] == expected


@pytest.mark.parametrize(
    ("mode", "expected"),
    [(ToolChoice.MODE_AUTO, "auto"), (ToolChoice.MODE_NONE, "none"), (ToolChoice.MODE_REQUIRED, "required")],
)
def test_modes_of_tool_choice(mode: ToolChoice.Mode.ValueType, expected: str) -> None:
    assert body(ask(tools=[tool()], tool_choice=ToolChoice(mode=mode)))["tool_choice"] == expected


def test_schemas_are_passed_on_byte_for_byte() -> None:
    request = ask(
        tools=[tool(schema=SCHEMA)],
        response_format=Format(json_schema=completions_pb2.JsonSchemaFormat(name="s", json_schema=SCHEMA)),
    )

    assert sent(request).body.count(SCHEMA) == 2


def test_extra_members_are_passed_on_byte_for_byte() -> None:
    raw = b'{"z": 1.0, "metadata": {"b": 40.0, "a": 1e2}, "service_tier":"flex"}'

    out = sent(ask("Hi", extra_json=raw)).body

    assert b'"z":1.0' in out
    assert b'"metadata":{"b": 40.0, "a": 1e2}' in out
    assert json.loads(out)["service_tier"] == "flex"
    assert json.loads(out)["messages"] == [{"role": "user", "content": "Hi"}]


def test_extra_members_of_a_message_stand_in_that_message() -> None:
    request = Request(
        messages=[
            said("Hi"),
            Message(role=completions_pb2.ROLE_ASSISTANT, content=[text("Yes")], extra_json=b'{"audio": {"id": "a-1"}}'),
        ]
    )

    assert body(request)["messages"] == [
        {"role": "user", "content": "Hi"},
        {"role": "assistant", "content": "Yes", "audio": {"id": "a-1"}},
    ]


def test_hints_are_not_sent() -> None:
    request = ask(
        "Hi",
        hints=completions_pb2.RoutingHints(
            user="canary-u",
            session="canary-s",
            severity=types_pb2.SEVERITY_CRITICAL,
            metadata={"canary-k": "canary-v"},
        ),
    )

    assert b"canary" not in sent(request).body
    assert sent(request).body == sent(ask("Hi")).body


def test_a_stream_is_asked_for_with_its_usage() -> None:
    assert body(ask("Hi"), stream=True) == body(ask("Hi")) | {
        "stream": True,
        "stream_options": {"include_usage": True},
    }


def change(requested: str, out: str, message: str) -> decision_pb2.Change:
    return decision_pb2.Change(field="max_tokens", requested=requested, sent=out, message=message)


@pytest.mark.parametrize(
    ("asked", "policy_cap", "model_cap", "expected", "changes"),
    [
        pytest.param(None, None, 1000, None, (), id="nobody says anything"),
        pytest.param(50, None, 1000, 50, (), id="the request's own"),
        pytest.param(50, 50, 1000, 50, (), id="the policy allows as much"),
        pytest.param(30, 50, 1000, 30, (), id="the policy allows more"),
        pytest.param(
            None, 50, 1000, 50, (change("", "50", "the policy allows 50 tokens"),), id="the policy's, unasked"
        ),
        pytest.param(
            5000, 1500, 2000, 1500, (change("5000", "1500", "the policy allows 1,500 tokens"),), id="the policy's"
        ),
        pytest.param(
            5000, None, 2000, 2000, (change("5000", "2000", "mini gives at most 2,000 tokens"),), id="the model's"
        ),
        pytest.param(
            5000, 2000, 2000, 2000, (change("5000", "2000", "the policy allows 2,000 tokens"),), id="as low as both"
        ),
        pytest.param(
            5000, 3000, 2000, 2000, (change("5000", "2000", "mini gives at most 2,000 tokens"),), id="lower than both"
        ),
    ],
)
def test_the_cap_on_output_is_sent_and_its_change_recorded(
    asked: int | None,
    policy_cap: int | None,
    model_cap: int,
    expected: int | None,
    changes: tuple[decision_pb2.Change, ...],
) -> None:
    request = ask("Hi") if asked is None else ask("Hi", max_tokens=asked)
    out = sent(request, policy_cap=policy_cap, model_cap=model_cap)

    assert json.loads(out.body).get("max_completion_tokens") == expected
    assert out.changes == changes
