"""From what a provider answers, as decoded JSON, to the contract's messages."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pointsman_api.v1 import completions_pb2
from pointsman_sidecar.contract import json
from pointsman_sidecar.routing.costs import Usage

_FINISH_REASONS = {
    "stop": completions_pb2.FINISH_REASON_STOP,
    "length": completions_pb2.FINISH_REASON_LENGTH,
    "tool_calls": completions_pb2.FINISH_REASON_TOOL_CALLS,
    "function_call": completions_pb2.FINISH_REASON_TOOL_CALLS,
    "content_filter": completions_pb2.FINISH_REASON_CONTENT_FILTER,
}
# What Python and protobuf raise where a member is missing, of another type than the API says, too large or too deep.
_WRONG_TYPE = (AttributeError, KeyError, TypeError, ValueError, OverflowError, RecursionError)
# What the contract's counts can hold.
_MOST_TOKENS = 2**63 - 1
_ANSWER = frozenset({"id", "object", "model", "choices", "usage"})
_MESSAGE = frozenset({"role", "content", "tool_calls", "refusal"})


class UnreadableAnswerError(Exception):
    """The provider's answer is not what the API promises. The text says what is wrong, without the answer's content."""


def decoded(raw: bytes) -> object:
    """The JSON of an answer or a chunk.

    Raises:
        UnreadableAnswerError: it is none.
    """
    try:
        return json.decode(raw)
    except json.NotJsonError as error:
        raise UnreadableAnswerError(str(error)) from None


def read_answer(answer: object) -> completions_pb2.CompleteResponse:
    """A whole answer, without its decision.

    Raises:
        UnreadableAnswerError: it has no choices, or a member is of another type than the API says.
    """
    body = _object(answer, "the answer")
    choices = _list(body.get("choices"), "choices")
    if not choices:
        raise UnreadableAnswerError("the answer has no choices")
    try:
        return completions_pb2.CompleteResponse(
            id=body.get("id") or "",
            choices=[_choice(_object(each, "a choice")) for each in choices],
            extra_json=json.rest(body, known=_ANSWER),
        )
    except _WRONG_TYPE as error:
        raise UnreadableAnswerError("the answer has a member of the wrong type") from error


def read_chunk(chunk: object) -> completions_pb2.Chunk:
    """One chunk of a stream. A chunk that only carries usage has no choices.

    Raises:
        UnreadableAnswerError: a member is of another type than the API says.
    """
    body = _object(chunk, "a chunk")
    try:
        return completions_pb2.Chunk(
            id=body.get("id") or "",
            choices=[_delta(_object(each, "a choice")) for each in _list(body.get("choices"), "choices")],
        )
    except _WRONG_TYPE as error:
        raise UnreadableAnswerError("a chunk has a member of the wrong type") from error


class _PlainDelta(msgspec.Struct, forbid_unknown_fields=True):
    role: str | None = None
    content: str | None = None
    refusal: None = None
    tool_calls: None = None


class _PlainChoice(msgspec.Struct, forbid_unknown_fields=True):
    delta: _PlainDelta
    index: int = 0
    logprobs: None = None
    finish_reason: str | None = None


class _PlainChunk(msgspec.Struct):
    choices: tuple[_PlainChoice]
    id: str = ""
    usage: None = None


_plain = msgspec.json.Decoder(_PlainChunk)


def read_plain_chunk(raw: bytes) -> completions_pb2.Chunk | None:
    """A chunk of one answer that holds text or nothing, as nearly all do; None where it holds anything else.

    It says what `read_chunk` says of the same chunk, for a third of the time.
    """
    try:
        raw.decode()
        chunk = _plain.decode(raw)
        (choice,) = chunk.choices
        return completions_pb2.Chunk(
            id=chunk.id,
            choices=[
                completions_pb2.ChoiceDelta(
                    index=choice.index,
                    content=choice.delta.content or "",
                    finish_reason=_finish_reason({"finish_reason": choice.finish_reason}),
                )
            ],
        )
    except (msgspec.DecodeError, ValueError, RecursionError):
        return None


def read_usage(answer: object) -> Usage | None:
    """What an answer or a chunk says of its tokens; None where it says nothing, or what can be no count.

    An answer is worth more than the bill for it: who counts wrongly has answered all the same.

    Raises:
        UnreadableAnswerError: it is no answer at all.
    """
    usage = _object(answer, "the answer").get("usage")
    if usage is None:
        return None
    try:
        return _usage(_object(usage, "usage"))
    except UnreadableAnswerError:
        return None


def _usage(counts: Mapping[str, Any]) -> Usage:
    read = Usage(
        input_tokens=_count(counts, "prompt_tokens"),
        output_tokens=_count(counts, "completion_tokens"),
        cached_input_tokens=_count(counts.get("prompt_tokens_details") or {}, "cached_tokens"),
        reasoning_tokens=_count(counts.get("completion_tokens_details") or {}, "reasoning_tokens"),
    )
    if read.cached_input_tokens > read.input_tokens or read.reasoning_tokens > read.output_tokens:
        raise UnreadableAnswerError("usage counts more cached or reasoning tokens than tokens")
    return read


def begins(chunk: completions_pb2.Chunk) -> bool:
    """Whether the chunk holds something of the answer: a role alone, or nothing, is no token yet."""
    return any(
        delta.content or delta.refusal or delta.tool_calls or delta.finish_reason or delta.extra_json
        for delta in chunk.choices
    )


def _choice(choice: Mapping[str, Any]) -> completions_pb2.Choice:
    message = _object(choice.get("message"), "message")
    content = message.get("content")
    return completions_pb2.Choice(
        index=choice.get("index") or 0,
        message=completions_pb2.Message(
            role=completions_pb2.ROLE_ASSISTANT,
            content=[completions_pb2.ContentPart(text=content)] if content is not None else [],
            refusal=message.get("refusal") or "",
            tool_calls=[_tool_call(_object(call, "a tool call")) for call in message.get("tool_calls") or ()],
            extra_json=json.rest(message, known=_MESSAGE),
        ),
        finish_reason=_finish_reason(choice),
        logprobs=_logprobs(choice.get("logprobs")),
    )


def _delta(choice: Mapping[str, Any]) -> completions_pb2.ChoiceDelta:
    delta = _object(choice.get("delta") or {}, "delta")
    return completions_pb2.ChoiceDelta(
        index=choice.get("index") or 0,
        content=delta.get("content") or "",
        refusal=delta.get("refusal") or "",
        tool_calls=[
            completions_pb2.ToolCallDelta(
                index=call.get("index") or 0,
                id=call.get("id") or "",
                name=(call.get("function") or {}).get("name") or "",
                arguments=(call.get("function") or {}).get("arguments") or "",
            )
            for call in delta.get("tool_calls") or ()
        ],
        finish_reason=_finish_reason(choice),
        logprobs=_logprobs(choice.get("logprobs")),
        extra_json=json.rest(delta, known=_MESSAGE),
    )


def _tool_call(call: Mapping[str, Any]) -> completions_pb2.ToolCall:
    function = _object(call.get("function"), "function")
    return completions_pb2.ToolCall(
        id=call.get("id") or "", name=function.get("name") or "", arguments=function.get("arguments") or ""
    )


def _finish_reason(choice: Mapping[str, Any]) -> completions_pb2.FinishReason.ValueType:
    reason = choice.get("finish_reason")
    if not reason:
        return completions_pb2.FINISH_REASON_UNSPECIFIED
    # A reason of a provider's own still means that the answer ended.
    return _FINISH_REASONS.get(reason, completions_pb2.FINISH_REASON_STOP)


def _logprobs(logprobs: Mapping[str, Any] | None) -> list[completions_pb2.TokenLogprob]:
    if not logprobs:
        return []
    return [
        _token_logprob(token, top=token.get("top_logprobs") or ())
        for token in (*(logprobs.get("content") or ()), *(logprobs.get("refusal") or ()))
    ]


def _token_logprob(token: Mapping[str, Any], *, top: Sequence[Mapping[str, Any]] = ()) -> completions_pb2.TokenLogprob:
    return completions_pb2.TokenLogprob(
        token=token["token"],
        logprob=token["logprob"],
        bytes=bytes(_list(token.get("bytes") or [], "bytes")),
        top=[_token_logprob(other) for other in top],
    )


def _count(counts: object, name: str) -> int:
    value = _object(counts, "usage").get(name) or 0
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= _MOST_TOKENS:
        raise UnreadableAnswerError(f"usage.{name} is not a count")
    return value


def _object(value: object, what: str) -> Mapping[str, Any]:
    if not isinstance(value, dict):
        raise UnreadableAnswerError(f"{what} is not a JSON object")
    return value


def _list(value: object, what: str) -> Sequence[Any]:
    if not isinstance(value, list):
        raise UnreadableAnswerError(f"{what} is not a JSON array")
    return value
