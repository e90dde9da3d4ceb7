"""What a request can hold, row by row: as OpenAI's clients write it, as gRPC has it, and what the provider must get.

The names are those of the table in docs/fidelity.md.
"""

from base64 import b64encode
from dataclasses import dataclass, field
from typing import Any

from pointsman_api.v1 import completions_pb2 as pb

SCHEMA = b'{"type": "object", "properties": {"total": {"type": "number", "minimum": 1.0}}, "required": ["total"]}'
PARAMETERS = b'{"type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]}'
PNG = b"\x89PNG" * 8
WAV = bytes(6400)
LONG = "x" * 8000


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row. `provider` are the members that the provider must get, beside the model, however the request came.

    `through_grpc` replaces those that are written otherwise where gRPC carried the request.
    """

    http: dict[str, Any]
    grpc: pb.CompleteRequest
    provider: dict[str, Any]
    through_grpc: dict[str, Any] = field(default_factory=dict)
    model: str = "auto"


def text(content: str) -> pb.ContentPart:
    """A part of text."""
    return pb.ContentPart(text=content)


def says(content: str, role: pb.Role.ValueType = pb.ROLE_USER, **members: Any) -> pb.Message:
    """A message."""
    return pb.Message(role=role, content=[text(content)], **members)


def user(content: Any) -> dict[str, Any]:
    """A user's message."""
    return {"role": "user", "content": content}


HI = [user("What is 2 + 2?")]
WEATHER = [user("What is the weather, and what was the weather?")]


def plain(name: str, value: Any, **sampling: Any) -> Row:
    """A member of the request that one field of gRPC's sampling stands for."""
    return Row(
        http={"messages": HI, name: value},
        grpc=pb.CompleteRequest(messages=[says("What is 2 + 2?")], sampling=pb.SamplingParameters(**sampling)),
        provider={name: value},
    )


def tool(name: str) -> pb.Tool:
    """A function."""
    return pb.Tool(name=name, description="Somewhere.", parameters_json_schema=PARAMETERS, strict=True)


def tool_json(name: str) -> dict[str, Any]:
    """The same, as JSON."""
    parameters = {"type": "object", "properties": {"city": {"enum": ["Oslo"]}}, "required": ["city"]}
    function = {"name": name, "description": "Somewhere.", "parameters": parameters, "strict": True}
    return {"type": "function", "function": function}


TOOLS, TOOLS_JSON = [tool("get_weather"), tool("past_weather")], [tool_json("get_weather"), tool_json("past_weather")]
CALLS_JSON = [{"id": "c1", "type": "function", "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'}}]


def with_tools(more: dict[str, Any], **fields: Any) -> Row:
    """A question that calls for tools."""
    return Row(
        http={"messages": WEATHER, "tools": TOOLS_JSON, **more},
        grpc=pb.CompleteRequest(messages=[says(WEATHER[0]["content"])], tools=TOOLS, **fields),
        provider={"tools": TOOLS_JSON, **more},
    )


def schema_format() -> dict[str, Any]:
    """A response format by a schema."""
    schema = {"type": "object", "properties": {"total": {"type": "number", "minimum": 1.0}}, "required": ["total"]}
    return {"type": "json_schema", "json_schema": {"name": "invoice", "schema": schema, "strict": True}}


ROWS: dict[str, Row] = {
    "messages of every role": Row(
        http={
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": "Be kind."},
                {"role": "user", "content": "Hello", "name": "ada"},
                {"role": "assistant", "content": "Hello, Ada."},
                user("What is 2 + 2?"),
            ]
        },
        grpc=pb.CompleteRequest(
            messages=[
                says("Be brief.", pb.ROLE_SYSTEM),
                says("Be kind.", pb.ROLE_DEVELOPER),
                says("Hello", name="ada"),
                says("Hello, Ada.", pb.ROLE_ASSISTANT),
                says("What is 2 + 2?"),
            ]
        ),
        provider={
            "messages": [
                {"role": "system", "content": "Be brief."},
                {"role": "developer", "content": "Be kind."},
                {"role": "user", "content": "Hello", "name": "ada"},
                {"role": "assistant", "content": "Hello, Ada."},
                user("What is 2 + 2?"),
            ]
        },
    ),
    "tools, several calls at once": with_tools({}),
    "parallel_tool_calls": with_tools({"parallel_tool_calls": False}, parallel_tool_calls=False),
    "tool_choice": with_tools(
        {"tool_choice": {"type": "function", "function": {"name": "past_weather"}}},
        tool_choice=pb.ToolChoice(function="past_weather"),
    ),
    "tool results": Row(
        http={
            "messages": [
                *WEATHER,
                {"role": "assistant", "content": None, "tool_calls": CALLS_JSON},
                {"role": "tool", "tool_call_id": "c1", "content": "-3"},
            ],
            "tools": TOOLS_JSON,
        },
        grpc=pb.CompleteRequest(
            messages=[
                says(WEATHER[0]["content"]),
                pb.Message(
                    role=pb.ROLE_ASSISTANT,
                    tool_calls=[pb.ToolCall(id="c1", name="get_weather", arguments='{"city": "Oslo"}')],
                ),
                says("-3", pb.ROLE_TOOL, tool_call_id="c1"),
            ],
            tools=TOOLS,
        ),
        provider={
            "messages": [
                *WEATHER,
                {"role": "assistant", "content": None, "tool_calls": CALLS_JSON},
                {"role": "tool", "tool_call_id": "c1", "content": "-3"},
            ]
        },
    ),
    "response_format: json_schema": Row(
        http={"messages": HI, "response_format": schema_format()},
        grpc=pb.CompleteRequest(
            messages=[says("What is 2 + 2?")],
            response_format=pb.ResponseFormat(
                json_schema=pb.JsonSchemaFormat(name="invoice", json_schema=SCHEMA, strict=True)
            ),
        ),
        provider={"response_format": schema_format()},
    ),
    "response_format: json_object": Row(
        http={"messages": [user("In json, please")], "response_format": {"type": "json_object"}},
        grpc=pb.CompleteRequest(
            messages=[says("In json, please")], response_format=pb.ResponseFormat(json_object=pb.JsonObjectFormat())
        ),
        provider={"response_format": {"type": "json_object"}},
    ),
    "n": plain("n", 3, n=3),
    "logprobs, top_logprobs": Row(
        http={"messages": HI, "logprobs": True, "top_logprobs": 2},
        grpc=pb.CompleteRequest(
            messages=[says("What is 2 + 2?")], sampling=pb.SamplingParameters(logprobs=True, top_logprobs=2)
        ),
        provider={"logprobs": True, "top_logprobs": 2},
    ),
    "seed": plain("seed", 7, seed=7),
    "stop": plain("stop", ["answer"], stop=["answer"]),
    "temperature": plain("temperature", 0.5, temperature=0.5),
    "top_p": plain("top_p", 0.25, top_p=0.25),
    "frequency_penalty": plain("frequency_penalty", -1.5, frequency_penalty=-1.5),
    "presence_penalty": plain("presence_penalty", 1.5, presence_penalty=1.5),
    "max_completion_tokens": Row(
        http={"messages": HI, "max_completion_tokens": 5},
        grpc=pb.CompleteRequest(messages=[says("What is 2 + 2?")], max_tokens=5),
        provider={"max_completion_tokens": 5},
    ),
    "max_tokens": Row(
        http={"messages": HI, "max_tokens": 5},
        grpc=pb.CompleteRequest(messages=[says("What is 2 + 2?")], max_tokens=5),
        provider={"max_tokens": 5},
        through_grpc={"max_completion_tokens": 5},
    ),
    "reasoning_effort, and usage with reasoning tokens": Row(
        http={"messages": HI, "reasoning_effort": "low"},
        grpc=pb.CompleteRequest(messages=[says("What is 2 + 2?")], extra_json=b'{"reasoning_effort": "low"}'),
        provider={"reasoning_effort": "low"},
        model="reasoner",
    ),
    "images": Row(
        http={
            "messages": [
                user(
                    [
                        {"type": "text", "text": "Look"},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                        {
                            "type": "image_url",
                            "image_url": {"url": f"data:image/png;base64,{b64encode(PNG).decode()}"},
                        },
                    ]
                )
            ]
        },
        grpc=pb.CompleteRequest(
            messages=[
                pb.Message(
                    role=pb.ROLE_USER,
                    content=[
                        text("Look"),
                        pb.ContentPart(image=pb.ImagePart(url="https://example.com/a.png", detail="low")),
                        pb.ContentPart(image=pb.ImagePart(data=PNG, media_type="image/png")),
                    ],
                )
            ]
        ),
        provider={
            "messages": [
                user(
                    [
                        {"type": "text", "text": "Look"},
                        {"type": "image_url", "image_url": {"url": "https://example.com/a.png", "detail": "low"}},
                        {
                            "type": "image_url",
                            "image_url": {"url": f"data:image/png;base64,{b64encode(PNG).decode()}"},
                        },
                    ]
                )
            ]
        },
    ),
    "audio": Row(
        http={
            "messages": [
                user([{"type": "input_audio", "input_audio": {"data": b64encode(WAV).decode(), "format": "wav"}}])
            ]
        },
        grpc=pb.CompleteRequest(
            messages=[
                pb.Message(role=pb.ROLE_USER, content=[pb.ContentPart(audio=pb.AudioPart(data=WAV, format="wav"))])
            ]
        ),
        provider={
            "messages": [
                user([{"type": "input_audio", "input_audio": {"data": b64encode(WAV).decode(), "format": "wav"}}])
            ]
        },
        model="flagship",
    ),
    "usage with cached tokens": Row(
        http={"messages": [user(LONG), user("Go on")]},
        grpc=pb.CompleteRequest(messages=[says(LONG), says("Go on")]),
        provider={"messages": [user(LONG), user("Go on")]},
    ),
    "members that have no field of their own": Row(
        http={"messages": HI, "service_tier": "flex", "logit_bias": {"40": 1.0}},
        grpc=pb.CompleteRequest(
            messages=[says("What is 2 + 2?")], extra_json=b'{"service_tier": "flex", "logit_bias": {"40": 1.0}}'
        ),
        provider={"service_tier": "flex", "logit_bias": {"40": 1.0}},
    ),
}
