"""Which tools a model calls, and with what arguments.

`auto` calls each tool whose name shares a word of four letters or more with the question (`get_weather` is called
when the weather is asked for), unless the last message is a tool's result. `required` falls back on the first tool.
"""

import re
from dataclasses import dataclass

from pointsman_stub.errors import ApiError, Json
from pointsman_stub.models import Model
from pointsman_stub.requests import ChatRequest
from pointsman_stub.scalars import UnsatisfiableError
from pointsman_stub.schemas import fitting
from pointsman_stub.tokens import compact

_WORD = re.compile(r"[^\W_]{4,}")
_HUMP = re.compile(r"(?<=[a-z])(?=[A-Z])")


@dataclass(frozen=True, kw_only=True)
class ToolCall:
    """A call that the model asks for; the arguments are JSON text, as OpenAI sends them."""

    name: str
    arguments: str


def choose_calls(request: ChatRequest, model: Model) -> tuple[ToolCall, ...]:
    """The calls of one answer; none means that the model answers in words."""
    chosen = [_call(tool["function"], request, model) for tool in _chosen(request)]
    return tuple(chosen if request.parallel_tool_calls else chosen[:1])


def _chosen(request: ChatRequest) -> list[Json]:
    choice = request.tool_choice
    if choice.name is not None:
        return [tool for tool in request.tools if tool["function"]["name"] == choice.name]
    if choice.mode == "none" or (choice.mode == "auto" and request.messages[-1].role == "tool"):
        return []
    asked = _words(request.question.text)
    fitting_tools = [tool for tool in request.tools if asked & _words(tool["function"]["name"])]
    return fitting_tools or list(request.tools[:1] if choice.mode == "required" else ())


def _call(function: Json, request: ChatRequest, model: Model) -> ToolCall:
    name = function["name"]
    schema = {"type": "object"} | function.get("parameters", {})
    try:
        arguments = fitting(schema, author=model.id, seed=request.question.text)
    except UnsatisfiableError as error:
        raise ApiError(
            f"Invalid schema for function '{name}': {error}.",
            param="tools",
            code="invalid_function_parameters",
        ) from error
    return ToolCall(name=name, arguments=compact(arguments))


def _words(text: str) -> set[str]:
    return {word.lower() for word in _WORD.findall(_HUMP.sub(" ", text))}
