"""Answers as they are looked at before they are used, from the bytes that a provider sent and was sent.

The same for each door: whatever form a request has, its call and the answer to it are OpenAI's chat completion.
"""

from typing import Any

import msgspec

from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.json_schemas import mismatch
from pointsman_sidecar.routing.escalation import Answer, Ending

_ENDINGS = {"length": Ending.CUT, "content_filter": Ending.FILTERED}


class _Format(msgspec.Struct):
    type: str = ""
    json_schema: dict[str, Any] | None = None


class _Call(msgspec.Struct):
    response_format: _Format | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]


_call = msgspec.json.Decoder(_Call)
_answer = msgspec.json.Decoder(_Answer)
_SILENT = frozenset({b"", b"null", b"[]"})


def looked_at(raw: bytes, *, sent: bytes) -> tuple[Answer, ...]:
    """The answers in what came for what was sent; none where they cannot be made out, and are used as they are."""
    try:
        choices = _answer.decode(raw).choices
        wanted = _call.decode(sent).response_format
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ()
    return tuple(
        Answer(
            text=choice.message.content or "",
            ending=_ENDINGS.get(choice.finish_reason or "", Ending.COMPLETE),
            refuses=bool(choice.message.refusal),
            calls=bytes(choice.message.tool_calls) not in _SILENT or bytes(choice.message.function_call) not in _SILENT,
            wrong_json=_wrong(choice.message.content or "", wanted),
        )
        for choice in choices
    )


def _wrong(text: str, wanted: _Format | None) -> str:
    """What is wrong with a text as the JSON that was asked for, in words that hold nothing of it."""
    if wanted is None or wanted.type not in {"json_object", "json_schema"}:
        return ""
    try:
        value = json.decode(text.encode(errors="replace"))
    except json.NotJsonError:
        return "it is no JSON"
    if wanted.type == "json_object":
        return "" if isinstance(value, dict) else "it is no object"
    schema = (wanted.json_schema or {}).get("schema")
    return mismatch(value, schema) or "" if isinstance(schema, dict) else ""
