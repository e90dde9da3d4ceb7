"""A request answered: the choices, why each ended, and what they cost. How that looks as JSON is in `replies`."""

from dataclasses import dataclass

from pointsman_stub import tokens
from pointsman_stub.answers import answer
from pointsman_stub.errors import ApiError
from pointsman_stub.models import Model
from pointsman_stub.requests import ChatRequest
from pointsman_stub.scalars import UnsatisfiableError
from pointsman_stub.schemas import fitting
from pointsman_stub.tools import ToolCall, choose_calls


@dataclass(frozen=True, kw_only=True)
class Choice:
    """One answer: either text, as its tokens, or tool calls."""

    tokens: tuple[str, ...] = ()
    tool_calls: tuple[ToolCall, ...] = ()
    finish_reason: str


@dataclass(frozen=True, kw_only=True)
class Usage:
    """What the call cost, in tokens; the last three are parts of the first two."""

    prompt: int
    completion: int
    cached: int
    audio: int
    reasoning: int


@dataclass(frozen=True, kw_only=True)
class Completion:
    """All that the model has to say to a request."""

    request: ChatRequest
    model: Model
    choices: tuple[Choice, ...]
    usage: Usage


def complete(request: ChatRequest, model: Model) -> Completion:
    """Answer the request, or refuse what this model cannot do."""
    if model.embeds:
        raise ApiError(
            f"The model '{model.id}' is no chat model; it gives embeddings.",
            status=404,
            param="model",
            code="model_not_found",
        )
    prompt = tokens.count_prompt(request)
    _check_abilities(request, model)
    _check_length(request, model, prompt=prompt)
    reasoning = tokens.count_reasoning(request, model)
    limit = min(request.max_tokens or model.max_output_tokens, model.context_window - prompt)
    hidden = min(reasoning, limit)
    choices = tuple(_choice(request, model, index=index, room=limit - hidden) for index in range(request.choices))
    visible = sum(_cost(choice) for choice in choices)
    usage = Usage(
        prompt=prompt,
        completion=visible + hidden * len(choices),
        cached=tokens.count_cached(request),
        audio=tokens.count_audio(request),
        reasoning=hidden * len(choices),
    )
    return Completion(request=request, model=model, choices=choices, usage=usage)


def _choice(request: ChatRequest, model: Model, *, index: int, room: int) -> Choice:
    if calls := choose_calls(request, model):
        return _limited_calls(request, calls, room=room)
    text = _text(request, model, index=index)
    for stop in request.stops:
        text = text.partition(stop)[0]
    pieces = tokens.split(text)
    return Choice(tokens=pieces[:room], finish_reason="stop" if len(pieces) <= room else "length")


def _text(request: ChatRequest, model: Model, *, index: int) -> str:
    if request.schema is not None:
        try:
            return tokens.compact(fitting(request.schema, author=model.id, seed=request.question.text))
        except UnsatisfiableError as error:
            raise ApiError(
                f"Invalid schema for response_format: {error}.",
                param="response_format",
                code="invalid_json_schema",
            ) from error
    text = answer(request, model, choice=index)
    return tokens.compact({"model": model.id, "answer": text}) if request.json_mode else text


def _limited_calls(request: ChatRequest, calls: tuple[ToolCall, ...], *, room: int) -> Choice:
    kept: list[ToolCall] = []
    for call in calls:
        left = room - _cost_of_calls(kept) - tokens.count(call.name)
        pieces = tokens.split(call.arguments)
        if left < len(pieces):
            if left > 0:
                kept.append(ToolCall(name=call.name, arguments="".join(pieces[:left])))
            return Choice(tool_calls=tuple(kept), finish_reason="length")
        kept.append(call)
    # OpenAI ends a call that the request itself named with "stop".
    return Choice(tool_calls=tuple(kept), finish_reason="stop" if request.tool_choice.name else "tool_calls")


def _cost(choice: Choice) -> int:
    return len(choice.tokens) + _cost_of_calls(choice.tool_calls)


def _cost_of_calls(calls: tuple[ToolCall, ...] | list[ToolCall]) -> int:
    return sum(tokens.count(call.name) + tokens.count(call.arguments) for call in calls)


def _check_abilities(request: ChatRequest, model: Model) -> None:
    for index, message in enumerate(request.messages):
        if message.clips and not model.hears:
            raise ApiError(
                f"messages[{index}] holds audio, which the model '{model.id}' does not hear.",
                param="model",
                code="invalid_value",
            )
    if request.reasoning_effort is not None and not model.reasons:
        raise ApiError(
            f"Unsupported parameter: 'reasoning_effort' is not supported with the model '{model.id}'.",
            param="reasoning_effort",
            code="unsupported_parameter",
        )
    if request.max_tokens is not None and request.max_tokens_param == "max_tokens" and model.reasons:
        raise ApiError(
            f"Unsupported parameter: with the model '{model.id}' use 'max_completion_tokens', not 'max_tokens'.",
            param="max_tokens",
            code="unsupported_parameter",
        )


def _check_length(request: ChatRequest, model: Model, *, prompt: int) -> None:
    asked = request.max_tokens or 0
    if asked > model.max_output_tokens:
        raise ApiError(
            f"{request.max_tokens_param} is too large: {asked}. The model '{model.id}' writes at most"
            f" {model.max_output_tokens} tokens.",
            param=request.max_tokens_param,
            code="invalid_value",
        )
    if prompt + max(asked, 1) > model.context_window:
        raise ApiError(
            f"The model '{model.id}' has a context of {model.context_window} tokens, but the messages take {prompt}"
            f" and the answer may take {asked}. Shorten the messages or the answer.",
            param="messages",
            code="context_length_exceeded",
        )
