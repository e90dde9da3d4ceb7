"""A chat completion's request as OpenAI's clients send it: what of it matters here, and the call that it becomes.

Only what the routing must know is looked at. All else is the provider's to judge, and reaches it byte for byte.
"""

from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import msgspec

from pointsman_api.v1 import decision_pb2
from pointsman_sidecar.contract import json, shapes
from pointsman_sidecar.contract.forms import ProviderRequest
from pointsman_sidecar.contract.hints import Hints, check_hints
from pointsman_sidecar.contract.provider_requests import cap_changes
from pointsman_sidecar.contract.requests import AUTO, LONGEST_MODEL, Violation, refuse
from pointsman_sidecar.contract.shapes import NOTHING
from pointsman_sidecar.routing.capability import output_cap
from pointsman_sidecar.routing.content import MOST_TOOLS, Content
from pointsman_sidecar.routing.estimates import PER_MESSAGE, audio_tokens, image_tokens, text_tokens
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.matchers import Shape
from pointsman_sidecar.routing.policy import Feature, Modality, Model

_MOST_DIGITS = 4
_CAPS = ("max_completion_tokens", "max_tokens")


class _Image(msgspec.Struct, gc=False):
    detail: str | None = None


class _Audio(msgspec.Struct, gc=False):
    data: msgspec.Raw = msgspec.Raw(b'""')
    format: str = ""


class _Part(msgspec.Struct, gc=False):
    text: str | None = None
    refusal: str | None = None
    image_url: _Image | str | None = None
    input_audio: _Audio | None = None
    file: msgspec.Raw = NOTHING


class _Message(msgspec.Struct, gc=False):
    role: str
    content: str | list[str | _Part] | None = None
    name: str | None = None
    refusal: str | None = None
    tool_calls: msgspec.Raw = NOTHING


class _Format(msgspec.Struct, gc=False):
    type: str = ""
    json_schema: msgspec.Raw = NOTHING


class _StreamOptions(msgspec.Struct, gc=False):
    include_usage: bool | None = None


class _Body(msgspec.Struct, gc=False):
    messages: list[_Message]
    model: str | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    max_completion_tokens: int | None = None
    max_tokens: int | None = None
    n: msgspec.Raw = msgspec.Raw(b"null")
    tools: list[msgspec.Raw] | None = None
    functions: list[msgspec.Raw] | None = None
    response_format: _Format | None = None
    logprobs: bool | None = None
    user: str | None = None
    safety_identifier: str | None = None
    metadata: dict[str, str] | None = None
    store: bool | None = None


class _Function(msgspec.Struct, gc=False):
    name: str


class _Tool(msgspec.Struct, gc=False):
    function: _Function


_body = msgspec.json.Decoder(_Body)
_tool = msgspec.json.Decoder(_Tool)
_function = msgspec.json.Decoder(_Function)
_SHAPES = {"json_object": Shape.JSON_OBJECT, "json_schema": Shape.JSON_SCHEMA}


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatRequest:
    """A request that was read. `members` are those of its body, as they came."""

    members: Mapping[str, msgspec.Raw]
    features: Features
    model: str
    stream: bool
    include_usage: bool
    stored: bool


def read_chat(raw: bytes, hints: Hints) -> ChatRequest:
    """Read a body.

    Raises:
        InvalidRequestError: it is malformed.
    """
    body, members = shapes.read(raw, _body)
    refuse(_violations(body))
    model = body.model or ""
    return ChatRequest(
        members=members,
        features=_features(body, raw, hints),
        model=model,
        stream=bool(body.stream),
        include_usage=bool(body.stream_options and body.stream_options.include_usage),
        stored=bool(body.store),
    )


def chat_call(
    request: ChatRequest, features: Features, *, model: Model, policy_cap: int | None, stream: bool
) -> ProviderRequest:
    """The call to `model`, and what in it was changed."""
    body: dict[str, Any] = dict(request.members)
    changes: list[decision_pb2.Change] = []
    body["model"] = model.provider_model
    if features.model and features.model not in {model.name, model.provider_model}:
        changes.append(
            decision_pb2.Change(
                field="model",
                requested=features.model,
                sent=model.provider_model,
                message="the policy chooses the model itself (allowPinning is false)",
            )
        )
    cap = output_cap(model, features, policy_cap=policy_cap)
    if cap is not None and cap != features.max_output_tokens:
        # Under the name that the app used: not every provider knows the newer one.
        for name in [name for name in _CAPS if name in body] or _CAPS[:1]:
            body[name] = cap
        changes += cap_changes(features, model=model, policy_cap=policy_cap, cap=cap)
    if stream and not request.include_usage:
        given = body.get("stream_options")
        options = json.members(bytes(given)) if given is not None and shapes.is_given(given) else {}
        body["stream_options"] = {**options, "include_usage": True}
        changes.append(
            decision_pb2.Change(
                field="stream_options.include_usage",
                sent="true",
                message="tokens are counted; the chunk that says so goes no further than here",
            )
        )
    if "metadata" in body and not request.stored:
        del body["metadata"]
        changes.append(
            decision_pb2.Change(
                field="metadata",
                requested="given",
                message="it tells the routing; it goes further only with store: true, without which OpenAI refuses it",
            )
        )
    return ProviderRequest(body=json.encode(body), changes=tuple(changes))


def _violations(body: _Body) -> Iterator[Violation]:
    if not body.messages:
        yield Violation("messages", "is empty: give one message at least")
    if len(body.model or "") > LONGEST_MODEL:
        yield Violation("model", f"is longer than {LONGEST_MODEL} characters")
    for name in _CAPS:
        cap = getattr(body, name)
        if cap is not None and cap < 1:
            yield Violation(name, f"is {cap}: give 1 or more, or leave it out")


def _features(body: _Body, raw: bytes, hints: Hints) -> Features:
    said = Hints(
        user=hints.user or body.user or body.safety_identifier or "",
        session=hints.session,
        severity=hints.severity,
        priority=hints.priority,
        metadata={**(body.metadata or {}), **hints.metadata},
    )
    check_hints(said)
    modalities = {Modality.TEXT}
    tokens = 0
    for message in body.messages:
        tokens += PER_MESSAGE + text_tokens(message.name or "") + text_tokens(message.refusal or "")
        tokens += json_tokens(message.tool_calls)
        parts = [message.content] if isinstance(message.content, str) else message.content or []
        for part in parts:
            tokens += _measured(part, modalities)
    for tool in (*(body.tools or ()), *(body.functions or ())):
        tokens += json_tokens(tool)
    if body.response_format is not None:
        tokens += json_tokens(body.response_format.json_schema)
    asked = body.max_completion_tokens if body.max_completion_tokens is not None else body.max_tokens
    return Features(
        request_bytes=len(raw),
        estimated_input_tokens=tokens,
        modalities=frozenset(modalities),
        needs=frozenset(_needs(body)),
        max_output_tokens=asked,
        answers=_answers(body.n),
        model="" if body.model in {None, AUTO} else body.model or "",
        is_wish=True,
        user=said.user,
        session=said.session,
        severity=said.severity,
        priority=said.priority,
        metadata=said.metadata,
        shape=_SHAPES.get(body.response_format.type, Shape.TEXT) if body.response_format is not None else Shape.TEXT,
        content=Content(
            messages=lambda: (_said(message) for message in reversed(body.messages) if message.role == "user"),
            tool_names=lambda: _tool_names(body),
        ),
    )


def _said(message: _Message) -> str:
    if isinstance(message.content, str):
        return message.content
    texts = (part if isinstance(part, str) else part.text for part in message.content or ())
    return "\n".join(text for text in texts if text)


def _tool_names(body: _Body) -> list[str]:
    names = []
    # What is no tool is the provider's to judge.
    for tool in (body.tools or ())[:MOST_TOOLS]:
        with suppress(msgspec.DecodeError):
            names.append(_tool.decode(tool).function.name)
    for function in (body.functions or ())[:MOST_TOOLS]:
        with suppress(msgspec.DecodeError):
            names.append(_function.decode(function).name)
    return names


def _measured(part: str | _Part, modalities: set[Modality]) -> int:
    if isinstance(part, str):
        return text_tokens(part)
    tokens = text_tokens(part.text or "") + text_tokens(part.refusal or "") + json_tokens(part.file)
    if part.image_url is not None:
        modalities.add(Modality.IMAGE)
        tokens += image_tokens((part.image_url.detail if isinstance(part.image_url, _Image) else "") or "")
    if part.input_audio is not None:
        modalities.add(Modality.AUDIO)
        # As base64, in quotation marks.
        size = max(0, len(bytes(part.input_audio.data)) - 2) * 3 // 4
        tokens += audio_tokens(size=size, format_=part.input_audio.format)
    return tokens


def _answers(n: msgspec.Raw) -> int:
    """How many are asked for. What is no number is the provider's to judge."""
    digits = bytes(n)
    return max(1, int(digits)) if digits.isdigit() and len(digits) <= _MOST_DIGITS else 1


def json_tokens(raw: msgspec.Raw) -> int:
    """Tokens of JSON that is passed on as it is."""
    return text_tokens(bytes(raw).decode(errors="replace")) if shapes.is_given(raw) else 0


def _needs(body: _Body) -> Iterator[Feature]:
    if body.tools or body.functions:
        yield Feature.TOOLS
    if body.response_format is not None and body.response_format.type == "json_schema":
        yield Feature.JSON_SCHEMA
    if body.logprobs:
        yield Feature.LOGPROBS
