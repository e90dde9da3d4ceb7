"""A request as an app sends it: is it well formed, and what are its features?"""

import math
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import islice

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.bounds import TooManyPartsError, check_json
from pointsman_sidecar.contract.snapshots import PRIORITIES, SEVERITIES
from pointsman_sidecar.routing.content import Content
from pointsman_sidecar.routing.estimates import PER_MESSAGE, audio_tokens, image_tokens, text_tokens
from pointsman_sidecar.routing.features import Features
from pointsman_sidecar.routing.matchers import Shape
from pointsman_sidecar.routing.policy import Feature, Modality

# The request leaves the choice to the policy.
AUTO = "auto"
# Members of OpenAI's request that the contract has fields for, or that are the sidecar's own to set.
MODELLED = {
    "messages": "messages",
    "model": "model",
    "tools": "tools",
    "tool_choice": "tool_choice",
    "parallel_tool_calls": "parallel_tool_calls",
    "response_format": "response_format",
    "temperature": "sampling.temperature",
    "top_p": "sampling.top_p",
    "frequency_penalty": "sampling.frequency_penalty",
    "presence_penalty": "sampling.presence_penalty",
    "seed": "sampling.seed",
    "stop": "sampling.stop",
    "n": "sampling.n",
    "logprobs": "sampling.logprobs",
    "top_logprobs": "sampling.top_logprobs",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "stream": "CompleteStream",
    "stream_options": "CompleteStream",
}
_MODELLED_IN_MESSAGE = {name: name for name in ("role", "content", "name", "tool_calls", "tool_call_id", "refusal")}
_FUNCTION_NAME = re.compile(r"[a-zA-Z0-9_-]{1,64}")
_RANGES = {
    "temperature": (0, 2),
    "top_p": (0, 1),
    "frequency_penalty": (-2, 2),
    "presence_penalty": (-2, 2),
    "n": (1, 128),
    "top_logprobs": (0, 20),
}
_MOST_STOPS = 4
_USER = completions_pb2.ROLE_USER
_SHAPES = {"json_object": Shape.JSON_OBJECT, "json_schema": Shape.JSON_SCHEMA}
LONGEST_ID = 512
LONGEST_MODEL = 512
MOST_METADATA = 64
# Who made the first of them will find the others by it, and an answer has to stay small.
_MOST_TOLD = 16
_LONGEST_QUOTE = 80


@dataclass(frozen=True, slots=True)
class Violation:
    """What is wrong with one field, and what to write instead."""

    field: str
    description: str


class InvalidRequestError(Exception):
    """The request is malformed: its violations in order, and whether there are `more` than those."""

    def __init__(self, violations: tuple[Violation, ...], *, more: bool = False) -> None:
        told = "; ".join(f"{each.field} {each.description}" for each in violations)
        super().__init__(f"{told}; and more" if more else told)
        self.violations = violations


def refuse(found: Iterable[Violation]) -> None:
    """Refuse a request that has violations; no more of them are looked for than are told.

    Raises:
        InvalidRequestError: there are some.
    """
    told = tuple(islice(found, _MOST_TOLD + 1))
    if told:
        raise InvalidRequestError(told[:_MOST_TOLD], more=len(told) > _MOST_TOLD)


def quoted(text: str) -> str:
    """What the request says, in quotation marks; the beginning of it, where it is long."""
    return repr(text) if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]!r}..."


def named(text: str) -> str:
    """What the request calls something; the beginning of it, where it is long."""
    return text if len(text) <= _LONGEST_QUOTE else f"{text[:_LONGEST_QUOTE]}..."


def check(request: completions_pb2.CompleteRequest) -> None:
    """Refuse what no provider could serve, in the request's own words.

    Raises:
        InvalidRequestError: with what is wrong.
    """
    refuse(_violations(request))


def features(request: completions_pb2.CompleteRequest) -> Features:
    """What the routing needs to know of a well-formed request."""
    modalities = {Modality.TEXT}
    tokens = 0
    for message in request.messages:
        tokens += PER_MESSAGE + text_tokens(message.name) + text_tokens(message.refusal)
        for part in message.content:
            match part.WhichOneof("part"):
                case "image":
                    modalities.add(Modality.IMAGE)
                    tokens += image_tokens(part.image.detail)
                case "audio":
                    modalities.add(Modality.AUDIO)
                    tokens += audio_tokens(size=len(part.audio.data), format_=part.audio.format)
                case _:
                    tokens += text_tokens(part.text)
        for call in message.tool_calls:
            tokens += text_tokens(call.name) + text_tokens(call.arguments)
    for tool in request.tools:
        tokens += text_tokens(tool.name) + text_tokens(tool.description) + _json_tokens(tool.parameters_json_schema)
    tokens += _json_tokens(request.response_format.json_schema.json_schema)
    hints = request.hints
    return Features(
        request_bytes=request.ByteSize(),
        estimated_input_tokens=tokens,
        modalities=frozenset(modalities),
        needs=frozenset(_needs(request)),
        max_output_tokens=request.max_tokens if request.HasField("max_tokens") else None,
        answers=request.sampling.n or 1,
        model="" if request.model == AUTO else request.model,
        user=hints.user,
        session=hints.session,
        severity=SEVERITIES.get(hints.severity),
        priority=PRIORITIES.get(hints.priority),
        metadata=dict(hints.metadata),
        shape=_SHAPES.get(request.response_format.WhichOneof("format") or "", Shape.TEXT),
        content=Content(
            messages=lambda: (_said(message) for message in reversed(request.messages) if message.role == _USER),
            tool_names=lambda: [tool.name for tool in request.tools],
        ),
    )


def _said(message: completions_pb2.Message) -> str:
    return "\n".join(part.text for part in message.content if part.text)


def _json_tokens(raw: bytes) -> int:
    return text_tokens(raw.decode(errors="replace")) if raw else 0


def _needs(request: completions_pb2.CompleteRequest) -> Iterator[Feature]:
    if request.tools:
        yield Feature.TOOLS
    if request.response_format.WhichOneof("format") == "json_schema":
        yield Feature.JSON_SCHEMA
    if request.sampling.logprobs:
        yield Feature.LOGPROBS


def _violations(request: completions_pb2.CompleteRequest) -> Iterator[Violation]:
    if not request.messages:
        yield Violation("messages", "is empty: give one message at least")
    if len(request.model) > LONGEST_MODEL:
        yield Violation("model", f"is longer than {LONGEST_MODEL} characters")
    for index, message in enumerate(request.messages):
        yield from _in_message(f"messages[{index}]", message)
    yield from _in_tools(request)
    yield from _in_format(request.response_format)
    yield from _in_sampling(request.sampling)
    if request.HasField("max_tokens") and request.max_tokens < 1:
        yield Violation("max_tokens", f"is {request.max_tokens}: give 1 or more, or leave it out")
    yield from _in_hints(request.hints)
    yield from _in_extra("extra_json", request.extra_json, MODELLED)


def _in_message(where: str, message: completions_pb2.Message) -> Iterator[Violation]:
    role = message.role
    if role == completions_pb2.ROLE_UNSPECIFIED:
        yield Violation(f"{where}.role", "is not set: say who speaks, such as ROLE_USER")
    elif role not in completions_pb2.Role.values():
        yield Violation(f"{where}.role", f"is {role}, which is no role: say who speaks, such as ROLE_USER")
    if not message.content and not message.tool_calls and not message.refusal:
        yield Violation(f"{where}.content", "is empty: give one part at least")
    if role == completions_pb2.ROLE_TOOL and not message.tool_call_id:
        yield Violation(f"{where}.tool_call_id", "is empty: a tool's message names the call that it answers")
    if message.tool_calls and role != completions_pb2.ROLE_ASSISTANT:
        yield Violation(
            f"{where}.tool_calls", "stands in a message that is not the assistant's: only models call tools"
        )
    for index, part in enumerate(message.content):
        yield from _in_part(f"{where}.content[{index}]", part)
    for index, call in enumerate(message.tool_calls):
        if not (call.id and call.name):
            yield Violation(f"{where}.tool_calls[{index}]", "needs an id and a name")
    yield from _in_extra(f"{where}.extra_json", message.extra_json, _MODELLED_IN_MESSAGE)


def _in_part(where: str, part: completions_pb2.ContentPart) -> Iterator[Violation]:
    match part.WhichOneof("part"):
        case None:
            yield Violation(where, "is empty: set text, image or audio")
        case "image":
            yield from _in_image(f"{where}.image", part.image)
        case "audio":
            if not part.audio.data:
                yield Violation(f"{where}.audio.data", "is empty")
            if part.audio.format not in {"wav", "mp3"}:
                yield Violation(f"{where}.audio.format", f"is {quoted(part.audio.format)}: give wav or mp3")


def _in_image(where: str, image: completions_pb2.ImagePart) -> Iterator[Violation]:
    match image.WhichOneof("source"):
        case "url":
            if not image.url.startswith(("https://", "http://", "data:")):
                yield Violation(f"{where}.url", "must begin with https://, http:// or data:")
        case "data":
            if not image.data:
                yield Violation(f"{where}.data", "is empty")
            if not image.media_type.startswith("image/"):
                yield Violation(
                    f"{where}.media_type", f"is {quoted(image.media_type)}: say what data is, such as image/png"
                )
        case None:
            yield Violation(where, "has neither url nor data")
    if image.detail not in {"", "low", "high", "auto"}:
        yield Violation(f"{where}.detail", f"is {quoted(image.detail)}: give low, high or auto, or leave it out")


def _in_tools(request: completions_pb2.CompleteRequest) -> Iterator[Violation]:
    names: set[str] = set()
    for index, tool in enumerate(request.tools):
        where = f"tools[{index}]"
        if not _FUNCTION_NAME.fullmatch(tool.name):
            yield Violation(f"{where}.name", "must be 1 to 64 letters, digits, _ or -")
        elif tool.name in names:
            yield Violation(f"{where}.name", f"is {tool.name!r} again: each tool needs a name of its own")
        names.add(tool.name)
        if tool.parameters_json_schema:
            yield from _json_object(f"{where}.parameters_json_schema", tool.parameters_json_schema)
    match request.tool_choice.WhichOneof("choice"):
        case "function" if request.tool_choice.function not in names:
            yield Violation(
                "tool_choice.function", f"is {quoted(request.tool_choice.function)}, which is none of tools"
            )
        case "mode" if request.tool_choice.mode == completions_pb2.ToolChoice.MODE_REQUIRED and not names:
            yield Violation("tool_choice.mode", "requires a tool call, but tools is empty")
        case "mode" if request.tool_choice.mode not in completions_pb2.ToolChoice.Mode.values():
            yield Violation(
                "tool_choice.mode", f"is {request.tool_choice.mode}, which is no mode: give AUTO, NONE or REQUIRED"
            )


def _in_format(form: completions_pb2.ResponseFormat) -> Iterator[Violation]:
    if form.WhichOneof("format") != "json_schema":
        return
    if not _FUNCTION_NAME.fullmatch(form.json_schema.name):
        yield Violation("response_format.json_schema.name", "must be 1 to 64 letters, digits, _ or -")
    yield from _json_object("response_format.json_schema.json_schema", form.json_schema.json_schema)


def _in_sampling(sampling: completions_pb2.SamplingParameters) -> Iterator[Violation]:
    for field, value in sampling.ListFields():
        least, most = _RANGES.get(field.name, (-math.inf, math.inf))
        if isinstance(value, int | float) and not least <= value <= most:
            yield Violation(f"sampling.{field.name}", f"is {value:g}: give a number from {least} to {most}")
    if len(sampling.stop) > _MOST_STOPS or not all(sampling.stop):
        yield Violation("sampling.stop", f"must be at most {_MOST_STOPS} texts, none of them empty")
    if sampling.HasField("top_logprobs") and not sampling.logprobs:
        yield Violation("sampling.top_logprobs", "is set without logprobs: set both")


def _in_hints(hints: completions_pb2.RoutingHints) -> Iterator[Violation]:
    if hints.severity not in {0, *SEVERITIES}:
        yield Violation(
            "hints.severity", f"is {hints.severity}, which is no severity: give LOW, MEDIUM, HIGH or CRITICAL"
        )
    if hints.priority not in {0, *PRIORITIES}:
        yield Violation("hints.priority", f"is {hints.priority}, which is no priority: give LOW, NORMAL or HIGH")
    for name in ("user", "session"):
        if len(getattr(hints, name)) > LONGEST_ID:
            yield Violation(f"hints.{name}", f"is longer than {LONGEST_ID} characters")
    if len(hints.metadata) > MOST_METADATA:
        yield Violation("hints.metadata", f"has {len(hints.metadata)} entries: give at most {MOST_METADATA}")


def _in_extra(where: str, extra: bytes, modelled: Mapping[str, str]) -> Iterator[Violation]:
    if not extra:
        return
    try:
        check_json(extra)
        names = json.members(extra)
    except (TooManyPartsError, json.NotAnObjectError) as error:
        yield Violation(where, str(error))
        return
    for name in names:
        if name in modelled:
            yield Violation(where, f"names {name}: use {modelled[name]} instead")


def _json_object(where: str, raw: bytes) -> Iterator[Violation]:
    try:
        check_json(raw)
        json.members(raw)
    except (TooManyPartsError, json.NotAnObjectError) as error:
        yield Violation(where, str(error))
