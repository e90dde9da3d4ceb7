"""From a request to the bytes that an OpenAI-compatible provider is sent."""

from base64 import b64encode
from typing import Any

import msgspec

from pointsman_api.v1 import completions_pb2, decision_pb2
from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.forms import ProviderRequest
from pointsman_sidecar.routing.capability import output_cap
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.policy import Model

_ROLES = {
    completions_pb2.ROLE_SYSTEM: "system",
    completions_pb2.ROLE_DEVELOPER: "developer",
    completions_pb2.ROLE_USER: "user",
    completions_pb2.ROLE_ASSISTANT: "assistant",
    completions_pb2.ROLE_TOOL: "tool",
}
_MODES = {
    completions_pb2.ToolChoice.MODE_AUTO: "auto",
    completions_pb2.ToolChoice.MODE_NONE: "none",
    completions_pb2.ToolChoice.MODE_REQUIRED: "required",
}
_encoder = msgspec.json.Encoder()


def provider_request(
    request: completions_pb2.CompleteRequest,
    features: Features,
    *,
    model: Model,
    policy_cap: int | None,
    stream: bool,
) -> ProviderRequest:
    """The call to `model`. JSON that came as raw bytes leaves as the same bytes."""
    body: dict[str, Any] = {"model": model.provider_model, "messages": [_message(each) for each in request.messages]}
    if request.tools:
        body["tools"] = [_tool(tool) for tool in request.tools]
    match request.tool_choice.WhichOneof("choice"):
        case "function":
            body["tool_choice"] = {"type": "function", "function": {"name": request.tool_choice.function}}
        case "mode" if request.tool_choice.mode in _MODES:
            body["tool_choice"] = _MODES[request.tool_choice.mode]
    if request.HasField("parallel_tool_calls"):
        body["parallel_tool_calls"] = request.parallel_tool_calls
    if request.response_format.WhichOneof("format"):
        body["response_format"] = _format(request.response_format)
    for field, value in request.sampling.ListFields():
        # The contract's names are the API's own. A repeated field is a protobuf container and not yet a list.
        body[field.name] = list(value) if field.name == "stop" else value
    cap = output_cap(model, features, policy_cap=policy_cap)
    if cap is not None:
        body["max_completion_tokens"] = cap
    if stream:
        body |= {"stream": True, "stream_options": {"include_usage": True}}
    if request.extra_json:
        body |= json.members(request.extra_json)
    return ProviderRequest(
        body=_encoder.encode(body),
        changes=cap_changes(features, model=model, policy_cap=policy_cap, cap=cap),
    )


def cap_changes(
    features: Features, *, model: Model, policy_cap: int | None, cap: int | None
) -> tuple[decision_pb2.Change, ...]:
    """What the decision says where `cap`, as it is sent, is not what the request asks for."""
    if cap is None or cap == features.max_output_tokens:
        return ()
    by_model = cap == model.max_output_tokens and cap != policy_cap
    return (
        decision_pb2.Change(
            field="max_tokens",
            requested="" if features.max_output_tokens is None else str(features.max_output_tokens),
            sent=str(cap),
            message=f"{model.name} gives at most {cap:,} tokens" if by_model else f"the policy allows {cap:,} tokens",
        ),
    )


def _message(message: completions_pb2.Message) -> dict[str, Any]:
    sent: dict[str, Any] = {"role": _ROLES[message.role]}
    if len(message.content) == 1 and message.content[0].WhichOneof("part") == "text":
        sent["content"] = message.content[0].text
    elif message.content:
        sent["content"] = [_part(part) for part in message.content]
    elif message.role == completions_pb2.ROLE_ASSISTANT:
        sent["content"] = None
    for name in ("name", "tool_call_id", "refusal"):
        if value := getattr(message, name):
            sent[name] = value
    if message.tool_calls:
        sent["tool_calls"] = [
            {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
            for call in message.tool_calls
        ]
    if message.extra_json:
        sent |= json.members(message.extra_json)
    return sent


def _part(part: completions_pb2.ContentPart) -> dict[str, Any]:
    match part.WhichOneof("part"):
        case "image":
            image = part.image
            url = image.url or f"data:{image.media_type};base64,{b64encode(image.data).decode()}"
            return {"type": "image_url", "image_url": {"url": url} | ({"detail": image.detail} if image.detail else {})}
        case "audio":
            data = b64encode(part.audio.data).decode()
            return {"type": "input_audio", "input_audio": {"data": data, "format": part.audio.format}}
        case _:
            return {"type": "text", "text": part.text}


def _tool(tool: completions_pb2.Tool) -> dict[str, Any]:
    function: dict[str, Any] = {"name": tool.name}
    if tool.description:
        function["description"] = tool.description
    if tool.parameters_json_schema:
        function["parameters"] = msgspec.Raw(tool.parameters_json_schema)
    if tool.HasField("strict"):
        function["strict"] = tool.strict
    return {"type": "function", "function": function}


def _format(form: completions_pb2.ResponseFormat) -> dict[str, Any]:
    match form.WhichOneof("format"):
        case "json_schema":
            wanted = form.json_schema
            schema: dict[str, Any] = {"name": wanted.name, "schema": msgspec.Raw(wanted.json_schema)}
            if wanted.description:
                schema["description"] = wanted.description
            if wanted.HasField("strict"):
                schema["strict"] = wanted.strict
            return {"type": "json_schema", "json_schema": schema}
        case "json_object":
            return {"type": "json_object"}
        case _:
            return {"type": "text"}
