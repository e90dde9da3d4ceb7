"""What goes over the wire: a completion as one JSON document or as server-sent events. No sockets here."""

import hashlib
import itertools
import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from pointsman_stub import tokens
from pointsman_stub.completions import Choice, Completion, Usage
from pointsman_stub.errors import ApiError, Json
from pointsman_stub.logprobs import logprobs_of

JSON_TYPE = "application/json"
EVENTS_TYPE = "text/event-stream"
DONE = b"data: [DONE]\n\n"


@dataclass(frozen=True, kw_only=True)
class Reply:
    """A status, headers and a body in parts: one for each event of a stream, two halves of a document."""

    status: int = 200
    content_type: str = JSON_TYPE
    headers: Mapping[str, str] = field(default_factory=dict)
    parts: tuple[bytes, ...]

    @property
    def streams(self) -> bool:
        """Whether the parts are events."""
        return self.content_type == EVENTS_TYPE


def document(body: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> Reply:
    """A JSON document; in two halves, so that a fault can stop between them."""
    data = json.dumps(body, ensure_ascii=False).encode()
    half = len(data) // 2
    return Reply(status=status, headers=headers or {}, parts=(data[:half], data[half:]))


def event(body: Json) -> bytes:
    """One server-sent event."""
    return b"data: " + json.dumps(body, ensure_ascii=False).encode() + b"\n\n"


def refusal(error: ApiError, *, headers: Mapping[str, str] | None = None) -> Reply:
    """An error, which is a document even where a stream was asked for."""
    return document(error.body(), status=error.status, headers=headers)


def reply(completion: Completion, *, completion_id: str, created: int) -> Reply:
    """The answer as the request wants it."""
    if not completion.request.stream:
        return document(_unary(completion, completion_id=completion_id, created=created))
    chunks = _chunks(completion, completion_id=completion_id, created=created)
    return Reply(content_type=EVENTS_TYPE, parts=(*(event(chunk) for chunk in chunks), DONE))


def _head(completion: Completion, *, kind: str, completion_id: str, created: int) -> Json:
    model = completion.model.id
    return {
        "id": completion_id,
        "object": kind,
        "created": created,
        "model": model,
        "service_tier": "default",
        "system_fingerprint": f"fp_{hashlib.sha256(model.encode()).hexdigest()[:10]}",
    }


def _unary(completion: Completion, *, completion_id: str, created: int) -> Json:
    return _head(completion, kind="chat.completion", completion_id=completion_id, created=created) | {
        "choices": [
            {
                "index": index,
                "message": _message(choice, completion_id=completion_id, index=index),
                "logprobs": _logprobs(completion, choice.tokens) if not choice.tool_calls else None,
                "finish_reason": choice.finish_reason,
            }
            for index, choice in enumerate(completion.choices)
        ],
        "usage": _usage(completion.usage),
    }


def _message(choice: Choice, *, completion_id: str, index: int) -> Json:
    message: Json = {"role": "assistant", "content": "".join(choice.tokens), "refusal": None, "annotations": []}
    if choice.tool_calls:
        message["content"] = None
        message["tool_calls"] = [
            {
                "id": _call_id(completion_id, index, at),
                "type": "function",
                "function": {"name": call.name, "arguments": call.arguments},
            }
            for at, call in enumerate(choice.tool_calls)
        ]
    return message


def _chunks(completion: Completion, *, completion_id: str, created: int) -> Iterator[Json]:
    head = _head(completion, kind="chat.completion.chunk", completion_id=completion_id, created=created)
    if completion.request.include_usage:
        head["usage"] = None
    per_choice = [
        _choice_chunks(completion, choice, completion_id=completion_id, index=index)
        for index, choice in enumerate(completion.choices)
    ]
    for turn in itertools.zip_longest(*per_choice):
        for choice in turn:
            if choice is not None:
                yield head | {"choices": [choice]}
    if completion.request.include_usage:
        yield head | {"choices": [], "usage": _usage(completion.usage)}


def _choice_chunks(completion: Completion, choice: Choice, *, completion_id: str, index: int) -> Iterator[Json]:
    def chunk(delta: Json, *, logprobs: Json | None = None, finish_reason: str | None = None) -> Json:
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish_reason}

    content = None if choice.tool_calls else ""
    yield chunk({"role": "assistant", "content": content, "refusal": None})
    for at, piece in enumerate(choice.tokens):
        yield chunk({"content": piece}, logprobs=_logprobs(completion, (piece,), start=at))
    for delta in _call_deltas(choice, completion_id=completion_id, index=index):
        yield chunk({"tool_calls": [delta]})
    yield chunk({}, finish_reason=choice.finish_reason)


def _call_deltas(choice: Choice, *, completion_id: str, index: int) -> Iterable[Json]:
    for at, call in enumerate(choice.tool_calls):
        call_id = _call_id(completion_id, index, at)
        yield {"index": at, "id": call_id, "type": "function", "function": {"name": call.name, "arguments": ""}}
        for piece in tokens.split(call.arguments):
            yield {"index": at, "function": {"arguments": piece}}


def _logprobs(completion: Completion, pieces: tuple[str, ...], *, start: int = 0) -> Json | None:
    return logprobs_of(completion, pieces, start=start) if completion.request.logprobs else None


def _call_id(completion_id: str, choice: int, call: int) -> str:
    return "call_" + hashlib.sha256(f"{completion_id}/{choice}/{call}".encode()).hexdigest()[:24]


def _usage(usage: Usage) -> Json:
    return {
        "prompt_tokens": usage.prompt,
        "completion_tokens": usage.completion,
        "total_tokens": usage.prompt + usage.completion,
        "prompt_tokens_details": {"cached_tokens": usage.cached, "audio_tokens": usage.audio},
        "completion_tokens_details": {
            "reasoning_tokens": usage.reasoning,
            "audio_tokens": 0,
            "accepted_prediction_tokens": 0,
            "rejected_prediction_tokens": 0,
        },
    }
