"""A request of OpenAI's Responses API as the chat completion that asks for the same, or why there is none.

Nothing is dropped in silence: what a chat completion cannot say is refused by its name.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from pointsman_sidecar.contract import json, shapes
from pointsman_sidecar.contract.requests import Violation, named, quoted, refuse
from pointsman_sidecar.contract.responses_input import Item, messages
from pointsman_sidecar.contract.shapes import NOTHING

LOGPROBS = "message.output_text.logprobs"
# By the same name in both APIs.
_SAME = (
    "metadata",
    "parallel_tool_calls",
    "prompt_cache_key",
    "prompt_cache_retention",
    "safety_identifier",
    "service_tier",
    "temperature",
    "top_logprobs",
    "top_p",
    "user",
)
_TRANSLATED = (
    "include",
    "input",
    "instructions",
    "max_output_tokens",
    "model",
    "reasoning",
    "store",
    "stream",
    "stream_options",
    "text",
    "tool_choice",
    "tools",
    "truncation",
)
_MODES = ("none", "auto", "required")
_WITHOUT_EQUAL = "has no equal in chat completions, which is what providers are asked for"
_STATEFUL = "needs a provider that keeps responses, and none is kept here: send the whole conversation as input"
_REASONS = {
    "background": "is not served: nothing runs on here once its caller is gone",
    "conversation": _STATEFUL,
    "previous_response_id": _STATEFUL,
    "prompt": "is not served: send the prompt's text as instructions and input",
}


class _Tool(msgspec.Struct, gc=False):
    type: str
    name: str = ""
    description: str | None = None
    parameters: msgspec.Raw = NOTHING
    strict: bool | None = None


class _Format(msgspec.Struct, gc=False):
    type: str
    name: str | None = None
    schema: msgspec.Raw = NOTHING
    description: str | None = None
    strict: bool | None = None


class _Text(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    format: _Format | None = None
    verbosity: str | None = None


class _Reasoning(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    effort: str | None = None
    summary: str | None = None
    generate_summary: str | None = None


class _StreamOptions(msgspec.Struct, gc=False, forbid_unknown_fields=True):
    include_obfuscation: bool | None = None


class _Body(msgspec.Struct, gc=False):
    input: str | list[Item]
    model: str | None = None
    instructions: str | None = None
    include: list[str] | None = None
    max_output_tokens: int | None = None
    reasoning: _Reasoning | None = None
    store: bool | None = None
    stream: bool | None = None
    stream_options: _StreamOptions | None = None
    text: _Text | None = None
    tool_choice: str | dict[str, Any] | None = None
    tools: list[_Tool] | None = None
    truncation: str | None = None


_body = msgspec.json.Decoder(_Body)


@dataclass(frozen=True, kw_only=True, slots=True)
class ChatEquivalent:
    """The chat completion that asks for the same, and what of the request its response repeats."""

    body: bytes
    repeated: Mapping[str, msgspec.Raw]


def chat_equivalent(raw: bytes) -> ChatEquivalent:
    """Translate a request.

    Raises:
        InvalidRequestError: it is malformed, or asks for what a chat completion cannot.
    """
    body, members = shapes.read(raw, _body)
    given = {name: value for name, value in members.items() if shapes.is_given(value)}
    refuse(_violations(body, given))
    chat: dict[str, Any] = {}
    if body.model is not None:
        chat["model"] = body.model
    chat["messages"] = messages(body.input, instructions=body.instructions)
    if body.tools:
        chat["tools"] = [_tool(tool) for tool in body.tools]
    if body.tool_choice is not None:
        chat["tool_choice"] = _choice(body.tool_choice)
    if body.text is not None:
        chat |= _text(body.text)
    if body.reasoning is not None and body.reasoning.effort is not None:
        chat["reasoning_effort"] = body.reasoning.effort
    if body.max_output_tokens is not None:
        chat["max_completion_tokens"] = body.max_output_tokens
    if "top_logprobs" in given or LOGPROBS in (body.include or ()):
        chat["logprobs"] = True
    if body.stream:
        chat |= {"stream": True, "stream_options": {"include_usage": True}}
    chat |= {name: given[name] for name in _SAME if name in given}
    return ChatEquivalent(body=json.encode(chat), repeated=given)


def _violations(body: _Body, given: Mapping[str, msgspec.Raw]) -> Iterator[Violation]:
    for name, value in given.items():
        if name not in _SAME and name not in _TRANSLATED and bytes(value) != b"false":
            yield Violation(named(name), _REASONS.get(name, _WITHOUT_EQUAL))
    if not body.input:
        yield Violation("input", "is empty: give a text, or one item at least")
    yield from _in_options(body)
    for index, tool in enumerate(body.tools or ()):
        if tool.type != "function":
            yield Violation(f"tools[{index}].type", f"is {tool.type!r}: functions alone are served")
        elif not tool.name:
            yield Violation(f"tools[{index}].name", "is empty")
    yield from _in_choice(body.tool_choice)
    form = body.text.format if body.text else None
    if form is not None and form.type == "json_schema" and (not form.name or not shapes.is_given(form.schema)):
        yield Violation("text.format", "needs a name and a schema")


def _in_options(body: _Body) -> Iterator[Violation]:
    if body.store:
        yield Violation("store", "is true, and no response is kept here: leave it out, or send false")
    if body.truncation not in {None, "disabled"}:
        yield Violation(
            "truncation", f"is {quoted(body.truncation)}: nothing is cut here, so send disabled, or leave it out"
        )
    if body.stream_options is not None and body.stream_options.include_obfuscation:
        yield Violation("stream_options.include_obfuscation", "is true, and nothing is obfuscated here: send false")
    for each in body.include or ():
        if each != LOGPROBS:
            yield Violation("include", f"asks for {quoted(each)}, which {_WITHOUT_EQUAL}")
    if body.reasoning is not None and (body.reasoning.summary or body.reasoning.generate_summary):
        yield Violation("reasoning.summary", _WITHOUT_EQUAL)


def _in_choice(choice: str | dict[str, Any] | None) -> Iterator[Violation]:
    match choice:
        case None | "none" | "auto" | "required" | {"type": "function", "name": str()}:
            return
        case _:
            yield Violation(
                "tool_choice", f"must be {', '.join(_MODES)}, or name a function: all else {_WITHOUT_EQUAL}"
            )


def _tool(tool: _Tool) -> dict[str, Any]:
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": tool.parameters,
        "strict": tool.strict,
    }
    return {"type": "function", "function": _without_nothing(function)}


def _choice(choice: str | dict[str, Any]) -> object:
    return choice if isinstance(choice, str) else {"type": "function", "function": {"name": choice["name"]}}


def _text(text: _Text) -> dict[str, Any]:
    chat: dict[str, Any] = {}
    if text.verbosity is not None:
        chat["verbosity"] = text.verbosity
    if text.format is not None:
        form: dict[str, Any] = {"type": text.format.type}
        if text.format.type == "json_schema":
            form["json_schema"] = _without_nothing(
                {
                    "name": text.format.name,
                    "description": text.format.description,
                    "schema": text.format.schema,
                    "strict": text.format.strict,
                }
            )
        chat["response_format"] = form
    return chat


def _without_nothing(members: Mapping[str, object]) -> dict[str, object]:
    return {
        name: value
        for name, value in members.items()
        if value is not None and not (isinstance(value, msgspec.Raw) and not shapes.is_given(value))
    }
