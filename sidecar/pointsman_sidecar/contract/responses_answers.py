"""A chat completion's answer as a response of OpenAI's Responses API."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.provider_answers import read_usage

# What a response repeats of its request, and what stands there where that says nothing.
_DEFAULTS: Mapping[str, object] = {
    "instructions": None,
    "max_output_tokens": None,
    "metadata": {},
    "parallel_tool_calls": True,
    "reasoning": {"effort": None, "summary": None},
    "service_tier": None,
    "temperature": None,
    "text": {"format": {"type": "text"}},
    "tool_choice": "auto",
    "tools": [],
    "top_logprobs": 0,
    "top_p": None,
    "truncation": "disabled",
    "user": None,
}
_INCOMPLETE = {"length": "max_output_tokens", "content_filter": "content_filter"}


def response_id(chat_id: str) -> str:
    """A response's id, from the provider's own."""
    return f"resp_{chat_id.removeprefix('chatcmpl-')}"


def whole_response(answer: Mapping[str, Any], repeated: Mapping[str, msgspec.Raw]) -> bytes:
    """The response that says what a chat completion's answer does."""
    chat_id = str(answer.get("id") or "")
    choice = answer["choices"][0]
    output = output_of(chat_id, choice.get("message") or {}, logprobs=_logprobs(choice))
    return json.encode(
        response(
            chat_id=chat_id,
            created=answer.get("created") or 0,
            model=answer.get("model") or "",
            repeated=repeated,
            output=output,
            finish_reason=choice.get("finish_reason") or "stop",
            usage=answer.get("usage"),
        )
    )


def response(
    *,
    chat_id: str,
    created: int,
    model: str,
    repeated: Mapping[str, msgspec.Raw],
    output: Sequence[object],
    finish_reason: str | None,
    usage: object,
) -> dict[str, Any]:
    """A response object; without a reason to finish, one in progress."""
    reason = _INCOMPLETE.get(finish_reason or "")
    status = "in_progress" if finish_reason is None else "incomplete" if reason else "completed"
    return {
        "id": response_id(chat_id),
        "object": "response",
        "created_at": created,
        "status": status,
        "background": False,
        "error": None,
        "incomplete_details": {"reason": reason} if reason else None,
        "model": model,
        "output": output,
        "previous_response_id": None,
        "store": False,
        **{name: repeated.get(name, default) for name, default in _DEFAULTS.items()},
        "usage": usage_of(usage),
    }


def output_of(chat_id: str, message: Mapping[str, Any], *, logprobs: Sequence[object]) -> list[dict[str, Any]]:
    """The output items of an answer: what is said, then what is called."""
    items: list[dict[str, Any]] = []
    parts = []
    if message.get("content"):
        parts.append(text_part(message["content"], logprobs=logprobs))
    if message.get("refusal"):
        parts.append({"type": "refusal", "refusal": message["refusal"]})
    calls = message.get("tool_calls") or []
    if parts or not calls:
        items.append(message_item(chat_id, parts or [text_part("", logprobs=())]))
    for index, call in enumerate(calls):
        function = call.get("function") or {}
        items.append(
            call_item(
                chat_id,
                index,
                call_id=call.get("id") or "",
                name=function.get("name") or "",
                arguments=function.get("arguments") or "",
            )
        )
    return items


def message_item(chat_id: str, content: Sequence[object], *, status: str = "completed") -> dict[str, Any]:
    """An item that says something."""
    suffix = chat_id.removeprefix("chatcmpl-")
    return {"id": f"msg_{suffix}", "type": "message", "status": status, "role": "assistant", "content": content}


def call_item(
    chat_id: str, index: int, *, call_id: str, name: str, arguments: str, status: str = "completed"
) -> dict[str, Any]:
    """An item that calls a function."""
    return {
        "id": f"fc_{chat_id.removeprefix('chatcmpl-')}_{index}",
        "type": "function_call",
        "status": status,
        "call_id": call_id,
        "name": name,
        "arguments": arguments,
    }


def text_part(text: str, *, logprobs: Sequence[object]) -> dict[str, Any]:
    """A part of text."""
    return {"type": "output_text", "text": text, "annotations": [], "logprobs": list(logprobs)}


def usage_of(usage: object) -> dict[str, Any] | None:
    """What it cost, by the names of this API."""
    read = read_usage({"usage": usage})
    if read is None:
        return None
    return {
        "input_tokens": read.input_tokens,
        "input_tokens_details": {"cached_tokens": read.cached_input_tokens, "cache_write_tokens": 0},
        "output_tokens": read.output_tokens,
        "output_tokens_details": {"reasoning_tokens": read.reasoning_tokens},
        "total_tokens": read.input_tokens + read.output_tokens,
    }


def _logprobs(choice: Mapping[str, Any]) -> Sequence[object]:
    return (choice.get("logprobs") or {}).get("content") or ()
