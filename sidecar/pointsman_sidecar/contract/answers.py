"""Answers as they are looked at before they are used, from the bytes that a provider sent and was sent.

The same for each door: whatever form a request has, its call and the answer to it are OpenAI's chat completion.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import msgspec

from pointsman_sidecar.confidence import Judged, judge
from pointsman_sidecar.contract import json
from pointsman_sidecar.contract.json_schemas import mismatch
from pointsman_sidecar.routing.escalation import Answer, Ending

_ENDINGS = {"length": Ending.CUT, "content_filter": Ending.FILTERED}


class _Format(msgspec.Struct):
    type: str = ""
    json_schema: dict[str, Any] | None = None


class _Part(msgspec.Struct):
    text: str | None = None


class _Said(msgspec.Struct):
    role: str = ""
    content: str | list[str | _Part] | None = None


class _Call(msgspec.Struct):
    messages: list[_Said] = []
    response_format: _Format | None = None


class _Message(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()


class _Token(msgspec.Struct):
    logprob: float = 0.0


class _Logprobs(msgspec.Struct):
    content: list[_Token] | None = None


class _Choice(msgspec.Struct):
    message: _Message
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Answer(msgspec.Struct):
    choices: list[_Choice]


_call = msgspec.json.Decoder(_Call)
_answer = msgspec.json.Decoder(_Answer)
_JSON = frozenset({"json_object", "json_schema"})
_SILENT = frozenset({b"", b"null", b"[]"})


def looked_at(raw: bytes, *, sent: bytes, judges: bool) -> tuple[Answer, ...]:
    """The answers in what came for what was sent; none where they cannot be made out, and are used as they are.

    Where it `judges`, it says how far each can be trusted.
    """
    try:
        choices = _answer.decode(raw).choices
        call = _call.decode(sent)
    except (msgspec.DecodeError, ValueError, RecursionError):
        return ()
    prompt = _asked(call.messages) if judges else ""
    return tuple(_looked_at(choice, call.response_format, prompt=prompt, judges=judges) for choice in choices)


def _looked_at(choice: _Choice, wanted: _Format | None, *, prompt: str, judges: bool) -> Answer:
    message, text = choice.message, choice.message.content or ""
    answer = Answer(
        text=text,
        ending=_ENDINGS.get(choice.finish_reason or "", Ending.COMPLETE),
        refuses=bool(message.refusal),
        calls=bytes(message.tool_calls) not in _SILENT or bytes(message.function_call) not in _SILENT,
        wrong_json=_wrong(text, wanted),
    )
    if not judges or (answer.calls and not text):
        # Nothing is said that could be judged.
        return answer
    tokens = choice.logprobs.content if choice.logprobs is not None else None
    judged = Judged(
        prompt=prompt,
        response=text,
        finish_reason=choice.finish_reason or "",
        logprobs=[token.logprob for token in tokens] if tokens else None,
        valid_json=None if wanted is None or wanted.type not in _JSON else not answer.wrong_json,
        refused=answer.refuses,
    )
    return replace(answer, confidence=judge(judged).value)


class _Delta(msgspec.Struct):
    content: str | None = None
    refusal: str | None = None
    tool_calls: msgspec.Raw = msgspec.Raw()
    function_call: msgspec.Raw = msgspec.Raw()


class _Piece(msgspec.Struct):
    index: int | None = 0
    delta: _Delta | None = None
    finish_reason: str | None = None
    logprobs: _Logprobs | None = None


class _Chunk(msgspec.Struct):
    choices: list[_Piece]


_chunk = msgspec.json.Decoder(_Chunk)


@dataclass(slots=True)
class _Growing:
    texts: list[str] = field(default_factory=list)
    size: int = 0
    refuses: bool = False
    calls: bool = False
    finish_reason: str | None = None
    logprobs: list[_Token] = field(default_factory=list)


class Gathered:
    """What is seen of a stream so far."""

    def __init__(self) -> None:
        self.tokens = 0
        """How many pieces held something of an answer, which is a token each or more."""
        self._answers: dict[int, _Growing] = {}

    @property
    def least_text(self) -> int:
        """How many characters there are of the answer of which there are fewest."""
        return min((each.size for each in self._answers.values()), default=0)

    def feed(self, raw: bytes) -> None:
        """See one piece; one that cannot be made out tells nothing."""
        try:
            choices = _chunk.decode(raw).choices
        except (msgspec.DecodeError, ValueError, RecursionError):
            return
        for piece in choices:
            self._feed(piece, piece.delta or _Delta())

    def _feed(self, piece: _Piece, delta: _Delta) -> None:
        answer = self._answers.setdefault(piece.index or 0, _Growing())
        calls = bytes(delta.tool_calls) not in _SILENT or bytes(delta.function_call) not in _SILENT
        answer.calls |= calls
        answer.refuses |= bool(delta.refusal)
        if delta.content:
            answer.texts.append(delta.content)
            answer.size += len(delta.content)
        if piece.logprobs is not None:
            answer.logprobs += piece.logprobs.content or ()
        answer.finish_reason = piece.finish_reason or answer.finish_reason
        self.tokens += bool(delta.content or delta.refusal or calls)

    def answers(self, *, sent: bytes, judges: bool) -> tuple[Answer, ...]:
        """The answers so far. Only of one that has ended it says whether it is JSON, and how far to trust it."""
        try:
            call = _call.decode(sent)
        except (msgspec.DecodeError, ValueError, RecursionError):
            return ()
        prompt = _asked(call.messages) if judges else ""
        return tuple(_so_far(each, call.response_format, prompt, judges) for each in self._answers.values())


def _so_far(answer: _Growing, wanted: _Format | None, prompt: str, judges: bool) -> Answer:  # noqa: FBT001 - private
    text = "".join(answer.texts)
    if answer.finish_reason is None:
        return Answer(text=text, ending=None, refuses=answer.refuses, calls=answer.calls)
    choice = _Choice(
        message=_Message(
            content=text,
            refusal="yes" if answer.refuses else None,
            tool_calls=msgspec.Raw(b"[{}]" if answer.calls else b""),
        ),
        finish_reason=answer.finish_reason,
        logprobs=_Logprobs(content=answer.logprobs or None),
    )
    return _looked_at(choice, wanted, prompt=prompt, judges=judges)


def _asked(messages: Sequence[_Said]) -> str:
    """What the user said last."""
    content = next((each.content for each in reversed(messages) if each.role == "user"), None)
    if content is None or isinstance(content, str):
        return content or ""
    return "\n".join(part if isinstance(part, str) else part.text or "" for part in content)


def _wrong(text: str, wanted: _Format | None) -> str:
    """What is wrong with a text as the JSON that was asked for, in words that hold nothing of it."""
    if wanted is None or wanted.type not in _JSON:
        return ""
    try:
        value = json.decode(text.encode(errors="replace"))
    except json.NotJsonError:
        return "it is no JSON"
    if wanted.type == "json_object":
        return "" if isinstance(value, dict) else "it is no object"
    schema = (wanted.json_schema or {}).get("schema")
    return mismatch(value, schema) or "" if isinstance(schema, dict) else ""
